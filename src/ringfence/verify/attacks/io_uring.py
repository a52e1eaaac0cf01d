"""S04: io_uring, whose operations (socket, openat, connect) no system-call filter sees."""

import ctypes

from ringfence.verify.prelude import Tally, syscall


def attack(_facts):
    """Set up a ring, and use the two calls that would drive one."""
    tally = Tally()
    parameters = ctypes.create_string_buffer(120)
    tally.refuse("io_uring_setup", lambda: syscall("io_uring_setup", 4, parameters))
    tally.refuse("io_uring_enter", lambda: syscall("io_uring_enter", -1, 0, 0, 0, None, 0))
    tally.refuse("io_uring_register", lambda: syscall("io_uring_register", -1, 0, None, 0))
    return tally.finding()
