"""What an apply replaced, kept where the workspace's own file system ends.

Usually it stays in its slot, on the same mount. Where the session's folder lies on another one, the slots
are copied there before the apply counts as done, and copied back for an undo.
"""

import os
import stat

from ringfence.errors import HostError
from ringfence.workspace import area, beneath, record
from ringfence.workspace.journal import Journal
from ringfence.workspace.source import write
from ringfence.workspace.steps import Site

_BLOCK = 1 << 20


def keep(site: Site, meant: Journal, kept: str) -> None:
    """Copy the slots that hold something old into a folder of the session."""
    area.remove(kept)  # what a crash left half done
    record.moment("keep")
    os.mkdir(kept, 0o700)
    to = beneath.open_root(kept)
    try:
        _copy_slots(site.area, to, meant)
    finally:
        os.close(to)


def bring_back(meant: Journal, kept: str, to: int) -> None:
    """Copy all slots kept into a new area."""
    fd = beneath.open_root(kept)
    try:
        _copy_slots(fd, to, meant)
    finally:
        os.close(fd)


def _copy_slots(folder: int, to: int, meant: Journal) -> None:
    """Copy the slots that hold what a journal's steps have replaced."""
    old = sorted({step.slot for step in meant.steps if step.slot and step.old is not None})
    for place in sorted({slot.partition("/")[0] for slot in old if "/" in slot}):
        os.mkdir(place, 0o700, dir_fd=to)
    for slot in old:
        copy(folder, to, slot.encode())
    record.sync_all(to, len(old))


def copy(folder: int, to: int, name: bytes) -> None:
    """Copy one thing between open folders: content, owner, permissions, times. A folder is empty."""
    status = beneath.status(folder, name)
    kind = stat.S_IFMT(status.st_mode)
    times = (status.st_atime_ns, status.st_mtime_ns)
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=folder), name, dir_fd=to)
    elif kind == stat.S_IFDIR:
        os.mkdir(name, 0o700, dir_fd=to)
    elif kind == stat.S_IFIFO:
        os.mkfifo(name, 0o600, dir_fd=to)
    elif kind == stat.S_IFREG:
        _copy_file(folder, to, name)
    else:
        raise HostError("a device or socket of the workspace cannot be kept for an undo: remove it by hand")
    if os.geteuid() == 0:
        os.chown(name, status.st_uid, status.st_gid, dir_fd=to, follow_symlinks=False)
    if kind != stat.S_IFLNK:
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=to)
    os.utime(name, ns=times, dir_fd=to, follow_symlinks=False)


def _copy_file(folder: int, to: int, name: bytes) -> None:
    fd = beneath.open_file(folder, name)
    try:
        out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=to)
        try:
            while block := os.read(fd, _BLOCK):
                write(out, block)
        finally:
            os.close(out)
    finally:
        os.close(fd)
