"""What stands in the project because ringfence put it there: no change of the user's, though it is new.

What has a change time later than a session's start was changed meanwhile, and is a conflict. An apply, an
undo and a rollback change things too. They write down (device, inode, change time) of each as they left
it; whoever touches it afterwards changes that time, which nobody can set.
"""

import os

from ringfence.workspace import record

_FILE = "settled.json"
Row = tuple[int, int, int]  # device, inode, change time in ns
_ROW, _BLOCK = 64, 8192  # bytes: the most that a row takes; what a file takes beside


def load(folder: str) -> frozenset[Row]:
    """Return what was settled in a session's folder."""
    found = record.read(folder, _FILE) or []
    return frozenset((row[0], row[1], row[2]) for row in found)


def size(folder: str, count: int) -> int:
    """Return how many bytes the list takes at most with so many more."""
    return _ROW * (len(load(folder)) + count) + _BLOCK


def row(status: os.stat_result) -> Row:
    """Return by what this is known again."""
    return status.st_dev, status.st_ino, status.st_ctime_ns


def add(folder: str, found: list[Row]) -> None:
    """Note how things were left."""
    if not found:
        return
    before = record.read(folder, _FILE) or []
    new = {one[:2] for one in found}
    record.write(folder, _FILE, [one for one in before if (one[0], one[1]) not in new] + found)
