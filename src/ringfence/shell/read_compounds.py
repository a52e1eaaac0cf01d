"""Reads compound commands: groups, loops, conditions, cases, tests, functions."""

from ringfence.shell import read_heredocs, read_redirects, read_tests, read_words
from ringfence.shell.read_ahead import arithmetic_end
from ringfence.shell.read_expansions import expression
from ringfence.shell.read_source import BREAK, DIALECT, NAME, NAME_START, Source
from ringfence.shell.syntax import Compound, Script, Text, Word
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NAME_CHARACTERS = NAME | frozenset("-.:")


def made(
    source: Source,
    start: int,
    kind: str,
    *,
    bodies: tuple[Script, ...] = (),
    words: tuple[Word, ...] = (),
    name: str = "",
    text: str = "",
) -> Compound:
    """Return a compound command, and read the redirections behind it."""
    redirects = read_redirects.redirects(source) if not source.stuck and kind != "coproc" else ()
    end = source.at
    while end > start and source.text[end - 1] in " \t":
        end -= 1
    given = {"span": source.span(start, end), "kind": kind, "bodies": bodies, "words": words}
    return build(Compound, {**given, "name": name, "text": text, "redirects": redirects})


def compound(source: Source, word: str) -> Compound | None:
    """Read the compound command that this reserved word begins."""
    if not source.deeper():
        return None
    start = source.at
    source.at += len(word)
    found = _READERS[word](source, start)
    source.depth -= 1
    return found


def expect(source: Source, word: str) -> bool:
    """Read a reserved word that has to stand here."""
    if source.stuck:
        return False
    if source.peek() != word:
        source.fail(f"`{word}` is missing")
        return False
    source.at += len(word)
    return True


def body(source: Source, *ends: str) -> Script:
    """Read a list that one of these words ends, which may not be empty."""
    found = source.script(source, frozenset(ends))
    if not found.steps and not source.stuck:
        source.fail("a list with no command in it")
    return found


def parenthesis(source: Source) -> Compound | None:
    """Read `(…)` or `((…))`."""
    start = source.at
    if source.text[start + 1] == "(":
        end = arithmetic_end(source, start + 2) if source.shell != "sh" else 0
        if end:
            inner = expression(source, start + 2, end)
            source.at = end + 2 if not source.stuck else source.at
            return made(source, start, "arithmetic", words=inner, text=source.text[start + 2 : end])
        source.problem(start, start + 2, "`((` that does not end as arithmetic", DIALECT)
    if not source.deeper():
        return None
    source.at = start + 1
    inside = body(source, ")")
    source.depth -= 1
    if not source.stuck and source.text[source.at] != ")":
        source.fail("`(` is not closed", at=start)
    source.at += not source.stuck
    return made(source, start, "subshell", bodies=(inside,))


def _group(source: Source, start: int) -> Compound:
    inside = body(source, "}")
    expect(source, "}")
    if source.shell == "zsh" and source.blanks() == "a" and source.peek() == "always":
        source.problem(source.at, source.at + 6, "`always`", DIALECT)
    return made(source, start, "group", bodies=(inside,))


def _if(source: Source, start: int) -> Compound:
    bodies = [body(source, "then")]
    expect(source, "then")
    while not source.stuck:
        bodies.append(body(source, "elif", "else", "fi"))
        word = source.peek()
        source.at += 0 if source.stuck else len(word)
        if word == "elif":
            bodies.append(body(source, "then"))
            expect(source, "then")
        elif word == "else":
            bodies.append(body(source, "fi"))
            expect(source, "fi")
            break
        elif word == "fi":
            break
        else:
            source.fail("`fi` is missing", at=start)
    return made(source, start, "if", bodies=tuple(bodies))


def _while(source: Source, start: int) -> Compound:
    kind = "until" if source.text[start] == "u" else "while"
    condition = body(source, "do")
    expect(source, "do")
    inside = body(source, "done")
    expect(source, "done")
    return made(source, start, kind, bodies=(condition, inside))


def _for(source: Source, start: int) -> Compound:
    if source.blanks() == "(" and source.text[source.at + 1] == "(":
        return _arithmetic_for(source, start)
    return _loop(source, start, "for")


def _select(source: Source, start: int) -> Compound:
    source.only("bash zsh", start, start + 6, "`select`")
    return _loop(source, start, "select")


def _loop(source: Source, start: int, kind: str) -> Compound:
    source.blanks()
    name = _variable(source)
    words: tuple[Word, ...] = ()
    if source.blanks() == ";":
        source.at += 1
    else:
        read_heredocs.lines(source)
        if source.peek() == "in":
            source.at += 2
            words = _words(source)
    read_heredocs.lines(source)
    inside = _do(source)
    return made(source, start, kind, bodies=(inside,), words=words, name=name)


def _variable(source: Source) -> str:
    start = source.at
    word = source.peek()
    if not word or word[0] not in NAME_START or not all(char in NAME for char in word):
        source.fail("the variable of a loop has no plain name")
        return ""
    source.at = start + len(word)
    return word


def _words(source: Source) -> tuple[Word, ...]:
    """Read the words of `for … in`, and what ends them."""
    words: list[Word] = []
    while not source.stuck:
        char = source.blanks()
        if char == ";":
            source.at += 1
            return tuple(words)
        if char in "\n#":
            return tuple(words)
        if char in BREAK and not (char in "<>" and source.text[source.at + 1] == "("):
            source.fail("the words of a loop do not end")
            break
        words.append(read_words.word(source))
    return tuple(words)


def _do(source: Source) -> Script:
    """Read the body of a loop. Bash takes a group for one as well; that is in no manual."""
    if source.peek() == "{":
        source.problem(source.at, source.at + 1, "a group as the body of a loop", DIALECT)
        source.at += 1
        inside = body(source, "}")
        expect(source, "}")
        return inside
    expect(source, "do")
    inside = body(source, "done")
    expect(source, "done")
    return inside


def _arithmetic_for(source: Source, start: int) -> Compound:
    begin = source.at + 2
    source.only("bash zsh", start, begin, "`for ((`")
    end = arithmetic_end(source, begin)
    text = source.text[begin:end] if end else ""
    if text.count(";") != 2 or "(" in text.split(";")[0][:1]:
        source.fail("the head of an arithmetic loop")
        return made(source, start, "arithmetic-for")
    inner = expression(source, begin, end)
    source.at = end + 2 if not source.stuck else source.at
    if source.blanks() == ";":
        source.at += 1
    read_heredocs.lines(source)
    inside = _do(source)
    return made(source, start, "arithmetic-for", bodies=(inside,), words=inner, text=text)


def _case(source: Source, start: int) -> Compound:
    source.blanks()
    words = [_case_word(source)]
    bodies: list[Script] = []
    read_heredocs.lines(source)
    expect(source, "in")
    while not source.stuck:
        read_heredocs.lines(source)
        if source.peek() == "esac":
            source.at += 4
            break
        _patterns(source, words)
        bodies.append(source.script(source, frozenset([";;", "esac"])))
        _case_end(source)
        if source.text[source.at] == "\0":
            source.fail("`esac` is missing", at=start)
    return made(source, start, "case", bodies=tuple(bodies), words=tuple(words))


def _case_word(source: Source) -> Word:
    at = source.at
    found = read_words.word(source, read_words.PATTERN)
    if source.at == at:
        source.fail("`case` without a word")
    return found


def _case_end(source: Source) -> None:
    for operator in (";;&", ";;", ";&", ";|"):
        if source.text.startswith(operator, source.at):
            if operator != ";;":
                source.only("bash", source.at, source.at + 3, f"`{operator}`")
            source.at += len(operator)
            return


def _patterns(source: Source, words: list[Word]) -> None:
    """Read the patterns of a case, up to behind their `)`."""
    if source.text[source.at] == "(":
        source.at += 1
        source.blanks()
    while not source.stuck:
        at = source.at
        words.append(read_words.word(source, read_words.PATTERN))
        if source.at == at:
            source.fail("a pattern is missing")
            return
        char = source.blanks()
        source.at += 1
        if char == ")":
            return
        if char != "|":
            source.at -= 1
            source.fail("`)` is missing behind a pattern")
        source.blanks()


def _test(source: Source, start: int) -> Compound:
    source.only("bash zsh", start, start + 2, "`[[`")
    begin = source.at
    words = read_tests.operands(source)
    text = source.text[begin : source.at].strip()
    expect(source, "]]")
    return made(source, start, "test", words=words, text=text)


def _function(source: Source, start: int) -> Compound | None:
    """Read `function name …`."""
    source.only("bash zsh", start, start + 8, "`function`")
    source.blanks()
    at = source.at
    name = read_words.word(source)
    if source.at == at:
        source.fail("a function without a name")
    if source.blanks() == "(":
        source.at += 1
        source.blanks()
        if source.text[source.at] != ")":
            source.fail("`)` is missing")
        source.at += not source.stuck
    return _defined(source, start, name)


def function(source: Source, start: int, name: Word) -> Compound:
    """Read the definition of a function, at the parenthesis behind its name."""
    source.at += 1
    source.blanks()
    if source.text[source.at] != ")":
        source.fail("`(` behind a word that begins a command")
    source.at += not source.stuck
    if not source.deeper():
        return made(source, start, "function")
    found = _defined(source, start, name)
    source.depth -= 1
    return found


def _defined(source: Source, start: int, name: Word) -> Compound:
    read_heredocs.lines(source)
    only = name.parts[0] if len(name.parts) == 1 else None
    plain = (
        isinstance(only, Text) and not only.quoted and all(char in _NAME_CHARACTERS for char in only.value)
    )
    if not plain:
        source.problem(start, source.at, "the name of a function is not plain")
    called = "".join(part.value for part in name.parts if isinstance(part, Text))
    word = source.peek()
    if source.text[source.at] == "(":
        inside = parenthesis(source)
    elif word in OPENERS and word != "function":
        inside = compound(source, word)
    else:
        source.fail("the body of a function is no compound command")
        inside = None
    bodies = (_as_script(inside),) if inside is not None else ()
    return made(source, start, "function", bodies=bodies, name=called)


def _as_script(command: Compound) -> Script:
    from ringfence.shell.syntax import Pipeline, Step

    given = {"span": command.span, "commands": (command,), "negated": False, "timed": False}
    step = build(Step, {"pipeline": build(Pipeline, given), "operator": ""})
    return build(Script, {"span": command.span, "steps": (step,)})


_READERS: "dict[str, Callable[[Source, int], Compound | None]]" = {
    "{": _group,
    "if": _if,
    "while": _while,
    "until": _while,
    "for": _for,
    "select": _select,
    "case": _case,
    "[[": _test,
    "function": _function,
}
OPENERS = frozenset(_READERS)
