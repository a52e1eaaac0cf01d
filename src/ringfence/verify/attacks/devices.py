"""S11: devices: made with mknod(2), or there to be opened."""

import os
import stat
import tempfile

from ringfence.verify.prelude import NO_FILE, Tally, can_open

# The whole of bubblewrap's --dev, and what a terminal session adds
_HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)}  # null zero full random urandom tty ptmx
_TERMINALS = {3, 4, 5, 136, 137, 138, 139, 140, 141, 142, 143}
_NAMED = (
    "mem", "kmem", "port", "kmsg", "kvm", "fuse", "cuse", "loop-control", "loop0", "net/tun", "vhost-net",
    "vhost-vsock", "vsock", "uinput", "userfaultfd", "mapper/control", "btrfs-control", "snd/seq", "rfkill",
    "cpu/0/msr", "vda", "sda", "nvme0n1", "dm-0", "zram0", "ppp", "nvram", "dri/card0", "bus/usb", "hwrng",
    "tty0", "ttyS0", "vcs", "autofs",
)  # fmt: skip


def attack(_facts):
    """Make device nodes wherever files can be made, open those that a host has, and list what is there."""
    tally = Tally()
    for folder in (tempfile.gettempdir(), "/dev/shm", os.getcwd(), "/dev"):
        for name, kind, device in (
            ("mem", stat.S_IFCHR, (1, 1)),
            ("disk", stat.S_IFBLK, (8, 0)),
            ("kvm", stat.S_IFCHR, (10, 232)),
        ):
            path = os.path.join(folder, f".ringfence-verify-{name}")
            tally.refuse(
                f"mknod {name} in {folder}", lambda p=path, k=kind, d=device: _make(p, k, d), NO_FILE
            )
    for name in _NAMED:
        tally.refuse(f"/dev/{name}", lambda name=name: _opened(f"/dev/{name}"), NO_FILE | {16, 21})
    strange = _strange_devices()
    tally.expect("devices below /dev", not strange, ", ".join(strange[:6]) or "only the harmless ones")
    return tally.finding()


def _make(path, kind, device):
    os.mknod(path, kind | 0o600, os.makedev(*device))
    os.unlink(path)


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
