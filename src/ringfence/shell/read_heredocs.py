"""Reads here-documents: the delimiter behind `<<`, and later the lines up to it.

A quoted delimiter (any quote in it) makes the lines literal: then backslashes do not continue lines either,
so they are taken from the text as written. Otherwise the lines are expanded as within double quotes.
"""

from bisect import bisect_left

from ringfence.shell import read_expansions
from ringfence.shell.read_pieces import Pieces, text_part
from ringfence.shell.read_source import BREAK, Source
from ringfence.shell.syntax import Word
from ringfence.value import build

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+:,/%@")


def lines(source: Source) -> None:
    """Go over blanks, newlines and comments, and read the here-documents that begin behind a newline."""
    while True:
        char = source.blanks()
        if char == "\n":
            newline(source)
        elif char == "#":
            source.comment()
            if source.pending and source.text[source.at] != "\n":
                bodies(source)
        else:
            return


def newline(source: Source) -> None:
    """Go over a newline."""
    source.at += 1
    if source.pending:
        bodies(source)


def delimiter(source: Source) -> tuple[Word, str, bool]:
    """Read the delimiter: as a word, what ends the lines, and whether it was quoted."""
    text, start = source.text, source.at
    at, value, is_quoted = start, "", False
    while text[at] not in BREAK:
        if text[at] in "'\"":
            end = text.find(text[at], at + 1)
            if end < 0:
                source.fail("a quote is not closed")
                break
            value, at, is_quoted = value + text[at + 1 : end], end + 1, True
        elif text[at] == "\\":
            value, at, is_quoted = value + text[at + 1], at + 2, True
        else:
            value, at = value + text[at], at + 1
    if not source.stuck:
        source.at = at
    if not value or not all(char in _PLAIN for char in value):
        source.problem(start, max(at, start + 1), "a delimiter that is not of plain characters")
    span = source.span(start, at)
    return build(Word, {"span": span, "parts": (text_part(span, value, is_quoted),)}), value, is_quoted


def bodies(source: Source) -> None:
    """Read what waits, behind the newline that ends the line."""
    waiting, source.pending = source.pending, []
    for values, is_quoted, end in waiting:
        if source.stuck:
            return
        strip, begin, before = values["operator"] == "<<-", source.at, len(source.problems)
        values["body"] = _literal(source, end, strip) if is_quoted else _expanded(source, end, strip)
        if len(source.problems) > before or not all(char in _PLAIN for char in end):
            source.unread.append(source.text[begin : source.at])  # it may be no text at all


def _line_end(text: str, at: int, end: int) -> int:
    found = text.find("\n", at, end)
    return end if found < 0 else found


def _expanded(source: Source, delimiter: str, strip: bool) -> "Word | None":  # noqa: FBT001 - from the operator
    start = at = source.at
    text = source.text
    lines: list[tuple[int, int]] = []
    while True:
        if at >= source.end:
            source.problem(start - 1, source.end, "a here-document without its end")
            source.at = at = source.end
            break
        end = _line_end(text, at, source.end)
        begin = at
        while strip and text[begin] == "\t":
            begin += 1
        if text[begin:end] == delimiter:
            source.at = min(end + 1, source.end)
            break
        lines.append((begin, min(end + 1, source.end)))
        at = end + 1
    return _body(source, start, min(at, source.end), lines)


def _body(source: Source, start: int, end: int, lines: list[tuple[int, int]]) -> Word:
    """Read lines as within double quotes. Tabs that are stripped are taken out before."""
    places = [place for begin, stop in lines for place in range(begin, stop)]
    text = "".join(source.text[begin:stop] for begin, stop in lines)
    if len(text) == end - start:
        inner = source.child(start, end)
    else:
        inner = source.child(start, start)
        inner.text, inner.end = text + "\0\0\0\0", len(text)
        inner.places = [source.place(one) for one in [*places, end]]
        inner.cuts = []
    pieces = Pieces(inner)
    if source.deeper():
        inner.depth = source.depth
        read_expansions.quoted(inner, pieces, "")
        source.depth -= 1
    if inner.stuck and not source.stuck:
        source.stuck, source.broke, source.at = True, min(start + inner.broke, source.end), source.end
    made = pieces.word(0, inner.end)
    return build(Word, {"span": source.span(start, end), "parts": made.parts})


def _literal(source: Source, delimiter: str, strip: bool) -> "Word | None":  # noqa: FBT001 - from the operator
    """Take lines as they were written."""
    begin, end = source.at, source.end
    raw = source.raw(begin, end)
    at, lines = 0, []
    while True:
        if at >= len(raw):
            source.problem(begin - 1, end, "a here-document without its end")
            source.at = end
            break
        stop = _line_end(raw, at, len(raw))
        line = raw[at:stop].lstrip("\t") if strip else raw[at:stop]
        at = stop + 1
        if line == delimiter:
            source.at = min(_folded_place(source, begin, at), end)
            break
        lines.append(line + "\n")
    span = source.span(begin, source.at)
    given = (text_part(span, "".join(lines), True),) if lines else ()
    return build(Word, {"span": span, "parts": given})


def _folded_place(source: Source, begin: int, length: int) -> int:
    """Return where so many characters of the text as written end."""
    if not source.cuts:
        return begin + length
    at = begin
    for cut in source.cuts[bisect_left(source.cuts, begin) :]:
        if cut - at >= length:
            break
        length -= cut - at + 2
        at = cut
    return at + max(length, 0)
