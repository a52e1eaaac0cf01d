"""What differs between two texts, line by line: hunks that patch readers understand, in bounded time.

Lines end at LF and nowhere else, and are compared byte by byte, white space included. The shortest
edit is sought by Myers' greedy algorithm up to a number of edits; a stretch that needs more is cut at
lines that are unique on both sides (patience), else where the search came furthest. When the steps for
one file are used up, what is left is shown as deleted and added whole. That may be longer than needed,
but it is never wrong, and no input makes it quadratic.
"""

from ringfence.value import Struct

CONTEXT = 3
MOST_EDITS = 256  # of one search
MOST_STEPS = 2_000_000  # of all searches in one file: about a second

Edit = tuple[int, int, int, int]  # lines [a:b] before became lines [c:d] after


class Hunk(Struct):
    """A stretch of lines that changed, with the lines around it. Numbers count from 0."""

    old: int
    new: int
    lines: tuple[tuple[str, bytes], ...]  # (" ", "-" or "+", the line with its end)

    @property
    def header(self) -> str:
        """Return the line that starts a hunk."""
        removed = sum(sign != "+" for sign, _ in self.lines)
        added = sum(sign != "-" for sign, _ in self.lines)
        return f"@@ -{_span(self.old, removed)} +{_span(self.new, added)} @@"


def _span(start: int, count: int) -> str:
    at = start + 1 if count else start
    return f"{at}" if count == 1 else f"{at},{count}"


def split(data: bytes) -> list[bytes]:
    """Return the lines with their ends; the last may have none."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def hunks(before: bytes, after: bytes, context: int = CONTEXT) -> list[Hunk]:
    """Return the hunks that turn one text into the other."""
    old, new = split(before), split(after)
    return grouped(old, new, edits(old, new), context)


def grouped(old: list[bytes], new: list[bytes], found: list[Edit], context: int = CONTEXT) -> list[Hunk]:
    """Return edits as hunks, with lines of context around them."""
    return [_hunk(old, new, group, context) for group in _groups(found, context)]


def _hunk(old: list[bytes], new: list[bytes], group: list[Edit], context: int) -> Hunk:
    first, last = group[0], group[-1]
    start = at = max(first[0] - context, 0)
    lines: list[tuple[str, bytes]] = []
    for a, b, c, d in group:
        lines += [(" ", line) for line in old[at:a]]
        lines += [("-", line) for line in old[a:b]]
        lines += [("+", line) for line in new[c:d]]
        at = b
    lines += [(" ", line) for line in old[at : last[1] + context]]
    return Hunk(old=start, new=first[2] - (first[0] - start), lines=tuple(lines))


def patched(before: bytes, chosen: "list[Hunk]") -> bytes:
    """Return the text with only these hunks applied. They must be of this text, in order."""
    old = split(before)
    result: list[bytes] = []
    at = 0
    for hunk in chosen:
        kept = [line for sign, line in hunk.lines if sign != "+"]
        if hunk.old < at or old[hunk.old : hunk.old + len(kept)] != kept:
            raise ValueError("this hunk belongs to another text")
        result += old[at : hunk.old]
        result += [line for sign, line in hunk.lines if sign != "-"]
        at = hunk.old + len(kept)
    return b"".join(result + old[at:])


def _groups(found: list[Edit], context: int) -> "list[list[Edit]]":
    groups: list[list[Edit]] = []
    for edit in found:
        if groups and edit[0] - groups[-1][-1][1] <= 2 * context:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return groups


def edits(old: list[bytes], new: list[bytes]) -> list[Edit]:
    """Return what to replace, in order, with something kept between any two."""
    found: list[Edit] = []
    todo = [(0, len(old), 0, len(new))]
    steps = MOST_STEPS
    while todo:
        a, b, c, d = _trimmed(old, new, todo.pop())
        if a == b or c == d:
            found += [(a, b, c, d)] if b > a or d > c else []
            continue
        if steps <= 0 or set(old[a:b]).isdisjoint(new[c:d]):  # nothing to be kept, so nothing to be sought
            found.append((a, b, c, d))
            continue
        part, x, y = _shortest(old[a:b], new[c:d])
        steps -= MOST_EDITS**2 // 2 if x < b - a or y < d - c else len(part) ** 2
        pieces = [] if (x, y) == (b - a, d - c) else _between_anchors(old, new, (a, b, c, d))
        if pieces:
            todo += pieces
            continue
        found += [(a + i, a + j, c + k, c + m) for i, j, k, m in part]
        todo.append((a + x, b, c + y, d))
    return _joined(sorted(found))


def _joined(found: list[Edit]) -> list[Edit]:
    result: list[Edit] = []
    for edit in found:
        if result and result[-1][1] == edit[0] and result[-1][3] == edit[2]:
            result[-1] = (result[-1][0], edit[1], result[-1][2], edit[3])
        else:
            result.append(edit)
    return result


def _trimmed(old: list[bytes], new: list[bytes], stretch: Edit) -> Edit:
    a, b, c, d = stretch
    while a < b and c < d and old[a] == new[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and old[b - 1] == new[d - 1]:
        b, d = b - 1, d - 1
    return a, b, c, d


def _shortest(old: list[bytes], new: list[bytes]) -> "tuple[list[Edit], int, int]":
    """Return Myers' shortest edit and how far on both sides it reaches: to the ends, or as far as it came."""
    rows, columns = len(old), len(new)
    reach = {1: 0}
    trace: list[dict[int, int]] = []
    for depth in range(MOST_EDITS + 1):
        trace.append(dict(reach))
        for k in range(-depth, depth + 1, 2):
            down = k == -depth or (k != depth and reach[k - 1] < reach[k + 1])
            x = reach[k + 1] if down else reach[k - 1] + 1
            y = x - k
            while x < rows and y < columns and old[x] == new[y]:
                x, y = x + 1, y + 1
            reach[k] = x
            if x >= rows and y >= columns:
                return _walked_back(trace, rows, columns), rows, columns
    inside = [
        (2 * x - k, k)
        for k, x in reach.items()
        if x <= rows and x - k <= columns and (k - MOST_EDITS) % 2 == 0
    ]
    k = max(inside)[1]
    return _walked_back(trace, reach[k], reach[k] - k), reach[k], reach[k] - k


def _walked_back(trace: "list[dict[int, int]]", x: int, y: int) -> list[Edit]:
    """Read the edit off the trace, from its end."""
    found: list[Edit] = []
    for depth in range(len(trace) - 1, 0, -1):
        reach, k = trace[depth], x - y
        down = k == -depth or (k != depth and reach[k - 1] < reach[k + 1])
        x = reach[k + 1] if down else reach[k - 1]
        y = x - (k + 1 if down else k - 1)
        found.append((x, x, y, y + 1) if down else (x, x + 1, y, y))
    return _joined(found[::-1])


def _between_anchors(old: list[bytes], new: list[bytes], stretch: Edit) -> list[Edit]:
    """Cut a stretch at lines that are unique on both sides and in the same order; nothing where none are."""
    a, b, c, d = stretch
    there = _unique(new, c, d)
    pairs = sorted((at, there[line]) for line, at in _unique(old, a, b).items() if line in there)
    pieces: list[Edit] = []
    for x, y in _rising(pairs):
        pieces.append((a, x, c, y))
        a, c = x + 1, y + 1
    return [*pieces, (a, b, c, d)] if pieces else []


def _unique(lines: list[bytes], start: int, end: int) -> dict[bytes, int]:
    """Return the lines of a stretch that stand in it once, and where."""
    at: dict[bytes, int] = {}
    for number in range(start, end):
        at[lines[number]] = -1 if lines[number] in at else number
    return {line: number for line, number in at.items() if number >= 0}


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of pairs that rises on both sides."""
    import bisect

    ends: list[int] = []  # second number of the best run of each length
    best: list[int] = []  # its pair
    before: list[int] = []
    for number, (_, second) in enumerate(pairs):
        at = bisect.bisect_left(ends, second)
        before.append(best[at - 1] if at else -1)
        ends[at : at + 1] = [second]
        best[at : at + 1] = [number]
    run: list[tuple[int, int]] = []
    number = best[-1] if best else -1
    while number >= 0:
        run.append(pairs[number])
        number = before[number]
    return run[::-1]
