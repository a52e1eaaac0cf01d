"""The few kernel calls that Python has no door to, each raising OSError like `os` does.

Numbers above 423 are the same on every architecture (include/uapi/asm-generic/unistd.h).
"""

import ctypes
import fcntl
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REC = 16384
MS_PRIVATE = 1 << 18

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, 0x80000
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
_MOUNT_ATTR_IDMAP = 0x00100000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_AT_FDCWD = -100


def _check(result: int, what: object = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags: int) -> None:
    """Move this process into new namespaces (unshare(2))."""
    _check(_libc.unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """Join the namespace that `fd` names (setns(2))."""
    _check(_libc.setns(fd, kind))


def prctl(option: int, value: int = 0) -> None:
    """Set one attribute of this process (prctl(2))."""
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def mount(source: str | bytes, target: str | bytes, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount or remount (mount(2))."""
    _check(
        _libc.mount(
            os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()
        ),
        target,
    )


def unmount(target: str | bytes) -> None:
    """Take a mount away from its place, at once (umount2(2) with MNT_DETACH)."""
    _check(_libc.umount2(os.fsencode(target), 2), target)


def open_tree(path: str | bytes, *, recursive: bool = True) -> int:
    """Return a detached copy of the mount at `path` (open_tree(2), Linux 5.2)."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return _check(_libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags), path)


def open_tree_of(fd: int) -> int:
    """Return a detached copy of the mount at what `fd` has open, and of those below it."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE | _AT_EMPTY_PATH
    return _check(_libc.syscall(_OPEN_TREE, fd, b"", flags))


def move_mount(fd: int, target: str | bytes) -> None:
    """Attach a detached mount at `target` (move_mount(2), Linux 5.2)."""
    _check(
        _libc.syscall(_MOVE_MOUNT, fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH), target
    )


def move_mount_to(fd: int, place: int) -> None:
    """Attach a detached mount on the file or folder that `place` has open."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    _check(_libc.syscall(_MOVE_MOUNT, fd, b"", place, b"", flags))


def check_call(number: int, *arguments: object, path: object = None) -> int:
    """Make a system call by number; raise OSError where it fails."""
    return _check(_libc.syscall(number, *arguments), path)


def _setattr(fd: int, set_: int, clear: int, userns_fd: int, flags: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(set_, clear, 0, userns_fd)
    _check(_libc.syscall(_MOUNT_SETATTR, fd, b"", _AT_EMPTY_PATH | flags, attributes, 32))


def restrict_mount(fd: int, attributes: int) -> None:
    """Add MOUNT_ATTR_* to a detached mount and all below it (mount_setattr(2), Linux 5.12)."""
    _setattr(fd, attributes, 0, 0, _AT_RECURSIVE)


def restrict_only(fd: int, attributes: int) -> None:
    """Add MOUNT_ATTR_* to a detached mount, and not to those below it."""
    _setattr(fd, attributes, 0, 0, 0)


def idmap_mount(fd: int, userns_fd: int) -> None:
    """Map the owners of files in a detached mount through a user namespace (Linux 5.12)."""
    _setattr(fd, _MOUNT_ATTR_IDMAP, 0, userns_fd, 0)


def memfd(name: str, content: bytes) -> int:
    """Return an inheritable, sealed, anonymous file at offset 0 that holds `content`."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    os.write(fd, content) if len(content) < 1 << 20 else _write_all(fd, content)
    fcntl.fcntl(fd, 1033, 0x1F & ~0x10)  # F_ADD_SEALS: seal, shrink, grow, write
    os.lseek(fd, 0, 0)
    return fd


def _write_all(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]
