"""S07: new namespaces and mounts, by the old calls and the new ones, and a sandbox within the sandbox.

With a user namespace of its own a process has all capabilities in it: it could undo mounts that
hide files, and reach kernel code that only root reaches otherwise.
"""

import ctypes
import os
import shutil
import signal
import struct
import tempfile

from ringfence.verify.prelude import NO_FILE, REFUSED, NotPossibleHere, Tally, in_child, number, syscall

_FLAGS = {
    "NEWTIME": 0x80, "NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000,
    "NEWUSER": 0x10000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000,
}  # fmt: skip
_MS_BIND, _MNT_DETACH, _AT_FDCWD = 4096, 2, -100


def attack(_facts):
    """Make each kind of namespace three ways, mount every way, enter other namespaces, nest bubblewrap."""
    tally = Tally()
    for name, flag in _FLAGS.items():
        tally.refuse(f"unshare({name})", lambda flag=flag: in_child(lambda: syscall("unshare", flag)))
    tally.refuse("unshare(NEWUSER|NEWNS)", lambda: in_child(lambda: syscall("unshare", 0x10020000)))
    for name in ("NEWUSER", "NEWNS", "NEWNET"):
        tally.refuse(f"clone({name})", lambda name=name: in_child(lambda: _clone(_FLAGS[name])))
    tally.refuse("clone3(NEWUSER)", lambda: in_child(_clone3))
    _mounts(tally)
    for pid in ("self", "1"):
        for kind in ("user", "mnt", "net", "pid"):
            tally.refuse(f"setns {pid}/{kind}", lambda p=pid, k=kind: in_child(lambda: _enter(p, k)), NO_FILE)
    tally.refuse("chroot", lambda: in_child(lambda: syscall("chroot", b"/proc")))
    tally.refuse("nested bwrap", _nested)
    return tally.finding()


def _clone(flag):
    """Fork by the raw call: the child of the child ends at once."""
    child = syscall("clone", flag | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _clone3():
    arguments = struct.pack("=11Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = syscall("clone3", ctypes.create_string_buffer(arguments, len(arguments)), len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _mounts(tally):
    folder = tempfile.mkdtemp(prefix="ringfence-verify-").encode()
    try:
        tally.refuse("mount tmpfs", lambda: _mounted(folder, b"tmpfs", 0))
        tally.refuse("mount proc", lambda: _mounted(folder, b"proc", 0))
        tally.refuse("mount overlay", lambda: _mounted(folder, b"overlay", 0), REFUSED)
        tally.refuse("mount --bind", lambda: _mounted(folder, b"", _MS_BIND))
        tally.refuse("umount2", lambda: syscall("umount2", folder + b"/nothing", _MNT_DETACH))
        tally.refuse("pivot_root", lambda: syscall("pivot_root", folder + b"/nothing", folder + b"/nothing"))
        tally.refuse("open_tree", lambda: os.close(syscall("open_tree", _AT_FDCWD, folder, 0x80001)))
        tally.refuse("fsopen", lambda: os.close(syscall("fsopen", b"tmpfs", 0)))
        tally.refuse("fspick", lambda: os.close(syscall("fspick", _AT_FDCWD, folder, 0)))
        tally.refuse("fsconfig", lambda: syscall("fsconfig", -1, 6, None, None, 0))
        tally.refuse("fsmount", lambda: syscall("fsmount", -1, 0, 0))
        tally.refuse("move_mount", lambda: syscall("move_mount", -1, b"", _AT_FDCWD, folder, 4))
        attributes = struct.pack("=4Q", 0, 0, 0, 0)
        tally.refuse("mount_setattr", lambda: syscall("mount_setattr", _AT_FDCWD, folder, 0, attributes, 32))
    finally:
        os.rmdir(folder)


def _mounted(folder, kind, flags):
    syscall("mount", b"/proc" if flags else b"none", folder, kind, flags, None)
    syscall("umount2", folder, _MNT_DETACH)  # it worked: leave nothing behind


def _enter(pid, kind):
    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
    syscall("setns", fd, 0)


def _nested():
    program = shutil.which("bwrap")
    if not program:
        raise NotPossibleHere("no bwrap inside")
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    argv = [program, "--unshare-user", "--dev-bind", "/", "/", "/bin/true"]
    child = os.posix_spawn(program, argv, {}, file_actions=quiet)
    if os.waitpid(child, 0)[1] != 0:
        raise PermissionError(1, "bwrap failed")


number("unshare")  # an architecture without a table is said once, not in forty tries
