"""Files below a folder that a hostile process could write: the only door by which they are touched.

What an agent left may be anything that it could make: links out of the tree, fifos that block who opens
them, devices, folders that nobody may enter, paths longer than the kernel takes at once. So each path is
resolved by openat2(2) below an open folder with no link followed, no `..`, and no mount crossed; what is
opened is looked at (O_PATH, which has no effect on a device) before it is opened for reading, and by that
same descriptor. Names are bytes, as the kernel has them.

Needs Linux 5.6 and /proc; without them each call is an error, never a less careful way.
"""

import ctypes
import errno
import fcntl
import os
import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPENAT2 = 437  # the same on every architecture (include/uapi/asm-generic/unistd.h)
_RENAMEAT2 = {"x86_64": 316}.get(os.uname().machine, 276)
_NOREPLACE, _EXCHANGE = 1, 2
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 1, 2, 4, 8
_ALL = _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
_AT_FDCWD = -100
_AGAIN = 32  # how often the kernel may ask to try again (a rename meanwhile)
_LONGEST_NAME = 255
_LONGEST_PATH = 4000  # bytes resolved at once; the kernel's limit is 4,095
_DEEPEST = 64  # folders open at a time while a tree is removed
_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602  # FS_IOC_*
_IMMUTABLE = 0x10 | 0x20  # immutable, append-only

_libc = None


class Unsafe(OSError):  # noqa: N818 - it says what the path is
    """A path that no honest change set holds: absolute, with `..`, empty parts or a NUL."""


def check_path(path: bytes) -> bytes:
    """Return a relative path as it is, or raise Unsafe."""
    parts = path.split(b"/")
    if b"\0" in path or any(part in {b"", b".", b".."} or len(part) > _LONGEST_NAME for part in parts):
        raise Unsafe(errno.EINVAL, "not a path below the root", path)
    return path


def open_root(path: str | bytes) -> int:
    """Open a folder of ours; the last part of its path must be no link."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def open_real_root(path: str | bytes) -> int:
    """Open a folder by its real path: no part of it may have become a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    return _openat2(_AT_FDCWD, os.fsencode(path), flags, 0, _NO_SYMLINKS | _NO_MAGICLINKS)


def open_at(root: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open what stands at `path` below `root`: no link is followed, no mount crossed."""
    rest = check_path(path)
    base = root
    try:
        while len(rest) > _LONGEST_PATH:
            cut = rest.rindex(b"/", 0, _LONGEST_PATH)
            base, done = _openat2(base, rest[:cut], os.O_PATH | os.O_DIRECTORY, 0, _ALL), base
            rest = rest[cut + 1 :]
            _close_unless(done, root)
        return _openat2(base, rest, flags | os.O_NOFOLLOW, mode, _ALL)
    finally:
        _close_unless(base, root)


def open_parent(root: int, path: bytes) -> tuple[int, bytes]:
    """Open the folder that holds `path`; return it, to be closed by the caller, and the last name."""
    folder, _, name = check_path(path).rpartition(b"/")
    if not folder:
        return os.dup(root), name
    return open_at(root, folder, os.O_RDONLY | os.O_DIRECTORY), name


def open_folder(root: int, path: bytes) -> int:
    """Open a folder for reading its names; b"" is the root itself."""
    return open_at(root, path, os.O_RDONLY | os.O_DIRECTORY) if path else os.dup(root)


def open_file(root: int, path: bytes) -> int:
    """Open a regular file for reading; anything else is OSError (EINVAL) and was never opened."""
    fd = open_at(root, path, os.O_PATH)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return reopen(fd, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(fd)


def reopen(fd: int, flags: int) -> int:
    """Open what an O_PATH descriptor stands for; lift its mode for that where its owner may not read it."""
    way = f"/proc/self/fd/{fd}"
    try:
        return os.open(way, flags | os.O_CLOEXEC)
    except PermissionError:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        os.chmod(way, mode | stat.S_IRUSR)
        try:
            return os.open(way, flags | os.O_CLOEXEC)
        finally:
            os.chmod(way, mode)


def lstat(root: int, path: bytes) -> os.stat_result:
    """Return what stands at `path`, itself; b"" is the root."""
    if not path:
        return os.fstat(root)
    fd = open_at(root, path, os.O_PATH)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def exists(root: int, path: bytes) -> bool:
    """Tell whether something stands at `path`; a part on the way that is a link or a file means no."""
    try:
        lstat(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
    return True


def read_link(root: int, path: bytes) -> bytes:
    """Return where a link points."""
    fd = open_at(root, path, os.O_PATH)
    try:
        return os.readlink(b"", dir_fd=fd)
    finally:
        os.close(fd)


def names(folder: int) -> list[bytes]:
    """Return the names in an open folder, sorted by their bytes."""
    return sorted(map(os.fsencode, os.listdir(folder)))


def status(folder: int, name: bytes) -> os.stat_result:
    """Return what stands at a name (no path) in an open folder, itself."""
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def attributes(root: int, path: bytes) -> dict[str, bytes]:
    """Return the extended attributes of what stands at `path`, itself."""
    fd = open_at(root, path, os.O_PATH)
    try:
        way = f"/proc/self/fd/{fd}"
        return dict(_attributes(way))
    finally:
        os.close(fd)


def _attributes(way: str) -> "Iterator[tuple[str, bytes]]":
    try:
        found = os.listxattr(way)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for name in found:
        yield name, os.getxattr(way, name)


def move(folder: int, name: bytes, to_folder: int, to: bytes) -> None:
    """Rename a name of one open folder into another; what stands there already is never replaced."""
    _rename(folder, name, to_folder, to, _NOREPLACE)


def exchange(folder: int, name: bytes, other_folder: int, other: bytes) -> None:
    """Let two names of open folders change places, at once."""
    _rename(folder, name, other_folder, other, _EXCHANGE)


def _rename(folder: int, name: bytes, to_folder: int, to: bytes, flags: int) -> None:
    call = _libc.syscall if _libc is not None else _syscall()
    if call(_RENAMEAT2, folder, name, to_folder, to, flags) < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed), to)


def remove(root: int, path: bytes) -> None:
    """Remove what stands at `path`, folders with all in them; never across a mount or through a link."""
    parent, name = open_parent(root, path)
    try:
        remove_name(parent, name)
    finally:
        os.close(parent)


def remove_name(parent: int, name: bytes) -> None:
    """Remove one name of an open folder, with all below it; a name that is gone is fine."""
    try:
        is_folder = stat.S_ISDIR(status(parent, name).st_mode)
    except FileNotFoundError:
        return
    if is_folder:
        fd = _open_up(parent, name)
        try:
            empty(fd)
        finally:
            os.close(fd)
    _unlink(parent, name, is_folder=is_folder)


def empty(folder: int) -> None:
    """Remove all that an open folder holds.

    A tree deeper than descriptors last is moved up piece by piece: what lies _DEEPEST below is renamed
    into the top, to be removed from there.
    """
    while left := names(folder):
        for name in left:
            _remove_deep(folder, folder, name, 0)


def _remove_deep(top: int, parent: int, name: bytes, depth: int) -> None:
    try:
        is_folder = stat.S_ISDIR(status(parent, name).st_mode)
    except FileNotFoundError:
        return
    if not is_folder:
        _unlink(parent, name, is_folder=False)
        return
    fd = _open_up(parent, name)
    try:
        if depth >= _DEEPEST:
            os.rename(name, os.urandom(16).hex(), src_dir_fd=parent, dst_dir_fd=top)
            return
        for inner in names(fd):
            _remove_deep(top, fd, inner, depth + 1)
    finally:
        os.close(fd)
    _unlink(parent, name, is_folder=True)


def _open_up(parent: int, name: bytes) -> int:
    """Open a folder that is to be removed, even one that its owner may not enter (mode 000)."""
    held = _openat2(parent, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, 0, _ALL)
    try:
        way = f"/proc/self/fd/{held}"
        if stat.S_IMODE(os.fstat(held).st_mode) & 0o700 != 0o700:
            _allow(lambda: os.chmod(way, 0o700), parent, name)
        return os.open(way, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(held)


def _unlink(parent: int, name: bytes, *, is_folder: bool) -> None:
    def act() -> None:
        if is_folder:
            os.rmdir(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    _allow(act, parent, name)


def _allow(act: "Callable[[], None]", parent: int, name: bytes) -> None:
    """Do it; where an immutable flag stands in the way (only root can set one), take that off first."""
    try:
        act()
    except PermissionError:
        _clear_flags(parent, b".")
        _clear_flags(parent, name)
        act()


def _clear_flags(parent: int, name: bytes) -> None:
    mode = status(parent, name).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, _GETFLAGS, bytes(8)))
        if flags & _IMMUTABLE:
            fcntl.ioctl(fd, _SETFLAGS, struct.pack("l", flags & ~_IMMUTABLE))
    except OSError:  # a file system without such flags: they are not what stood in the way
        return
    finally:
        os.close(fd)


def _openat2(folder: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_AGAIN):
        fd = _syscall()(_OPENAT2, folder, path, how, 24)
        if fd >= 0:
            return int(fd)
        number = ctypes.get_errno()
        if number not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(number, os.strerror(number), path)


def _syscall() -> "ctypes._NamedFuncPointer":
    global _libc  # noqa: PLW0603 - loaded once, and only where files are touched
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
        _libc.syscall.restype = ctypes.c_long
    return _libc.syscall


def _close_unless(fd: int, kept: int) -> None:
    if fd != kept:
        os.close(fd)
