"""Reads one word: quotes, escapes, globs, tildes, and through `read_expansions` what begins with `$`.

A word ends at an unquoted blank or operator character. A word of plain characters, which is what most are,
is read in one run; everything else piece by piece, each piece one part of the word.
"""

from ringfence.shell import characters, read_braces, read_expansions
from ringfence.shell.read_ahead import closing_bracket
from ringfence.shell.read_pieces import Pieces, text_part
from ringfence.shell.read_source import BREAK, DIALECT, NAME, NAME_START, Source
from ringfence.shell.syntax import Glob, Tilde, Word
from ringfence.value import build

_STOP = frozenset(" \t\n;&|<>()'\"`$\\*?[{~\0")
_ENDS = frozenset(" \t\n;|&)\0")  # without those behind which a word may go on
_COLONS = -1  # among the places of tildes: behind every colon
_USER = NAME | frozenset("+-.")

# What a word stands for decides what is special in it
PLAIN, VALUE, PATTERN = "plain", "value", "pattern"


def word(source: Source, kind: str = PLAIN) -> Word:
    """Read the word that begins here; an empty one where none does."""
    text, start = source.text, source.at
    at = start
    while text[at] not in _STOP:
        at += 1
    if at > start and text[at] in _ENDS:
        value = text[start:at]
        if value.isascii() and (source.shell != "zsh" or value[0] not in "=-"):
            source.at = at
            span = source.span(start, at)
            return build(Word, {"span": span, "parts": (text_part(span, value, False),)})
    return _pieces(source, kind)


def _pieces(source: Source, kind: str) -> Word:
    text, start = source.text, source.at
    pieces = Pieces(source)
    tilde_at = _tilde_places(source, kind)
    braced = False
    while not source.stuck:
        run = at = source.at
        while text[at] not in _STOP:
            at += 1
        if at > run:
            _run(source, pieces, run, at, tilde_at)
        source.at = at
        char = text[at]
        if char in _ENDS or (char in "<>(" and not _goes_on(source, char, start)):
            break
        braced = braced or char == "{"
        _special(source, pieces, char, tilde_at)
    made = pieces.word(start, source.at)
    if kind == PLAIN and braced and not source.stuck:
        return read_braces.expanded(source, made)
    return made


def _run(source: Source, pieces: Pieces, start: int, end: int, tilde_at: set[int]) -> None:
    """Add a run of plain characters, and note whether a tilde behind it counts."""
    value = source.text[start:end]
    if not value.isascii():
        reason = characters.bare(value)
        if reason:
            source.problem(start, end, reason, "characters")
    if value[-1] == ":" and _COLONS in tilde_at:
        tilde_at.add(end)
    pieces.text(start, end, value, quoted=False)


def _tilde_places(source: Source, kind: str) -> set[int]:
    """Return where a tilde may stand: at the front, behind the first `=`, and there behind any colon."""
    text, start = source.text, source.at
    if kind == VALUE:
        return {start, _COLONS}
    end = start
    if text[start] in NAME_START:
        while text[end] in NAME:
            end += 1
    if end > start and text[end] == "[":
        end = closing_bracket(source, end) + 1
    end += text[end] == "+" and end > start
    if text[end] != "=" or end == start:
        return {start}
    return {start, end + 1, _COLONS} if source.shell == "bash" else {start}


def _goes_on(source: Source, char: str, start: int) -> bool:
    """Say whether a word goes on here: a process substitution, or a pattern group."""
    if char != "(":
        return source.text[source.at + 1] == "("
    before = source.text[source.at - 1] if source.at > start else ""
    if before == "=":
        return source.shell == "zsh" or _named(source.text[start : source.at - 1])
    return bool(before) and before in "?*+@!"


def _named(text: str) -> bool:
    name = text.removesuffix("+")
    return bool(name) and name[0] in NAME_START and all(char in NAME for char in name)


def _special(source: Source, pieces: Pieces, char: str, tilde_at: set[int]) -> None:
    """Read the piece that begins with a special character."""
    at = source.at
    if read_expansions.quoting(source, pieces, char):
        return
    if char in "<>":
        read_expansions.process(source, pieces, char, at)
    elif char == "(":
        _group(source, pieces)
    elif char == "~" and at in tilde_at:
        _tilde(source, pieces, tilde_at)
    elif char == "[":
        _bracket(source, pieces)
    elif char in "*?":
        source.at += 1
        pieces.add(build(Glob, {"span": source.span(at, at + 1), "text": char}))
    else:  # a brace, a tilde in the middle
        if char == "~" and source.text[at - 1] in "=:" and source.shell != "bash":
            source.problem(at - 1, at + 1, "`~` behind `=` or `:` in an argument", DIALECT)
        source.at += 1
        pieces.text(at, at + 1, char, quoted=False)


def _tilde(source: Source, pieces: Pieces, tilde_at: set[int]) -> None:
    """Read a tilde prefix: only where no quote or expansion takes part in it."""
    start = at = source.at
    at += 1
    while source.text[at] in _USER:
        at += 1
    char = source.text[at]
    if char in BREAK or char == "/" or (char == ":" and _COLONS in tilde_at):
        source.at = at
        given = {"span": source.span(start, at), "user": source.text[start + 1 : at]}
        pieces.add(build(Tilde, given))
        return
    source.problem(start, at + 1, "a tilde before something that is no plain name")
    source.at = start + 1
    pieces.text(start, start + 1, "~", quoted=False)


def _bracket(source: Source, pieces: Pieces) -> None:
    """Read `[…]` where it is closed within the word; else `[` stands for itself."""
    text, start = source.text, source.at
    if text.find("]", start + 2) < 0:  # none is closed: looking for the end of each costs the square
        source.at = start + 1
        pieces.text(start, start + 1, "[", quoted=False)
        return
    at = start + 1
    if start >= source.no_bracket:
        at = _bracket_end(source, start)
        if text[at] == "]":
            source.at = at + 1
            pieces.add(build(Glob, {"span": source.span(start, at + 1), "text": text[start : at + 1]}))
            return
        if text[at] not in BREAK and _closed_later(source, at):
            source.problem(start, at, "a bracket pattern with quotes or expansions in it")
    source.at = start + 1
    pieces.text(start, start + 1, "[", quoted=False)


def _bracket_end(source: Source, start: int) -> int:
    """Return where the bracket closes, or what is in the way of that."""
    text, at = source.text, start + 1
    if text[at] in "!^":
        at += 1
    if text[at] == "]":
        at += 1
    while text[at] != "]" and text[at] not in "'\"`$\\" and text[at] not in BREAK:
        at = _class_end(text, at)
    if text[at] in BREAK:
        source.no_bracket = at
    return at


def _class_end(text: str, at: int) -> int:
    if text[at] == "[" and text[at + 1] in ":.=":
        end = text.find(text[at + 1] + "]", at + 2)
        inside = text[at + 2 : end] if end > 0 else " "
        if inside.isalnum():
            return end + 2
    return at + 1


def _closed_later(source: Source, at: int) -> bool:
    text, found = source.text, False
    while text[at] not in " \t\n\0":
        found = found or text[at] == "]"
        at += 1
    source.no_bracket = at
    return found


def _group(source: Source, pieces: Pieces) -> None:
    """Read a group that a shell may take for a pattern: `@(…)`, an array behind `=`, a zsh qualifier."""
    start = source.at
    source.problem(start, start + 1, "`(` within a word: shells differ in what they make of it", DIALECT)
    source.at = start + 1
    pieces.add(build(Glob, {"span": source.span(start, start + 1), "text": "("}))
    if not source.deeper():
        return
    while not source.stuck:
        char = source.text[source.at]
        if char == "\0":
            source.fail("a group is not closed", at=start)
        elif char == ")":
            break
        elif char in BREAK and char != "(" and not (char in "<>" and source.text[source.at + 1] == "("):
            source.at += 1
            pieces.text(source.at - 1, source.at, char, quoted=False)
        elif char == "(":
            _group(source, pieces)
        else:
            _group_piece(source, pieces, char)
    source.depth -= 1
    if not source.stuck:
        source.at += 1
        pieces.add(build(Glob, {"span": source.span(source.at - 1, source.at), "text": ")"}))


def _group_piece(source: Source, pieces: Pieces, char: str) -> None:
    if char in _STOP:
        _special(source, pieces, char, set())
        return
    at = source.at
    while source.text[at] not in _STOP:
        at += 1
    pieces.text(source.at, at, source.text[source.at : at], quoted=False)
    source.at = at
