"""S23: gVisor's own openings: sockets and fifos of the host, its network, file systems of users, its console.

The battery leaves a listening socket and a fifo in the project. A sentry that passes the host's through
(`--host-uds`, `--host-fifo`) lets a program inside talk to whoever made them.
"""

import os
import socket

from ringfence.verify.prelude import NO_FILE, NO_PEER, Tally, can_open, read_text

_HOSTS = frozenset({95, 6})  # EOPNOTSUPP, ENXIO: a socket file, and nobody's


def attack(facts):
    """Tell the kernel, and use each opening."""
    tally = Tally()
    version = read_text("/proc/version")
    tally.expect("the kernel", "gVisor" in version or _says_gvisor(), version.strip()[:60] or "unknown")
    for path in facts.get("project_sockets", []):
        tally.refuse(f"connect to {path}", lambda path=path: _connect(path), NO_PEER | _HOSTS)
    for path in facts.get("project_fifos", []):
        tally.refuse(f"write to {path}", lambda path=path: _write(path), NO_FILE | _HOSTS)
    names = {name for _, name in socket.if_nameindex()}
    tally.expect("interfaces", names <= {"lo", "eth0"}, ", ".join(sorted(names)))
    for path in ("/dev/cuse", "/dev/nvidia0", "/dev/accel0", "/proc/sentry-meminfo"):
        tally.refuse(path, lambda path=path: can_open(path, os.O_RDWR), NO_FILE)
    return tally.finding()


def _says_gvisor():
    return os.path.exists("/proc/sentry-meminfo") or "systrap" in read_text("/proc/cpuinfo")


def _connect(path):
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(3)
    try:
        end.connect(path)
    finally:
        end.close()


def _write(path):
    """Write where a reader waits outside: opening succeeds at once where the fifo is the host's."""
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fd, b"ringfence-verify")
    finally:
        os.close(fd)
