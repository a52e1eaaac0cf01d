"""What a risk finds, and what all of them look with: paths as the careless read them, lines that are new.

A path is matched in the spelling under which other machines would find it: case folded, without the
characters that some file systems ignore, without trailing dots and blanks. `.GIT/hooks` is `.git/hooks`
on a Mac.
"""

import os
import re

from ringfence.value import Struct
from ringfence.workspace.content import Content
from ringfence.workspace.finding import Finding
from ringfence.workspace.layers import DIRECTORY, Change
from ringfence.workspace.pairing import folded
from ringfence.workspace.review import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "LONGEST_EXCERPT",
    "MOST_A_FILE",
    "RUNS",
    "WEAKENS",
    "Finding",
    "Patterns",
    "Place",
    "Table",
    "by_path",
    "excerpt_of",
    "merged",
    "named_by",
    "new_lines",
    "place_of",
    "places",
    "verb",
]

RUNS = "runs on the host or steers a tool later"
WEAKENS = "weakens the project"
LONGEST_EXCERPT = 160
MOST_A_FILE = 20  # findings of one risk in one file; how many more there are is told
# Ignored in names by HFS+: `.g<U+200C>it` is `.git` there
_IGNORED = dict.fromkeys(
    [0x200C, 0x200D, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)


class Place:
    """A path by the parts that tables ask about."""

    def __init__(self, path: bytes) -> None:
        self.parts = tuple(map(_folded, path.split(b"/")))
        self.name = self.parts[-1]
        self.folders = self.parts[:-1]
        self.parent = self.parts[-2] if len(self.parts) > 1 else ""

    def inside(self, *names: str) -> bool:
        """Say whether these parts stand somewhere in the path, one behind the other."""
        size = len(names)
        return any(self.parts[at : at + size] == names for at in range(len(self.parts) - size + 1))


def _folded(name: bytes) -> str:
    if name.isascii():
        plain = name.decode("ascii").lower()
    else:
        plain = os.fsdecode(folded(os.fsencode(os.fsdecode(name).translate(_IGNORED))))
    stripped = plain.rstrip(". ") or plain
    return ".git" if stripped == "git~1" else stripped


class _Asked:
    """Where a change is. Every risk asks, one change after the other, so the last answer is kept."""

    def __init__(self, change: Change | None, places: tuple[Place, ...]) -> None:
        self.change = change
        self.places = places
        sides = (change.before, change.after) if change is not None else ()
        self.is_folder = {side.kind for side in sides if side is not None} == {DIRECTORY}


_last = [_Asked(None, ())]


def _asked(change: Change) -> _Asked:
    last = _last[0]
    if last.change is not change:
        paths = (change.path, change.source) if change.source else (change.path,)
        last = _last[0] = _Asked(change, tuple(map(Place, paths)))
    return last


def place_of(change: Change) -> Place:
    """Return where a change is now."""
    return _asked(change).places[0]


def places(change: Change) -> tuple[Place, ...]:
    """Return the places that a change is about: for a rename the old one too."""
    return _asked(change).places


class Table(Struct):
    """Names that mean something to a tool. All in lower case."""

    names: frozenset[str] = frozenset()  # of the file itself
    folders: frozenset[str] = frozenset()  # all that lies in such a folder, and the folder
    suffixes: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()  # runs of parts: (".github", "workflows")

    def meets(self, place: Place, *, is_folder: bool = False) -> bool:
        """Say whether a place is in the table. A folder is by what it holds, not by how it ends."""
        if not is_folder and self._names(place.name):
            return True
        if self.folders and not self.folders.isdisjoint(place.parts):
            return True
        for path in self.paths:  # noqa: SIM110 - asked a million times in a large review
            if path[0] in place.parts and place.inside(*path):
                return True
        return False

    def _names(self, name: str) -> bool:
        return (
            name in self.names
            or bool(self.suffixes and name.endswith(self.suffixes))
            or bool(self.prefixes and name.startswith(self.prefixes))
        )


def merged(tables: "Sequence[Table]") -> Table:
    """Return a table that meets whatever one of these does, and more: only how a path begins counts."""
    return Table(
        names=frozenset().union(*(table.names for table in tables)),
        folders=frozenset(path[0] for table in tables for path in table.paths).union(
            *(table.folders for table in tables)
        ),
        suffixes=tuple({suffix for table in tables for suffix in table.suffixes}),
        prefixes=tuple({prefix for table in tables for prefix in table.prefixes}),
    )


def named_by(change: Change, table: Table) -> bool:
    """Say whether a table names a change."""
    asked = _asked(change)
    return any(table.meets(place, is_folder=asked.is_folder) for place in asked.places)


def by_path(change: Change, table: Table, risk: str, why: str) -> "Iterator[Finding]":
    """Yield a finding where a table names the change."""
    if named_by(change, table):
        yield Finding(path=change.path, risk=risk, why=f"{verb(change)} {why}")


def verb(change: Change) -> str:
    """Return what was done, as the start of a reason."""
    return "removes" if change.after is None else "adds" if change.before is None else "changes"


def excerpt_of(line: bytes) -> str:
    """Return a line as it may be printed, cut."""
    shown = text.shown(line[: 4 * LONGEST_EXCERPT].strip())[0]
    return shown if len(shown) <= LONGEST_EXCERPT else shown[:LONGEST_EXCERPT] + "…"


class Patterns:
    """What new lines are searched for: a pattern, and words of which every match holds one, in lower case.

    Most texts hold none of the words, and looking for those is a hundred times faster than the pattern.
    """

    def __init__(self, words: tuple[bytes, ...], pattern: "re.Pattern[bytes]") -> None:
        self.words = words
        self.pattern = pattern

    def found(self, content: Content) -> list[tuple[int, bytes]]:
        """Return the new lines in which the pattern is found, with their numbers."""
        text = content.added_lower
        words = [word for word in self.words if word in text]
        if not words:
            return []
        lines = content.added()
        likely = [(at, line) for at, line in lines if any(word in line.lower() for word in words)]
        return [(at, line) for at, line in likely if self.pattern.search(line)]


def new_lines(
    change: Change, content: Content, patterns: Patterns, risk: str, why: str
) -> "Iterator[Finding]":
    """Yield a finding for each new line that a pattern matches, and one for how many more there are."""
    if content.after is None:
        return
    hits = patterns.found(content)
    for number, line in hits[:MOST_A_FILE]:
        yield Finding(path=change.path, risk=risk, why=why, line=number, excerpt=excerpt_of(line))
    if len(hits) > MOST_A_FILE:
        more = len(hits) - MOST_A_FILE
        yield Finding(path=change.path, risk=risk, why=f"{why}: {more} more lines", line=hits[MOST_A_FILE][0])
