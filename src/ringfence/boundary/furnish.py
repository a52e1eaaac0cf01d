"""Furnishing a container: what the plan says is put into it from outside, while its first program waits.

Run in a process of its own that ends when it is done. It builds the new root as for every tier, in a mount
namespace of its own; each folder at the top of that root is then copied as a detached mount and attached in
the container's mount namespace, over the empty folder of the image. The wire's inner end is made in the
container's network namespace. Everything goes when the container does: nothing has to be taken away.
"""

import os
import stat

from ringfence.boundary import syscalls, wire
from ringfence.boundary.child import Channel
from ringfence.boundary.environment import INSIDE
from ringfence.boundary.mounts import Builder, root_map
from ringfence.boundary.tiers.container import Box

_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV


def furnish(channel: Channel, pid: int, box: Box, *, staging: str, workspace: str, owner: int) -> None:
    """Be the helper for the container whose waiting program is `pid`. Never returns."""
    step = "namespaces"
    try:
        network = _namespace(pid, "net")
        mounts = _namespace(pid, "mnt")
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        step = "wire"
        gate = wire.build(inside=network)
        channel.send({"kind": gate.kind}, (*gate.listeners, gate.dns))
        step = "mounts"
        _build(box, staging, workspace, owner)
        trees = _trees(box, staging)
        step = "container"
        syscalls.setns(mounts, syscalls.CLONE_NEWNS)
        syscalls.unmount(INSIDE)  # the program from there runs already; the mount table would name its folder
        for target, tree in trees:
            _attach(target, tree)
        channel.send({"done": 1})
    except OSError as error:
        name = error.filename
        what = os.fsdecode(name) if isinstance(name, str | bytes) else ""
        channel.send(
            {"step": step, "errno": error.errno or 0, "text": error.strerror or str(error), "what": what}
        )
    except BaseException as error:  # noqa: BLE001 - the launcher must hear of it, whatever it is
        channel.send({"step": step, "errno": 0, "text": f"{type(error).__name__}: {error}", "what": ""})
    finally:
        os._exit(0)


def _namespace(pid: int, kind: str) -> int:
    """Open one of the container's namespaces; it must not be our own."""
    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(fd).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:
        raise OSError(1, f"the container has no {kind} namespace of its own")
    return fd


def _build(box: Box, staging: str, workspace: str, owner: int) -> None:
    builder = Builder(staging, owner=owner, idmap=root_map(owner), workspace=workspace)
    for mount in box.mounts:
        try:
            builder.put(mount, box.hidden)
        except OSError as error:
            raise OSError(error.errno, error.strerror, mount.target) from None
    os.mkdir(f"{staging}/nothing", 0o555)
    os.close(builder.root)


def _trees(box: Box, staging: str) -> list[tuple[str, int]]:
    """Return what is attached: (where, detached mount)."""
    out = []
    for name in box.folders:
        place = f"{staging}/root/{name}"
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise OSError(20, "is no folder", f"/{name}")
        tree = syscalls.open_tree(place)
        if not os.path.ismount(place):
            _seal(tree)
        out.append((f"/{name}", tree))
    hidden = syscalls.open_tree(f"{staging}/nothing")
    syscalls.restrict_mount(hidden, _READ_ONLY)
    out.append(("/sys", hidden))
    for path in box.covered:
        tree = syscalls.open_tree("/dev/null", recursive=False)
        syscalls.restrict_mount(tree, syscalls.MOUNT_ATTR_RDONLY)
        out.append((path, tree))
    return out


def _seal(tree: int) -> None:
    """Make a folder of the new root itself read-only, and leave the mounts in it as they are."""
    syscalls.restrict_only(tree, _READ_ONLY)


def _attach(target: str, tree: int) -> None:
    """Attach a mount in the container, where no link of the image's is followed."""
    place = os.open(target, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        syscalls.move_mount_to(tree, place)
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from None
    finally:
        os.close(place)
        os.close(tree)
