"""Finds many byte strings at once in what streams by: secrets coming back, canaries going out.

With the `ahocorasick_rs` package one pass finds them all, however many they are; without it each is looked
for in turn, which a few dozen can bear. What stands across two pieces is found because the longest end of
a piece that begins one of the strings is kept for the next.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

FEW = 8  # strings for which looking for each in turn is as fast


class Finder:
    """The strings, prepared once."""

    def __init__(self, patterns: "Iterable[bytes]") -> None:
        self.patterns = tuple(dict.fromkeys(one for one in patterns if one))
        self._longest = max(map(len, self.patterns), default=0)
        self._beginnings: frozenset[bytes] | None = None
        self._machine = _machine(self.patterns) if len(self.patterns) > FEW else None

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def first(self, data: bytes) -> bytes | None:
        """Return one of the strings that stands in `data`."""
        if self._machine is None:
            for one in self.patterns:
                if one in data:
                    return one
            return None
        found = self._machine.find_matches_as_indexes(data)
        return self.patterns[found[0][0]] if found else None

    def tail(self, data: bytes) -> int:
        """Return how many bytes at the end of `data` could be the beginning of one of the strings."""
        if self._beginnings is None:
            self._beginnings = frozenset(one[:size] for one in self.patterns for size in range(1, len(one)))
        for size in range(min(self._longest - 1, len(data)), 0, -1):
            if data[-size:] in self._beginnings:
                return size
        return 0


def _machine(patterns: tuple[bytes, ...]) -> "Any":
    try:
        from ahocorasick_rs import BytesAhoCorasick
    except ImportError:
        return None
    return BytesAhoCorasick(list(patterns))
