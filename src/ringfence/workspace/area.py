"""The private folder in which what is to land is made, and where what was replaced then lies.

Its slots are renamed into the project, so it must be on the same mount: in the session's folder where that
is so; else, for as long as it takes, a folder of an unguessable name at the top of the workspace. Nobody
but its owner can enter either, and no name of the agent's choice is ever used in it.
"""

import errno
import os

from ringfence.errors import HostError
from ringfence.workspace import beneath, record

_NOTE = "area.json"
_NAME = "area"


def make(workspace: str, root: int, folder: str) -> str:
    """Make the area for an apply whose own folder is `folder`; return its path."""
    path = f"{folder}/{_NAME}"
    if _mount_of(root) != _mount(folder):
        path = f"{workspace}/.ringfence-{os.urandom(8).hex()}"
    record.write(folder, _NOTE, {"area": record.text(os.fsencode(path))})
    os.mkdir(path, 0o700)
    _try_exchange(path)
    return path


def is_kept(folder: str, area: str) -> bool:
    """Tell whether the area lies in the apply's own folder, where it may stay."""
    return area == f"{folder}/{_NAME}"


def kept(folder: str) -> str:
    """Return where what was replaced lies once the apply is done."""
    return f"{folder}/{_NAME}"


def noted(folder: str) -> str:
    """Return the area that was to be made for an apply, or ""."""
    found = record.read(folder, _NOTE)
    return "" if found is None else os.fsdecode(record.raw(str(found["area"])))


def remove(area: str) -> None:
    """Remove an area with all that is in it."""
    try:
        parent = beneath.open_root(os.path.dirname(area))
    except FileNotFoundError:
        return
    try:
        beneath.remove_name(parent, os.fsencode(os.path.basename(area)))
    finally:
        os.close(parent)


def _try_exchange(path: str) -> None:
    """Refuse a file system that cannot exchange two names at once: nothing there could be atomic."""
    fd = beneath.open_root(path)
    try:
        for name in (b"a", b"b"):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd))
        beneath.exchange(fd, b"a", fd, b"b")
        beneath.move(fd, b"a", fd, b"c")
        beneath.empty(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
            raise
        raise HostError(
            f"the file system of {path} cannot exchange two files at once (renameat2), so nothing is applied",
            hint="keep the project on ext4, xfs, btrfs or tmpfs; `ringfence diff` shows what changed",
        ) from None
    finally:
        os.close(fd)


def _mount(folder: str) -> str:
    fd = beneath.open_root(folder)
    try:
        return _mount_of(fd)
    finally:
        os.close(fd)


def _mount_of(fd: int) -> str:
    """Return the number of the mount that a descriptor is on: renames work within one, links or not."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        for line in file:
            if line.startswith("mnt_id:"):
                return line.split()[1]
    raise HostError("/proc does not tell the mount of an open folder", hint="mount /proc")
