"""What a reading of a session's changes looked at, by which it is known that a second would find the same.

Reading compares the bytes of every file of the layer with those of the project. It need not be done again
while nothing moved: a folder's change time tells that a name came, went or was replaced, or that its mode
or an attribute changed; nobody can set it. So the folders of both sides are noted, and of the files those
that were no change, since nothing else would look at them again. What was a change is not noted: an apply
hashes its bytes anyway, and looks at what stands in the project.

A clock moves in steps. What changed within one step of the reading could change once more and show the
same time, so a reading of what is that new is no trace of anything.
"""

import os
import time

from ringfence.workspace import beneath
from ringfence.workspace.entries import joined, project_root, root, status_at
from ringfence.workspace.layers import Layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    Stamp = tuple[int, int]  # inode, change time in ns
    Pair = tuple[Stamp | None, Stamp | None]  # in the layer, in the project
    Row = tuple[bytes, Pair, list[tuple[bytes, Pair]]]  # a folder, and names in it

_STEP = 100_000_000  # ns: a tick of the kernel's clock many times over


class Trace:
    """One reading."""

    def __init__(self) -> None:
        self.began = time.time_ns()
        self._folders: dict[bytes, Pair] = {}
        self._files: dict[bytes, dict[bytes, Pair]] = {}  # by folder

    def folder(self, path: bytes, above: int, below: int) -> None:
        """Note two open folders, before their names are read."""
        lower = stamp(os.fstat(below)) if below >= 0 else None
        self._folders[path] = (stamp(os.fstat(above)), lower)
        self._files[path] = {}

    def file(self, folder: bytes, name: bytes, above: os.stat_result, below: os.stat_result | None) -> None:
        """Note what stands at a name that is no folder."""
        self._files[folder][name] = (stamp(above), None if below is None else stamp(below))

    def rows(self, changed: "frozenset[bytes]") -> "list[Row] | None":
        """Return all that has to stay as it is beside the changes; None where some of it is too new."""
        latest = self.began - _STEP
        made: list[Row] = []
        for path, pair in self._folders.items():
            files = [
                (name, both) for name, both in self._files[path].items() if joined(path, name) not in changed
            ]
            if any(
                one is not None and one[1] >= latest
                for both in (pair, *[row[1] for row in files])
                for one in both
            ):
                return None
            made.append((path, pair, files))
        return made


def stamp(status: os.stat_result) -> "Stamp":
    """Return what no change of a thing leaves the same."""
    return status.st_ino, status.st_ctime_ns


def stands(layers: Layers, rows: "list[Row]") -> bool:
    """Tell whether all is as it was noted."""
    upper = root(layers.upper, "the session's layer")
    try:
        lower = project_root(layers)
        try:
            return all(_is_same(upper, lower, row) for row in rows)
        finally:
            os.close(lower)
    finally:
        os.close(upper)


def _is_same(upper: int, lower: int, row: "Row") -> bool:
    path, pair, files = row
    above = below = -1
    try:
        above = beneath.open_folder(upper, path)
        if pair[1] is not None:
            below = beneath.open_folder(lower, path)
        if _pair(os.fstat(above), os.fstat(below) if below >= 0 else None) != pair:
            return False
        return all(_pair(status_at(above, name), status_at(below, name)) == both for name, both in files)
    except OSError:
        return False
    finally:
        for fd in (above, below):
            if fd >= 0:
                os.close(fd)


def _pair(above: os.stat_result | None, below: os.stat_result | None) -> "Pair":
    return None if above is None else stamp(above), None if below is None else stamp(below)
