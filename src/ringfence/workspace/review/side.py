"""A change in two columns, old on the left and new on the right. Long lines go on below: nothing is cut."""

import unicodedata

from ringfence.workspace.content import Content
from ringfence.workspace.layers import FILE, Change
from ringfence.workspace.review import lines, text, unified
from ringfence.workspace.review.unified import ADD, HUNK, REMOVE, SAME, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NARROWEST = 20  # columns of one side
_TAB = 8


def columns(change: Change, content: Content, width: int) -> "Iterator[Line]":
    """Yield one change for a terminal of this width; what has no two sides of lines stays as it is."""
    sides = (change.before, change.after)
    if unified.summed_up(content) or any(side is None or side.kind != FILE for side in sides):
        yield from unified.lines(change, content)
        return
    for line in unified.lines(change, content):
        if line[0] == HUNK:
            break
        yield line
    half = max((width - 3) // 2, NARROWEST)
    for hunk in content.hunks():
        yield HUNK, hunk.header
        for sign, left, right in _pairs(hunk):
            kind = {" ": SAME, "<": REMOVE, ">": ADD, "|": HUNK}[sign]
            for one, other in _rows(_shown(left), _shown(right), half):
                yield kind, f"{one}{' ' * (half - wide(one))} {sign} {other}".rstrip()


def _pairs(hunk: lines.Hunk) -> "Iterator[tuple[str, bytes | None, bytes | None]]":
    """Yield what stands side by side: lines that are the same, changed, only old or only new."""
    old: list[bytes] = []
    new: list[bytes] = []
    for sign, line in hunk.lines:
        if sign == "-":
            old.append(line)
        elif sign == "+":
            new.append(line)
        else:
            yield from _block(old, new)
            old, new = [], []
            yield " ", line, line
    yield from _block(old, new)


def _block(old: list[bytes], new: list[bytes]) -> "Iterator[tuple[str, bytes | None, bytes | None]]":
    for at in range(max(len(old), len(new))):
        left = old[at] if at < len(old) else None
        right = new[at] if at < len(new) else None
        yield "<" if right is None else ">" if left is None else "|", left, right


def _shown(line: bytes | None) -> str:
    if line is None:
        return ""
    end = "" if line.endswith(b"\n") else "<no newline>"
    return text.shown(line.removesuffix(b"\n"))[0].expandtabs(_TAB) + end


def _rows(left: str, right: str, half: int) -> "Iterator[tuple[str, str]]":
    one, other = _cut(left, half), _cut(right, half)
    for at in range(max(len(one), len(other))):
        yield one[at] if at < len(one) else "", other[at] if at < len(other) else ""


def _cut(shown: str, half: int) -> list[str]:
    if shown.isascii():
        return [shown[at : at + half] for at in range(0, len(shown), half)] or [""]
    rows, row, used = [], "", 0
    for char in shown:
        takes = wide(char)
        if used + takes > half:
            rows.append(row)
            row, used = "", 0
        row, used = row + char, used + takes
    return [*rows, row]


def wide(shown: str) -> int:
    """Return how many columns a text takes on a terminal."""
    if shown.isascii():
        return len(shown)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in shown
    )
