"""Furnishing a container: what the plan says is put into it from outside, while its first program waits.

Run in a process of its own that ends when it is done. It builds the new root as for every tier, in a mount
namespace of its own; each folder at the top of that root is then copied as a detached mount and attached in
the container's mount namespace, over the empty folder of the image. The wire's inner end is made in the
container's network namespace. Everything goes when the container does: nothing has to be taken away.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import os
import stat
import sys

from ringfence.boundary import syscalls, wire
from ringfence.boundary.child import VENDOR, Channel
from ringfence.boundary.image_root import ImageBuilder
from ringfence.boundary.mounts import Builder, root_map
from ringfence.boundary.tiers.container import Box

_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV


def furnish(
    channel: Channel, box: Box, *, staging: str, workspace: str, owner: int, requests: int = -1
) -> None:
    """Be the helper for the container whose waiting program the launcher names. Never returns.

    `requests`: where sockets made in its network are asked for, for published ports. What needs nothing of
    the container is made while the engine still makes that.
    """
    step, trees = "namespaces", None
    try:
        if not os.geteuid() and not box.image:
            _leave_mounts()
            step = "mounts"
            _build(box, -1, staging, workspace, owner)
            trees = _trees(box, staging)
        message, _fds = channel.receive()
        if not message:
            return
        pid = int(message["pid"])  # type: ignore[call-overload]
        step = "namespaces"
        network = _namespace(pid, "net")
        mounts = _namespace(pid, "mnt")
        if trees is None:
            if os.geteuid():
                syscalls.setns(_namespace(pid, "user"), syscalls.CLONE_NEWUSER)
            _leave_mounts()
        step = "wire"
        gate = wire.build(inside=network)
        channel.send({"kind": gate.kind}, (*gate.listeners, gate.dns))
        if requests >= 0:
            step = "published ports"
            _leave_vendor(requests)
        if trees is None:
            step = "mounts"
            _build(box, _image_of(mounts) if box.image else -1, staging, workspace, owner)
            trees = _trees(box, staging)
        step = "container"
        theirs = _covered(pid, box)
        syscalls.setns(mounts, syscalls.CLONE_NEWNS)
        for path in theirs:
            _take_away(path)
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


def _leave_mounts() -> None:
    """Leave the host's mounts for a copy of them, which nobody else sees changing."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)


def _leave_vendor(requests: int) -> None:
    """Become the process that makes sockets in the container's network; a copy of us goes on and returns.

    The launcher knows the number of ours, and ends it. It is a new program: our memory is a copy of the
    launcher's, with the operator's environment in it.
    """
    ours = os.getpid()
    if not os.fork():
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        if os.getppid() != ours:
            os._exit(125)
        os.close(requests)
        return
    try:
        _signal.signal(17, _signal.SIG_IGN)  # SIGCHLD: nobody asks how the copy ended
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)  # joining a user namespace took it away
        os.dup2(requests, 0)
        syscalls.check_call(436, 1, 0xFFFFFFFF, 0)  # close_range(2)
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", VENDOR], {})  # noqa: S606 - no shell
    finally:
        os._exit(125)


def _namespace(pid: int, kind: str) -> int:
    """Open one of the container's namespaces; it must not be our own."""
    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(fd).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:
        raise OSError(1, f"the container has no {kind} namespace of its own")
    return fd


def _image_of(mounts: int) -> int:
    """Return a detached mount of the root that a container has, without what is mounted in it."""
    here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(mounts, syscalls.CLONE_NEWNS)
    tree = syscalls.open_tree("/", recursive=False)
    syscalls.setns(here, syscalls.CLONE_NEWNS)
    os.close(here)
    return tree


def _build(box: Box, image: int, staging: str, workspace: str, owner: int) -> None:
    idmap = None if os.geteuid() else root_map(owner)
    builder = (
        Builder(staging, owner=owner, idmap=idmap, workspace=workspace)
        if image < 0
        else ImageBuilder(staging, image, owner=owner, idmap=idmap, workspace=workspace)
    )
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
        syscalls.restrict_mount(tree, _READ_ONLY)  # also no device any more: it cannot be opened
        out.append((path, tree))
    return out


def _covered(pid: int, box: Box) -> list[str]:
    """Return what the engine has mounted in folders that ours are put over, the last first.

    The table of mounts, which is open to the agent, would name folders of the host's in it.
    """
    tops = {f"/{name}" for name in box.folders}
    with open(f"/proc/{pid}/mountinfo") as file:
        places = [line.split()[4] for line in file]
    return [path for path in reversed(places) if path.count("/") > 1 and f"/{path.split('/')[1]}" in tops]


def _take_away(path: str) -> None:
    try:
        syscalls.unmount(path)
    except OSError:
        return  # it stays where nobody can reach it


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
