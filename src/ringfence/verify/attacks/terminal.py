"""S01: typing into the operator's terminal, where the shell would run it once the session is over.

The request number is also given with high bits set, which the kernel ignores and careless filters
do not (CVE-2019-7303). The battery looks afterwards at what waits to be read in the terminal.
"""

import contextlib
import ctypes
import os

from ringfence.verify.prelude import Tally, syscall

_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
_NO_TERMINAL = frozenset({1, 13, 25, 5, 6, 2})  # EPERM EACCES ENOTTY EIO ENXIO ENOENT


def attack(facts):
    """Push characters by every descriptor of a terminal there is, and see whose terminals they are."""
    tally = Tally()
    for fd in (0, 1, 2):
        own = os.isatty(fd) and _identity(fd) != facts.get("terminal")
        tally.expect(
            f"terminal at descriptor {fd}",
            own or not os.isatty(fd),
            "not the operator's" if own else "the operator's own",
        )
    for name, fd in _terminals():
        for bits in (0, 1 << 32, 0xFFFFFFFF << 32):
            for request, call in ((_TIOCSTI, "TIOCSTI"), (_TIOCLINUX, "TIOCLINUX")):
                high = " with high bits" if bits else ""
                tally.refuse(
                    f"{call}{high} on {name}", lambda fd=fd, r=request | bits: _push(fd, r), _NO_TERMINAL
                )
    return tally.finding()


def _identity(fd):
    status = os.fstat(fd)
    return [status.st_dev, status.st_ino, status.st_rdev]


def _push(fd, request):
    signed = request - (1 << 64) if request >= 1 << 63 else request
    syscall("ioctl", fd, signed, ctypes.create_string_buffer(b"R"))


def _terminals():
    found = [(f"descriptor {fd}", fd) for fd in (0, 1, 2) if os.isatty(fd)]
    with contextlib.suppress(OSError):
        found.append(("/dev/tty", os.open("/dev/tty", os.O_RDWR)))
    return found
