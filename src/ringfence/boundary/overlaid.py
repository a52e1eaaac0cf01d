"""Overlays: a folder that the agent may change at will, while what lies below stays as it is.

The kernel's overlayfs, mounted in our child's own namespaces, with these options and no others:

* `userxattr`: the marks of opaque folders and the like are `user.overlay.*`, for root as for anybody
  else, so an upper layer has one form. From inside they cannot be set or seen: the kernel keeps the
  prefix for itself. The option also rules out `redirect_dir` and `metacopy`.
* `index=off`: an upper layer can be used again, with a fresh work folder.
* `volatile`: no sync. Without it the end of a session, and each `fsync` inside, would wait for the whole
  disk (the kernel syncs the upper file system when an overlay goes). After a crash of the machine a copy
  may be incomplete, as any file that was just written; the project itself was never touched.

Layers are named by descriptor, so no path needs escaping and none shows in /proc/self/mountinfo.
"""

import os

from ringfence.boundary import syscalls

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
XATTR = "user.overlay"
_SUFFICES = "user.ringfence"  # any attribute of this namespace tells whether the kernel's could be set


def tree(lowers: tuple[int, ...], upper: int, work: int, attributes: int) -> int:
    """Return a detached overlay of `lowers`, the first on top, under `upper`."""
    context = syscalls.check_call(_FSOPEN, b"overlay", _CLOEXEC)
    try:
        for flag in (b"userxattr", b"volatile"):
            syscalls.check_call(_FSCONFIG, context, _SET_FLAG, flag, None, 0)
        options = {
            b"index": b"off",
            b"lowerdir": b":".join(map(_named, lowers)),
            b"upperdir": _named(upper),
            b"workdir": _named(work),
        }
        for name, value in options.items():
            syscalls.check_call(_FSCONFIG, context, _SET_STRING, name, value, 0)
        syscalls.check_call(_FSCONFIG, context, _CREATE, None, None, 0)
        return syscalls.check_call(_FSMOUNT, context, _CLOEXEC, attributes)
    finally:
        os.close(context)


def lower(source: str, place: str, idmap: "int | None") -> int:
    """Open a folder as a lower layer; one of root's, id-mapped, since it is to be the agent's inside.

    It is mounted at `place` then, outside of all that the agent sees: older kernels take no layer from a
    mount that is nowhere.
    """
    if idmap is None or os.stat(source).st_uid:
        return _folder(source)
    os.mkdir(place)
    tree = syscalls.open_tree(source, recursive=False)
    try:
        syscalls.idmap_mount(tree, idmap)
        syscalls.move_mount(tree, place)
    finally:
        os.close(tree)
    return _folder(place)


def _folder(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _unmount(path: str) -> None:
    try:
        syscalls.unmount(path)
    except OSError:
        return  # nothing was mounted there


def _named(fd: int) -> bytes:
    return b"/proc/self/fd/%d" % fd


def trial(workspace: str, place: str, idmap: "int | None") -> None:
    """Mount what a session would, with layers in the folder `place`, which is made and removed.

    Raises OSError where this kernel, or one of the two file systems, refuses.
    """
    upper, work = f"{place}/upper", f"{place}/work"
    os.makedirs(place, 0o700)
    try:
        os.mkdir(upper)
        os.mkdir(work)
        os.setxattr(upper, _SUFFICES, b"y")
        below = lower(workspace, f"{place}/lower", idmap)
        try:
            _mounted_once(below, upper, work)
        finally:
            os.close(below)
    finally:
        _unmount(f"{place}/lower")
        clear_work(work)
        for path in (upper, work, f"{place}/lower", place):
            _rmdir(path)


def _mounted_once(below: int, upper: str, work: str) -> None:
    layers = [_folder(path) for path in (upper, work)]
    try:
        os.close(tree((below,), layers[0], layers[1], 0))
    finally:
        for fd in layers:
            os.close(fd)


def clear_work(work: str) -> None:
    """Remove what the kernel leaves in the work folder of a volatile overlay that is gone."""
    inner = f"{work}/work/incompat/volatile"
    try:
        os.chmod(f"{work}/work", 0o700)  # the kernel makes it with no permissions
        os.unlink(f"{inner}/dirty")
    except OSError:
        pass
    for path in (inner, f"{work}/work/incompat", f"{work}/work"):
        _rmdir(path)


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return
