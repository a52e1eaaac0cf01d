"""S24: the virtual machine's own openings: network cards, vsock, the ports to its keeper, its firmware.

The guest's root is the boundary's, never the command's. What the guest has beyond the wire's card, the
file server, the console and the random source would be a way to the host.
"""

import os
import socket

from ringfence.verify.prelude import NO_FILE, NO_SOCKET, Tally, can_open, read_text, syscall

_CARDS = {"lo", "eth0"}
_DEVICES = {"1": "network", "3": "console", "4": "random", "26": "files"}  # virtio's numbers (virtio 1.2, §5)
_PORTS = (
    "vport0p1",
    "vport1p1",
    "vport2p1",
    "rf.say",
    "rf.ctl",
    "rf.in",
    "rf.out",
    "rf.err",
    "hvc0",
    "ttyS0",
)
_AF_VSOCK, _HOST = 40, 2


def attack(facts):
    """Count cards and devices; reach for the keeper's ports, the host's vsock, memory and firmware."""
    tally = Tally()
    cards = {name for _, name in socket.if_nameindex()}
    tally.expect("network cards", cards <= _CARDS, ", ".join(sorted(cards)))
    strange = _strange()
    tally.expect("virtio devices", not strange, ", ".join(strange) or "network, console, random, files")
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        tally.refuse("AF_VSOCK", lambda kind=kind: os.close(syscall("socket", _AF_VSOCK, kind, 0)), NO_SOCKET)
    for name in _PORTS:
        tally.refuse(f"/dev/{name}", lambda name=name: can_open(f"/dev/{name}", os.O_RDWR), NO_FILE)
    for path in (
        "/proc/kcore",
        "/dev/mem",
        "/sys/firmware/qemu_fw_cfg/raw",
        "/sys/firmware/acpi/tables/DSDT",
    ):
        tally.refuse(path, lambda path=path: _read(path), NO_FILE)
    boot = read_text("/proc/sys/kernel/random/boot_id").strip()
    tally.expect("the kernel's run", bool(boot) and boot != facts.get("boot"), "not the host's")
    return tally.finding()


def _strange():
    """Return the kinds of virtio devices that a session's machine has no use for."""
    found = []
    place = "/sys/bus/virtio/devices"
    for name in os.listdir(place) if os.path.isdir(place) else ():
        kind = str(int(read_text(f"{place}/{name}/device").strip() or "0", 16))
        if kind not in _DEVICES:
            found.append(f"virtio {kind}")
    return found


def _read(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not os.read(fd, 1):
            raise PermissionError(1, "empty")
    finally:
        os.close(fd)
