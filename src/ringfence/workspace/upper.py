"""Walking what a session wrote: how much of it there is, cheaply and without trusting any of it.

Folders are opened one below the other by descriptor, no link followed. What cannot be looked into
counts as one entry. What a change is exactly says `changes`; here are the numbers for one line.
"""

import os
import stat
import time

from ringfence.value import Struct
from ringfence.workspace import beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 3.0  # seconds for a walk: an agent can make a tree that takes longer than anybody would wait
LEAST = 4096  # bytes that an entry counts for, so that a quota bounds the number of files too
_BLOCK = 512  # of st_blocks, stat(2)


class Usage(Struct):
    """What lies in a layer."""

    entries: int = 0  # files, links, deletions, and folders with nothing in them
    size: int = 0  # bytes on disk; of a sparse file only what is there, of hard links one
    complete: bool = True  # False: there is more, the walk took too long


def walk(root: str) -> "Iterator[tuple[bytes, os.stat_result, bool]]":
    """Yield the path and status of everything below `root`, and whether it is a folder with entries.

    Ends early where it takes too long: `usage` tells.
    """
    top = beneath.open_root(root)
    until = time.monotonic() + PATIENCE
    try:
        todo = [b""]
        while todo and time.monotonic() < until:
            folder = todo.pop()
            try:
                fd = beneath.open_folder(top, folder)
            except OSError:
                continue  # gone, or closed by its owner: its own row was told by its parent
            try:
                yield from _folder(fd, folder, todo)
            finally:
                os.close(fd)
    finally:
        os.close(top)


def _folder(fd: int, folder: bytes, todo: list[bytes]) -> "Iterator[tuple[bytes, os.stat_result, bool]]":
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            path = folder + b"/" + name if folder else name
            filled = stat.S_ISDIR(status.st_mode) and _is_filled(fd, name)
            if filled:
                todo.append(path)
            yield path, status, filled


def _is_filled(parent: int, name: bytes) -> bool:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return False
    try:
        with os.scandir(fd) as entries:
            return next(entries, None) is not None
    finally:
        os.close(fd)


def usage(root: str) -> Usage:
    """Return how much lies below `root`."""
    entries, size = 0, 0
    began = time.monotonic()
    linked: set[tuple[int, int]] = set()
    for _path, status, filled in walk(root):
        entries += not filled
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            if identity in linked:
                continue
            linked.add(identity)
        size += max(status.st_blocks * _BLOCK, LEAST)
    return Usage(entries=entries, size=size, complete=time.monotonic() - began < PATIENCE)
