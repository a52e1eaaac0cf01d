"""The list of steps, and what they have found."""

from collections.abc import Callable

PIECE = 256 * 1024
TOTAL = 4 * 1024 * 1024

Step = Callable[[dict, "Loot"], object]
ALL: list[tuple[str, str, Step]] = []


def step(group: str) -> Callable[[Step], Step]:
    """Register a function as a step of `group`, under its own name."""

    def register(function: Step) -> Step:
        ALL.append((group, function.__name__, function))
        return function

    return register


class Loot:
    """Everything read so far, bounded."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, bytes]] = []
        self._size = 0

    def add(self, where: str, data: bytes) -> int:
        """Keep what was read at `where`; return its length."""
        piece = data[:PIECE]
        if piece and self._size < TOTAL:
            self._size += len(piece)
            self.pieces.append((where, piece))
        return len(data)

    def take(self, path: str) -> int:
        """Read a file and keep what it holds."""
        with open(path, "rb") as file:
            return self.add(path, file.read(PIECE))

    def data(self) -> bytes:
        """Return all of it as one text."""
        return b"\n".join(
            b"== " + where.encode("utf-8", "replace") + b"\n" + data for where, data in self.pieces
        )
