"""A changed file piece by piece: what was before, what comes, and what results when some pieces are taken.

Lines are bytes up to and with each newline, nothing else ends one. Only texts of a size that a person
reads are taken apart; all else is taken whole or not at all.
"""

from difflib import SequenceMatcher

from ringfence.errors import BoundaryError
from ringfence.value import Struct

_LINES = 20_000  # of both sides together
_BYTES = 4 << 20
_AROUND = 3  # lines shown around a change


class Piece(Struct):
    """One place where lines differ."""

    old: tuple[int, int]  # lines from and to, before
    new: tuple[int, int]  # and after


class Pieces(Struct):
    """A changed text, taken apart."""

    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    pieces: tuple[Piece, ...]

    def hunks(self) -> "tuple[tuple[int, ...], ...]":
        """Return the pieces by number, those near each other together."""
        groups: list[list[int]] = []
        for number, piece in enumerate(self.pieces):
            if number and piece.old[0] - self.pieces[number - 1].old[1] <= 2 * _AROUND:
                groups[-1].append(number)
            else:
                groups.append([number])
        return tuple(map(tuple, groups))

    def result(self, taken: "frozenset[int] | set[int]") -> bytes:
        """Return the text with some pieces taken over and all others as before."""
        out: list[bytes] = []
        at = 0
        for number, piece in enumerate(self.pieces):
            out += self.before[at : piece.old[0]]
            out += self.after[slice(*piece.new)] if number in taken else self.before[slice(*piece.old)]
            at = piece.old[1]
        return b"".join((*out, *self.before[at:]))

    def lines(self, hunk: "tuple[int, ...]") -> "list[tuple[str, bytes]]":
        """Return a hunk's lines, each with a mark: " ", "-" or "+"."""
        first, last = self.pieces[hunk[0]], self.pieces[hunk[-1]]
        at = max(0, first.old[0] - _AROUND)
        out: list[tuple[str, bytes]] = []
        for number in hunk:
            piece = self.pieces[number]
            out += [(" ", line) for line in self.before[at : piece.old[0]]]
            out += [("-", line) for line in self.before[slice(*piece.old)]]
            out += [("+", line) for line in self.after[slice(*piece.new)]]
            at = piece.old[1]
        return out + [(" ", line) for line in self.before[at : last.old[1] + _AROUND]]

    def header(self, hunk: "tuple[int, ...]") -> str:
        """Return where a hunk stands, as diffs write it."""
        first, last = self.pieces[hunk[0]], self.pieces[hunk[-1]]
        old, new = (first.old[0], last.old[1]), (first.new[0], last.new[1])
        return f"@@ -{old[0] + 1},{old[1] - old[0]} +{new[0] + 1},{new[1] - new[0]} @@"


def take_apart(before: bytes, after: bytes) -> Pieces | None:
    """Return how two texts differ; None where that is for no person to read."""
    if len(before) + len(after) > _BYTES or b"\0" in before or b"\0" in after:
        return None
    old, new = _lines(before), _lines(after)
    if len(old) + len(new) > _LINES:
        return None
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    pieces = tuple(
        Piece(old=(old_from, old_to), new=(new_from, new_to))
        for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes()
        if tag != "equal"
    )
    made = Pieces(before=old, after=new, pieces=pieces)
    # Invariant: all pieces give the new text, none the old one, byte for byte.
    if made.result(set(range(len(pieces)))) != after or made.result(set()) != before:
        raise BoundaryError("taking a file apart lost bytes: a fault of ours; nothing was applied")
    return made


def _lines(text: bytes) -> tuple[bytes, ...]:
    lines = text.split(b"\n")
    return tuple([line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else []))
