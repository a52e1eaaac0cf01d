"""What a risk finds, and what all of them look with: paths as the careless read them, lines that are new.

A path is matched in the spelling under which other machines would find it: case folded, without the
characters that some file systems ignore, without trailing dots and blanks. `.GIT/hooks` is `.git/hooks`
on a Mac.
"""

import os

from ringfence.value import Struct
from ringfence.workspace.content import Content
from ringfence.workspace.layers import DIRECTORY, Change
from ringfence.workspace.pairing import folded
from ringfence.workspace.review import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

RUNS = "runs on the host or steers a tool later"
WEAKENS = "weakens the project"
LONGEST_EXCERPT = 160
MOST_A_FILE = 20  # findings of one risk in one file; how many more there are is told
# Ignored in names by HFS+: `.g<U+200C>it` is `.git` there
_IGNORED = dict.fromkeys(
    [0x200C, 0x200D, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)


class Finding(Struct):
    """One reason to look twice at a change."""

    path: bytes
    risk: str
    why: str
    line: int = 0  # of the new file, or of the old one where lines are gone; 0: the file as a whole
    excerpt: str = ""  # the line, escaped


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


_places: dict[bytes, Place] = {}


def place_of(path: bytes) -> Place:
    """Return a path's parts; the last one asked for is kept, since every risk asks for it."""
    found = _places.get(path)
    if found is None:
        _places.clear()
        found = _places[path] = Place(path)
    return found


def places(change: Change) -> "Iterator[Place]":
    """Yield the places that a change is about: for a rename the old one too."""
    yield place_of(change.path)
    if change.source:
        yield Place(change.source)


class Table(Struct):
    """Names that mean something to a tool. All in lower case."""

    names: frozenset[str] = frozenset()  # of the file itself
    folders: frozenset[str] = frozenset()  # all that lies in such a folder, and the folder
    suffixes: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()  # runs of parts: (".github", "workflows")

    def meets(self, place: Place, *, is_folder: bool = False) -> bool:
        """Say whether a place is in the table. A folder is by what it holds, not by how it ends."""
        name = place.name
        return (
            (not is_folder and self._names(name))
            or not self.folders.isdisjoint(place.parts)
            or any(place.inside(*path) for path in self.paths if path[0] in place.parts)
        )

    def _names(self, name: str) -> bool:
        return (
            name in self.names
            or bool(self.suffixes and name.endswith(self.suffixes))
            or bool(self.prefixes and name.startswith(self.prefixes))
        )


def by_path(change: Change, table: Table, risk: str, why: str) -> "Iterator[Finding]":
    """Yield a finding where a table names the change."""
    is_folder = {side.kind for side in (change.before, change.after) if side is not None} == {DIRECTORY}
    if any(table.meets(place, is_folder=is_folder) for place in places(change)):
        yield Finding(path=change.path, risk=risk, why=f"{verb(change)} {why}")


def verb(change: Change) -> str:
    """Return what was done, as the start of a reason."""
    return "removes" if change.after is None else "adds" if change.before is None else "changes"


def excerpt_of(line: bytes) -> str:
    """Return a line as it may be printed, cut."""
    shown = text.shown(line[: 4 * LONGEST_EXCERPT].strip())[0]
    return shown if len(shown) <= LONGEST_EXCERPT else shown[:LONGEST_EXCERPT] + "…"


def new_lines(
    change: Change, content: Content, pattern: "re.Pattern[bytes]", risk: str, why: str
) -> "Iterator[Finding]":
    """Yield a finding for each new line that a pattern matches, and one for how many more there are."""
    if content.after is None or not pattern.search(content.after):
        return
    hits = [(number, line) for number, line in content.added() if pattern.search(line)]
    for number, line in hits[:MOST_A_FILE]:
        yield Finding(path=change.path, risk=risk, why=why, line=number, excerpt=excerpt_of(line))
    if len(hits) > MOST_A_FILE:
        more = len(hits) - MOST_A_FILE
        yield Finding(path=change.path, risk=risk, why=f"{why}: {more} more lines", line=hits[MOST_A_FILE][0])
