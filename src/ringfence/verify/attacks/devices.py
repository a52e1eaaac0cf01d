"""S11: devices: made with mknod(2), or there to be opened."""

import contextlib
import fcntl
import os
import stat
import struct
import tempfile

from ringfence.verify.prelude import NO_FILE, Tally, can_open

# The whole of bubblewrap's --dev, and what a terminal session adds
_HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)}  # null zero full random urandom tty ptmx
_TERMINALS = {3, 4, 5, 136, 137, 138, 139, 140, 141, 142, 143}
_NAMED = (
    "mem", "kmem", "port", "kmsg", "kvm", "fuse", "cuse", "loop-control", "loop0", "net/tun", "vhost-net",
    "vhost-vsock", "vsock", "uinput", "userfaultfd", "mapper/control", "btrfs-control", "snd/seq", "rfkill",
    "cpu/0/msr", "vda", "sda", "nvme0n1", "dm-0", "zram0", "ppp", "nvram", "dri/card0", "bus/usb", "hwrng",
    "tty0", "ttyS0", "vcs", "autofs", "hvc0",
)  # fmt: skip

_IN_MEMORY = {"/tmp", "/dev/shm", "/dev"}  # tmpfs in every tier with a kernel of its own
_TUNSETIFF = 0x400454CA


def attack(facts):
    """Make device nodes wherever files can be made, open those that a host has, and list what is there."""
    tally = Tally()
    own = facts.get("own_kernel")
    make = _made_and_opened if own else _make
    opened = _used if own else _opened
    for folder in (tempfile.gettempdir(), "/dev/shm", os.getcwd(), "/dev"):
        for name, kind, device in (
            ("mem", stat.S_IFCHR, (1, 1)),
            ("disk", stat.S_IFBLK, (8, 0)),
            ("kvm", stat.S_IFCHR, (10, 232)),
        ):
            path = os.path.join(folder, f".ringfence-verify-{name}")
            tally.refuse(f"mknod {name} in {folder}", lambda p=path, k=kind, d=device: make(p, k, d), NO_FILE)
    for name in _NAMED:
        tally.refuse(f"/dev/{name}", lambda name=name: opened(f"/dev/{name}"), NO_FILE | {16, 21})
    tried = {f"/dev/{name}" for name in _NAMED} if own else set()  # used above, which says more
    strange = [one for one in _strange_devices() if one not in tried]
    tally.expect("devices below /dev", not strange, ", ".join(strange[:6]) or "only the harmless ones")
    return tally.finding()


def _make(path, kind, device):
    os.mknod(path, kind | 0o600, os.makedev(*device))
    os.unlink(path)


def _made_and_opened(path, kind, device):
    """Where a kernel of the session's own makes the node: what it opens there is the prize.

    Not so on a file system that the host sees as well, where the node would be the host's.
    """
    os.mknod(path, kind | 0o600, os.makedev(*device))
    try:
        if os.path.dirname(path) in _IN_MEMORY:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    finally:
        os.unlink(path)


def _used(path):
    """Open a device of the session's own kernel, and do with it what it is there for."""
    fd = -1
    with contextlib.suppress(PermissionError):
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if path == "/dev/net/tun":
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"rfverify", 0x1001))
        elif path == "/dev/fuse":
            os.read(fd, 1 << 16)  # EPERM: it serves no mount, and nothing inside may make one
    finally:
        os.close(fd)


def _opened(path):
    try:
        can_open(path, os.O_RDWR)
    except PermissionError:
        can_open(path)


def _strange_devices():
    found = []
    for folder, _, files in os.walk("/dev"):
        for name in files:
            path = os.path.join(folder, name)
            status = os.stat(path, follow_symlinks=False)
            if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
                continue
            number = (os.major(status.st_rdev), os.minor(status.st_rdev))
            console = (
                number[0] in _TERMINALS
                and folder.startswith(("/dev/pts", "/dev"))
                and name in {"console", "tty", "ptmx"}
            )
            if number not in _HARMLESS and not folder.startswith("/dev/pts") and not console:
                found.append(path)
    return sorted(found)
