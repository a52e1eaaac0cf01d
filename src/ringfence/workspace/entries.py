"""What stands at one name, as a value: read without following, waiting for or running anything.

A name is looked at first; only a regular file is opened, and what was opened has to be what was looked
at. Contents are read in pieces and never beyond the size seen at the start, so that a file which grows
meanwhile ends; a file that is mostly holes and larger than anyone reads stays unread.
"""

import errno
import os
import stat

from ringfence.errors import HostError
from ringfence.workspace import beneath
from ringfence.workspace.layers import DIRECTORY, FILE, LINK, OTHER, Entry, Layers

LARGEST_SPARSE = 4 << 30  # bytes of a file that is mostly holes: beyond, it is not read
_BLOCK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def root(path: str, what: str) -> int:
    """Open a root by its real path."""
    try:
        return beneath.open_real_root(path)
    except OSError as error:
        raise HostError(
            f"{what} {path!r} cannot be opened: {error.strerror}", hint="was it moved or removed?"
        ) from error


def project_root(layers: Layers) -> int:
    """Open the project, which has to be the folder that it was when the session began."""
    fd = root(layers.workspace, "the project")
    status = os.fstat(fd)
    if layers.root not in {(0, 0), (status.st_dev, status.st_ino)}:
        os.close(fd)
        raise HostError(
            f"another folder stands at {layers.workspace!r} than when session {layers.session} began",
            hint="put the project back where it was; the session's changes are about that folder",
        )
    return fd


def joined(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder."""
    return folder + b"/" + name if folder else name


def status_at(folder: int, name: bytes) -> os.stat_result | None:
    """Return what stands at a name of an open folder; None where nothing does."""
    if folder < 0:
        return None
    try:
        return beneath.status(folder, name)
    except FileNotFoundError:
        return None


def opened(folder: int, name: bytes, path: bytes, seen: os.stat_result, *, lift: bool) -> int:
    """Open the regular file that was seen; with `lift` also one whose owner may not read it.

    A mode is lifted in the layer only: in the project that would change the change time.
    """
    try:
        fd = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        raise
    except PermissionError:
        if not lift:
            raise
        held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            _same(os.fstat(held), seen, path)
            fd = beneath.reopen(held, _READ & ~os.O_NOFOLLOW)
        finally:
            os.close(held)
    except OSError as error:  # a link, a socket: no longer the file that was seen
        raise moved(path) from error
    try:
        _same(os.fstat(fd), seen, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _same(now: os.stat_result, seen: os.stat_result, path: bytes) -> None:
    if (now.st_dev, now.st_ino, stat.S_IFMT(now.st_mode)) != (
        seen.st_dev,
        seen.st_ino,
        stat.S_IFMT(seen.st_mode),
    ):
        raise moved(path)


def moved(path: bytes) -> HostError:
    """Return the error for a layer that changes while it is read."""
    return HostError(f"{path!r} changed while it was read", hint="end the session, then look again")


def digest(fd: int, size: int) -> str:
    """Return the SHA-256 of the first `size` bytes of an open file."""
    import hashlib  # OpenSSL's is four times faster than the interpreter's own

    if size < _BLOCK:
        return hashlib.sha256(os.read(fd, size)).hexdigest()
    made = hashlib.sha256()
    left = size
    while left:
        piece = os.read(fd, min(_BLOCK, left))
        if not piece:
            break
        made.update(piece)
        left -= len(piece)
    return made.hexdigest()


def too_sparse(status: os.stat_result) -> bool:
    """Tell whether a file is so large and so empty that reading it would only cost time."""
    return status.st_size > LARGEST_SPARSE and status.st_blocks * 512 < status.st_size // 2


def entry_of(status: os.stat_result, kind: str) -> Entry:
    """Return what a look gave, without content."""
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        size=status.st_size if kind == FILE else 0,
        target=what_is(status) if kind == OTHER else b"",
        inode=(status.st_dev, status.st_ino),
        links=status.st_nlink if kind == FILE else 1,
    )


def folder_of(status: os.stat_result) -> Entry:
    """Return a folder as an entry."""
    return entry_of(status, DIRECTORY)


def link_of(folder: int, name: bytes, status: os.stat_result) -> Entry:
    """Return a symbolic link as an entry. Its mode means nothing."""
    try:
        target = os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise moved(name) from error
    return Entry(kind=LINK, mode=0o777, target=target, inode=(status.st_dev, status.st_ino))


def what_is(status: os.stat_result) -> bytes:
    """Name what is neither file nor folder nor link."""
    kind = stat.S_IFMT(status.st_mode)
    if kind in {stat.S_IFCHR, stat.S_IFBLK}:
        sort = "character" if kind == stat.S_IFCHR else "block"
        return f"{sort} device {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}".encode()
    if kind == stat.S_IFREG:
        return f"file of {status.st_size} bytes, mostly holes".encode()
    if kind == stat.S_IFDIR:
        return b"folder that cannot be looked into"
    return {stat.S_IFIFO: b"fifo", stat.S_IFSOCK: b"socket"}.get(kind, b"unknown")
