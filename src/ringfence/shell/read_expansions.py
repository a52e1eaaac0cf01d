r"""Reads quotes, and what begins with a dollar sign or a backquote: the parts of words that hold words.

    "…"  '…'  \x  $'…'  $"…"  `…`  $name  ${…}  $(…)  $((…))  $[…]

One rule for all: what stands inside is read by the rules of the place where it stands, and where bash's
own rules are known to differ between versions or modes (single quotes within "${…}", `$((` that turns out
to be no arithmetic), both a reading and a problem come of it.
"""

from ringfence.shell import characters, read_ansi, read_dialects
from ringfence.shell.read_ahead import arithmetic_end, closing_bracket
from ringfence.shell.read_pieces import Pieces, parameter
from ringfence.shell.read_source import CONTINUATION, DIALECT, NAME, NAME_START, Source
from ringfence.shell.syntax import Arithmetic, Glob, Parameter, Script, Substitution, Word
from ringfence.value import build

_SPECIAL_NAMES = frozenset("@*#?-$!0123456789")
_ESCAPED_IN_QUOTES = frozenset('$`"\\')
_OPERAND_STOP = frozenset("}'\"`$\\*?[\0<>{")
_ARITHMETIC = NAME | frozenset(" \t\n+-*/%<>=!&|^~?:,()[]#@.")
_CLOSERS = frozenset(")")


def single(source: Source, pieces: Pieces) -> None:
    """Read `'…'`: nothing in it is special."""
    start = source.at
    end = source.text.find("'", start + 1)
    if end < 0:
        source.fail("a single quote is not closed")
        return
    pieces.text(start, end + 1, source.raw(start + 1, end), quoted=True)
    source.at = end + 1


def escape(source: Source, pieces: Pieces) -> None:
    """Read an unquoted backslash and what it makes literal."""
    at = source.at
    if at + 1 >= source.end:
        source.fail("a backslash with nothing behind it")
        return
    char = source.text[at + 1]
    if char == "\n":
        source.problem(at, at + 2, "a continued line where shells differ", CONTINUATION)
        source.at = at + 2
        return
    reason = characters.bare(char)
    if reason:
        source.problem(at, at + 2, reason, "characters")
    pieces.text(at, at + 2, char, quoted=True)
    source.at = at + 2


def double(source: Source, pieces: Pieces) -> None:
    """Read `"…"`."""
    start = source.at
    source.at = start + 1
    if source.text[start + 1] == '"':
        pieces.text(start, start + 2, "", quoted=True)
    if quoted(source, pieces, '"'):
        source.at += 1
    else:
        source.fail("a double quote is not closed", at=start)


def quoted(source: Source, pieces: Pieces, closer: str) -> bool:
    """Read up to a double quote, or to the end where there is none to come; `at` stands on it."""
    text = source.text
    while not source.stuck:
        run = at = source.at
        while text[at] not in '"$`\\\0':
            at += 1
        if at > run:
            pieces.text(run, at, text[run:at], quoted=True)
        source.at = at
        char = text[at]
        if char == "\0":
            return closer == ""
        if char == closer:
            return True
        if char == "$":
            dollar(source, pieces, quoted=True)
        elif char == "`":
            backquote(source, pieces, quoted=True)
        elif char == '"':  # in a here-document
            source.at += 1
            pieces.text(at, at + 1, char, quoted=True)
        else:
            _quoted_escape(source, pieces, closer)
    return False


def _quoted_escape(source: Source, pieces: Pieces, closer: str) -> None:
    at = source.at
    char = source.text[at + 1]
    if char == "\n":
        source.problem(at, at + 2, "a continued line where shells differ", CONTINUATION)
        source.at = at + 2
    elif char in _ESCAPED_IN_QUOTES and (char != '"' or closer == '"'):
        source.at = at + 2
        pieces.text(at, at + 2, char, quoted=True)
    else:
        source.at = at + 1
        pieces.text(at, at + 1, "\\", quoted=True)


def ansi(source: Source, pieces: Pieces) -> None:
    """Read `$'…'`, at the dollar sign."""
    start = source.at
    text = source.text
    end = start + 2
    while end <= source.end and text[end] not in "'\0":
        end += 2 if text[end] == "\\" else 1
    if end > source.end or text[end] == "\0":
        source.fail("a single quote is not closed")
        return
    value, doubt = read_ansi.decode(source.raw(start + 2, end))
    if doubt:
        source.problem(start, end + 1, doubt, DIALECT)
    source.only("bash zsh", start, end + 1, "$'…'")
    pieces.text(start, end + 1, value, quoted=True)
    source.at = end + 1


def backquote(source: Source, pieces: Pieces, *, quoted: bool) -> None:
    """Read a substitution in backquotes: the first unescaped backquote ends it, whatever stands before."""
    start = source.at
    text = source.text
    inside: list[str] = []
    places: list[int] = []
    at = start + 1
    special = '$`\\"' if quoted else "$`\\"
    while text[at] != "`":
        if at >= source.end:
            source.fail("a backquote is not closed", at=start)
            return
        if text[at] == "\\" and text[at + 1] in special and at + 1 < source.end:
            at += 1
        inside.append(text[at])
        places.append(at)
        at += 1
    places.append(at)
    if source.cut_within(start, at) is not None:
        source.problem(start, at + 1, "a continued line in backquotes", CONTINUATION)
    script = _backquoted(source, "".join(inside), places)
    source.at = at + 1
    given = {"span": source.span(start, at + 1), "kind": "backquote", "script": script, "quoted": quoted}
    pieces.add(build(Substitution, given))


def _backquoted(source: Source, text: str, places: list[int]) -> Script:
    if not source.deeper():
        return build(Script, {"span": (0, 0), "steps": ()})
    script = source.unescaped(text, places).whole()
    source.depth -= 1
    return script


# --- the dollar sign


def dollar(source: Source, pieces: Pieces, *, quoted: bool) -> None:
    """Read what begins with this dollar sign; by itself it stands for itself."""
    at = source.at
    char = source.text[at + 1]
    if char in NAME_START:
        _plain_name(source, pieces, quoted)
    elif char == "{":
        _braced(source, pieces, quoted)
    elif char == "(":
        _parenthesis(source, pieces, quoted)
    elif char in _SPECIAL_NAMES:
        source.at = at + 2
        read_dialects.check_special(source, at, char)
        pieces.add(parameter(source.span(at, at + 2), char, quoted=quoted))
    elif char == "[":
        _old_arithmetic(source, pieces, quoted)
    elif char == "'" and not quoted:
        ansi(source, pieces)
    elif char == '"' and not quoted:
        source.problem(at, at + 2, 'what `$"…"` comes to depends on the locale', DIALECT)
        source.at = at + 1
        double(source, pieces)
    else:
        _bare_dollar(source, pieces, char, quoted)


def _bare_dollar(source: Source, pieces: Pieces, char: str, quoted: bool) -> None:  # noqa: FBT001 - passed on
    at = source.at
    if source.shell == "zsh" and char in "+=~^:":
        source.problem(at, at + 2, "`$` with a flag behind it", DIALECT)
    source.at = at + 1
    pieces.text(at, at + 1, "$", quoted=quoted)


def _plain_name(source: Source, pieces: Pieces, quoted: bool) -> None:  # noqa: FBT001 - passed on
    text, start = source.text, source.at
    at = start + 1
    while text[at] in NAME:
        at += 1
    if source.shell == "zsh":
        read_dialects.check_behind(source, start, at)
    source.at = at
    pieces.add(parameter(source.span(start, at), text[start + 1 : at], quoted=quoted))


def _parenthesis(source: Source, pieces: Pieces, quoted: bool) -> None:  # noqa: FBT001 - passed on
    """Read `$(…)` or `$((…))`. Bash takes the second for the first where its parentheses do not pair."""
    start = source.at
    if source.text[start + 2] == "(":
        end = arithmetic_end(source, start + 3)
        if end:
            inner = expression(source, start + 3, end)
            source.at = end + 2
            text = source.text[start + 3 : end]
            given = {"span": source.span(start, end + 2), "text": text, "inner": inner, "quoted": quoted}
            pieces.add(build(Arithmetic, given))
            return
        source.problem(start, start + 3, "`$((` that does not end as arithmetic", DIALECT)
    source.at = start + 2
    script = enclosed(source)
    given = {"span": source.span(start, source.at), "kind": "command", "script": script, "quoted": quoted}
    pieces.add(build(Substitution, given))


def enclosed(source: Source) -> Script:
    """Read a script up to its `)`, and stand behind that."""
    start = source.at
    if not source.deeper():
        return build(Script, {"span": source.span(start, start), "steps": ()})
    waiting, source.pending = source.pending, []
    script = source.script(source, _CLOSERS)
    if source.pending:
        source.fail("a here-document has not begun where its substitution ends")
    if waiting and "\n" in source.text[start : source.at]:
        source.problem(start, source.at, "a here-document waits while a substitution goes over its line")
    source.pending = waiting
    source.depth -= 1
    if source.text[source.at] == ")":
        source.at += 1
    else:
        source.fail("a substitution is not closed", at=start)
    return script


# --- arithmetic


def expression(source: Source, start: int, end: int) -> tuple[Word, ...]:
    """Read what is expanded within arithmetic."""
    text = source.text[start:end]
    if all(char in _ARITHMETIC for char in text):
        return ()
    if not source.deeper():
        return ()
    inner = source.child(start, end)
    pieces = Pieces(inner)
    quoted(inner, pieces, "")
    source.depth -= 1
    for at, char in enumerate(text):
        if char in "'\"\\;{}":
            source.problem(start + at, start + at + 1, "a quote or another such thing in arithmetic", DIALECT)
            break
    if inner.stuck:
        source.stuck, source.broke, source.at = True, start + inner.broke, source.end
    word = pieces.word(0, inner.end)
    return (word,)


def _old_arithmetic(source: Source, pieces: Pieces, quoted: bool) -> None:  # noqa: FBT001 - passed on
    """Read `$[…]`."""
    start = source.at
    source.only("bash zsh", start, start + 2, "`$[…]`")
    end = closing_bracket(source, start + 1)
    if not end:
        source.fail("`$[` is not closed")
        return
    inner = expression(source, start + 2, end)
    source.at = end + 1
    text = source.text[start + 2 : end]
    given = {"span": source.span(start, end + 1), "text": text, "inner": inner, "quoted": quoted}
    pieces.add(build(Arithmetic, given))


# --- ${…}


def _braced(source: Source, pieces: Pieces, quoted: bool) -> None:  # noqa: FBT001 - passed on
    text, start = source.text, source.at
    at = start + 2
    length = text[at] == "#" and (text[at + 1] in NAME or text[at + 1] in "@*?$!-") and text[at + 1] != "}"
    indirect = text[at] == "!" and (text[at + 1] in NAME or text[at + 1] in "@*#?$")
    at += length or indirect
    name_start = at
    if text[at] in NAME_START:
        while text[at] in NAME:
            at += 1
    elif text[at].isdigit():
        while text[at].isdigit() and text[at].isascii():
            at += 1
    elif text[at] in _SPECIAL_NAMES:
        at += 1
    name = text[name_start:at]
    if not name:
        source.problem(start, at + 1, "no name that all shells know within `${…}`", DIALECT)
    source.at = at
    inner, operation = _operation(source, start, quoted)
    if source.stuck:
        return
    read_dialects.check_operation(source, start, operation, bare=not (length or indirect))
    if source.shell == "zsh":
        read_dialects.check_behind(source, start, source.at)
    given = {"span": source.span(start, source.at), "name": name, "operation": operation, "inner": inner}
    pieces.add(build(Parameter, {**given, "quoted": quoted, "indirect": indirect, "length": length}))


def _operation(source: Source, start: int, quoted: bool) -> tuple[tuple[Word, ...], str]:  # noqa: FBT001 - passed on
    """Read all that follows the name, up to behind the closing brace."""
    text, begin = source.text, source.at
    if text[begin] == "}":
        source.at += 1
        return (), ""
    if not source.deeper():
        return (), ""
    words: list[Word] = []
    if text[begin] == "[":
        end = closing_bracket(source, begin)
        if not end:
            source.fail("a subscript is not closed")
            return (), ""
        words += expression(source, begin + 1, end)
        source.at = end + 1 if not source.stuck else source.at
    while text[source.at] in ":-+=?#%/^,@!":
        source.at += 1
        if text[source.at - 1] in "-+=?":
            break
    words.append(operand(source, quoted=quoted))
    source.depth -= 1
    if source.stuck:
        return (), ""
    if text[source.at] != "}":
        source.fail("`${` is not closed", at=start)
        return (), ""
    operation = text[begin : source.at]
    source.at += 1
    return tuple(one for one in words if one.parts), operation


def operand(source: Source, *, quoted: bool) -> Word:
    """Read the word of an operation, up to the brace that ends it."""
    start = source.at
    pieces = Pieces(source)
    if quoted:
        _quoted_operand(source, pieces)
    else:
        _bare_operand(source, pieces)
    return pieces.word(start, source.at)


def _bare_operand(source: Source, pieces: Pieces) -> None:
    text = source.text
    while not source.stuck:
        run = at = source.at
        while text[at] not in _OPERAND_STOP:
            at += 1
        if at > run:
            pieces.text(run, at, text[run:at], quoted=False)
        source.at = at
        char = text[at]
        if char in "}\0":
            return
        if not quoting(source, pieces, char):
            _operand_special(source, pieces, char)


_QUOTES = {"'": single, '"': double, "\\": escape}


def quoting(source: Source, pieces: Pieces, char: str) -> bool:
    """Read a quote or an expansion outside double quotes; False where `char` begins neither."""
    if char == "$":
        dollar(source, pieces, quoted=False)
    elif char == "`":
        backquote(source, pieces, quoted=False)
    elif char in _QUOTES:
        _QUOTES[char](source, pieces)
    else:
        return False
    return True


def _operand_special(source: Source, pieces: Pieces, char: str) -> None:
    at = source.at
    source.at = at + 1
    if char in "*?[":
        pieces.add(build(Glob, {"span": source.span(at, at + 1), "text": char}))
        return
    if char in "<>" and source.text[at + 1] == "(":
        process(source, pieces, char, at)
        return
    if char == "{":
        source.problem(at, at + 1, "a brace within `${…}`")
    pieces.text(at, at + 1, char, quoted=False)


def process(source: Source, pieces: Pieces, char: str, start: int) -> None:
    """Read `<(…)` or `>(…)`."""
    source.at = start + 2
    source.only("bash zsh", start, start + 2, "a process substitution")
    script = enclosed(source)
    kind = "input" if char == "<" else "output"
    given = {"span": source.span(start, source.at), "kind": kind, "script": script, "quoted": False}
    pieces.add(build(Substitution, given))


def _quoted_operand(source: Source, pieces: Pieces) -> None:
    """Read an operand within double quotes, where shells do not agree what a quote is."""
    text = source.text
    while not source.stuck:
        run = at = source.at
        while text[at] not in "}'\"`$\\{\0":
            at += 1
        if at > run:
            pieces.text(run, at, text[run:at], quoted=True)
        source.at = at
        char = text[at]
        if char in "}\0":
            return
        if char == "$":
            dollar(source, pieces, quoted=True)
        elif char == "`":
            backquote(source, pieces, quoted=True)
        elif char == "\\":
            _operand_escape(source, pieces)
        else:
            source.problem(at, at + 1, 'a quote or a brace within "${…}"', DIALECT)
            if char == '"':
                double(source, pieces)
            else:
                source.at = at + 1
                pieces.text(at, at + 1, char, quoted=True)


def _operand_escape(source: Source, pieces: Pieces) -> None:
    at = source.at
    char = source.text[at + 1]
    if char == "}":
        source.at = at + 2
        pieces.text(at, at + 2, char, quoted=True)
        return
    _quoted_escape(source, pieces, '"')
