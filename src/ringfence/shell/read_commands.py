"""Reads lists, pipelines and simple commands: the shell's grammar from the top down to words.

A word is a reserved one only where a command may begin, and only unquoted and whole. What ends a list is
given by what began it: `then`, `fi`, `)`, … Whatever cannot stand where it stands is a problem.
"""

from ringfence.shell import read_compounds, read_heredocs, read_redirects, read_words
from ringfence.shell.read_ahead import closing_bracket
from ringfence.shell.read_source import BREAK, DIALECT, NAME, NAME_START, Source
from ringfence.shell.syntax import Assignment, Compound, Pipeline, Script, Simple, Step, Word
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.syntax import Command, Redirect

_RESERVED_ELSEWHERE = frozenset(["then", "do", "done", "fi", "esac", "elif", "else", "}", "in", "]]"])
_RESERVED = read_compounds.OPENERS | _RESERVED_ELSEWHERE | {"!", "time", "coproc"}
_CASE_ENDS = (";;&", ";;", ";&", ";|")
_ONLY_BASH = "bash zsh"
_DECLARES = frozenset(["declare", "typeset", "local", "export", "readonly"])


def script(source: Source, ends: frozenset[str]) -> Script:
    """Read a list up to one of the words that end it, or `)`, or the end; `at` stands there."""
    start = source.at
    steps: list[Step] = []
    while not source.stuck:
        read_heredocs.lines(source)
        if _ended(source, ends):
            break
        before = source.at
        made = pipeline(source)
        if made is None:
            break
        operator = _operator(source, ends)
        steps.append(build(Step, {"pipeline": made, "operator": operator}))
        if operator in ("&&", "||"):
            read_heredocs.lines(source)
            if _ended(source, ends):
                source.fail(f"nothing stands behind `{operator}`")
        elif not operator or source.at == before:
            break
    return build(Script, {"span": source.span(start, source.at), "steps": tuple(steps)})


def _ended(source: Source, ends: frozenset[str]) -> bool:
    char = source.text[source.at]
    if char == "\0":
        return True
    if char == ")" and ")" in ends:
        return True
    if char == ";":
        if ";;" in ends and source.text[source.at + 1] in ";&|":
            return True
        source.fail("`;` with no command before it")
        return True
    word = source.peek()
    return bool(word) and word in ends


def _operator(source: Source, ends: frozenset[str]) -> str:
    """Read what stands behind a pipeline: an operator, or "" where the list ends."""
    char = source.blanks()
    text, at = source.text, source.at
    if char == "#":
        source.comment()
        if text[source.at] != "\n" and source.at < source.end:
            return "newline"
        char, at = text[source.at], source.at
    if char == "\n":
        read_heredocs.newline(source)
        return "newline"
    if text.startswith(("&&", "||"), at):
        source.at = at + 2
        return text[at : at + 2]
    if char == ";":
        if text[at + 1] in ";&|" and (text[at + 1] != "|" or source.shell == "zsh"):
            if ";;" not in ends:
                source.fail("the end of a case where there is none")
            return ""
        source.at = at + 1
        return ";"
    if char == "&":
        return _background(source)
    if (
        char != "\0"
        and not (char == ")" and ")" in ends)
        and (source.peek() not in ends or not source.peek())
    ):
        source.fail(f"`{char}` cannot stand here")
    return ""


def _background(source: Source) -> str:
    at = source.at
    source.at = at + 1
    if source.shell == "zsh" and source.text[at + 1] in "|!":
        source.problem(at, at + 2, "a job that the shell lets go of", DIALECT)
        source.at = at + 2
    return "&"


def pipeline(source: Source) -> Pipeline | None:
    """Read commands joined by `|`."""
    start = source.at
    negated, timed = _prefixes(source)
    commands: list[Command] = []
    while not source.stuck:
        made = command(source)
        if made is not None:
            commands.append(made)
        char = source.blanks()
        if char != "|" or source.text[source.at + 1] == "|" or source.stuck:
            break
        source.at += 1
        if source.text[source.at] == "&":
            source.only(_ONLY_BASH, source.at - 1, source.at + 1, "`|&`")
            source.at += 1
        read_heredocs.lines(source)
        if source.peek() in ("!", "time", "coproc"):
            source.problem(source.at, source.at + 1, "a reserved word behind `|`", DIALECT)
    if not commands and source.stuck:
        return None
    given = {"span": source.span(start, source.at), "commands": tuple(commands)}
    return build(Pipeline, {**given, "negated": negated, "timed": timed})


def _prefixes(source: Source) -> tuple[bool, bool]:
    """Read `!` and `time` before a pipeline."""
    negated = timed = False
    while True:
        word, at = source.peek(), source.at
        if word == "!":
            if negated or source.text[at + 1] == "(":
                source.problem(at, at + 2, "`!` before another one or `(`", DIALECT)
            negated = not negated
        elif word == "time":
            source.only("bash zsh", at, at + 4, "the reserved word `time`")
            timed = True
        else:
            return negated, timed
        source.at = at + len(word)
        source.blanks()
        if timed and word == "time":
            _time_options(source)
        if source.text[source.at] in "\n;&|)\0":
            source.problem(at, source.at, f"`{word}` with no command behind it", DIALECT)


def _time_options(source: Source) -> None:
    text, at = source.text, source.at
    if text.startswith("-p", at) and text[at + 2] in BREAK:
        source.only("bash", at, at + 2, "`time -p`")
        source.at = at + 2
        source.blanks()
    if source.text[source.at] == "-":
        source.problem(
            source.at, source.at + 2, "an option of `time` that shells take in different ways", DIALECT
        )
        if text.startswith("--", source.at) and text[source.at + 2] in BREAK:
            source.at += 2
            source.blanks()


def command(source: Source) -> "Command | None":
    """Read one command."""
    char = source.blanks()
    if char == "(":
        return read_compounds.parenthesis(source)
    word = source.peek()
    if word in read_compounds.OPENERS:
        return read_compounds.compound(source, word)
    if word == "coproc":
        return _coprocess(source)
    if word in _RESERVED_ELSEWHERE:
        source.fail(f"`{word}` where it ends nothing")
        return None
    if (char in BREAK or char == "#") and not (char in "<>&" and _redirects(source)):
        source.fail("a command is missing" if char in "\n\0#" else f"`{char}` where a command should begin")
        return None
    return simple(source)


def _redirects(source: Source) -> bool:
    text, at = source.text, source.at
    return text[at] in "<>" or text.startswith("&>", at)


def _coprocess(source: Source) -> "Command | None":
    start = source.at
    source.only("bash", start, start + 6, "`coproc`")
    source.at += len("coproc")
    source.blanks()
    if not source.deeper():
        return None
    name = ""
    body: Command | None
    word = source.peek()
    behind = source.at + len(word)
    while source.text[behind] in " \t":
        behind += 1
    if word and word not in _RESERVED and source.text[behind] in "({":
        name, source.at = word, behind
    body = command(source)
    source.depth -= 1
    if body is None:
        return None
    given = {"span": body.span, "commands": (body,), "negated": False, "timed": False}
    step = build(Step, {"pipeline": build(Pipeline, given), "operator": ""})
    inner = build(Script, {"span": body.span, "steps": (step,)})
    return read_compounds.made(source, start, "coproc", bodies=(inner,), name=name)


# --- simple commands


def simple(source: Source) -> "Simple | Compound":
    """Read a simple command, or the definition of a function, which begins like one."""
    start = source.at
    assignments: list[Assignment] = []
    words: list[Word] = []
    redirects: list[Redirect] = []
    while not source.stuck:
        end = source.at
        char = source.blanks()
        if char in "\n;|)\0" or (char == "&" and source.text[source.at + 1] != ">"):
            break
        if char == "#":
            break
        if char in "<>&{" or char.isdigit():
            found = read_redirects.redirect(source)
            if found is not None:
                redirects.append(found)
                continue
            if source.stuck:
                break
        if char == "(":
            if len(words) == 1 and not assignments and not redirects:
                return read_compounds.function(source, start, words[0])
            source.fail("`(` where no command begins")
            break
        if not words and char in NAME_START:
            assigned = assignment(source)
            if assigned is not None:
                assignments.append(assigned)
                continue
        if not words:
            _check_first(source, bare=not assignments and not redirects)
        words.append(read_words.word(source))
        if source.at == end:
            source.fail(f"`{char}` cannot stand here")
    end = source.at if source.stuck else max(start, _end(source, start))
    given = {"span": source.span(start, end), "assignments": tuple(assignments), "words": tuple(words)}
    return build(Simple, {**given, "redirects": tuple(redirects)})


def _end(source: Source, start: int) -> int:
    at = source.at
    while at > start and source.text[at - 1] in " \t":
        at -= 1
    return at


def _check_first(source: Source, *, bare: bool) -> None:
    """Note what makes a command's first word doubtful."""
    at = source.at
    word = source.peek()
    if not bare and word in _RESERVED:
        source.problem(at, at + len(word), f"`{word}` behind an assignment or redirection", DIALECT)
    end = at
    text = source.text
    while text[end] not in BREAK:
        end += 1
    if not text[at:end].isascii():
        source.problem(at, end, "the name of a command has letters beyond ASCII", "lookalike")


def assignment(source: Source) -> Assignment | None:
    """Read the assignment that begins here, or return None."""
    text, start = source.text, source.at
    at = start
    while text[at] in NAME:
        at += 1
    name, index = text[start:at], None
    if text[at] == "[":
        end = closing_bracket(source, at)
        behind = text[end + 1 : end + 3] if end else ""
        if behind[:1] != "=" and behind != "+=":
            _check_subscript(source, at, end)
            return None
        source.only("bash", start, end, "an array's element")
        index = _index(source, at, end)
        at = end + 1
    append = text[at] == "+" and text[at + 1] == "="
    if text[at] != "=" and not append:
        return None
    if append:
        source.only(_ONLY_BASH, start, at + 2, "`+=`")
    source.at = at + (2 if append else 1)
    value, items = _value(source)
    given = {"span": source.span(start, source.at), "name": name, "value": value, "items": items}
    return build(Assignment, {**given, "index": index, "append": append})


def _check_subscript(source: Source, at: int, end: int) -> None:
    """Bash reads `name[…` as one word up to its bracket, blanks and all, where an assignment may stand."""
    inside = source.text[at:end]
    if not end or BREAK.intersection(inside) or any(char in "'\"`$\\" for char in inside):
        source.problem(at, end + 1, "a subscript where a command begins")


def _index(source: Source, at: int, end: int) -> Word:
    inside = source.text[at + 1 : end]
    if BREAK.intersection(inside):
        source.problem(at, end + 1, "a blank or an operator within a subscript", DIALECT)
    inner = source.child(at + 1, end)
    inner.depth += 1
    found = read_words.word(inner, read_words.VALUE)
    if inner.stuck or inner.at < inner.end:
        source.problem(at, end + 1, "a subscript that cannot be read")
    return found


def _value(source: Source) -> tuple[Word | None, tuple[Word, ...]]:
    if source.text[source.at] != "(":
        return read_words.word(source, read_words.VALUE), ()
    start = source.at
    source.only(_ONLY_BASH, start, start + 1, "an array")
    source.at += 1
    items: list[Word] = []
    while not source.stuck:
        read_heredocs.lines(source)
        char = source.text[source.at]
        if char == ")":
            source.at += 1
            break
        if char in BREAK and not (char in "<>" and source.text[source.at + 1] == "("):
            source.fail("an array is not closed" if char == "\0" else f"`{char}` in an array")
            break
        items.append(read_words.word(source))
    return None, tuple(items)
