"""S09: calls that are for the machine's owner, or whose kernel code has a record of holes.

Arguments are chosen so that nothing happens even where the call is allowed: bad magic numbers,
names of nothing, null pointers.
"""

import ctypes

from ringfence.verify.prelude import Tally, can_open, in_child, syscall

_AT_FDCWD = -100


def attack(_facts):
    """Make each of them."""
    tally = Tally()
    zeros = ctypes.create_string_buffer(256)
    for name, arguments in (
        ("bpf", (0, zeros, 128)),
        ("userfaultfd", (1,)),
        ("kexec_load", (0, 0, None, 0xFFFF)),
        ("kexec_file_load", (-1, -1, 0, None, 0xFFFF)),
        ("init_module", (None, 0, b"")),
        ("finit_module", (-1, b"", 0)),
        ("delete_module", (b"ringfence_verify_none", 0o4000)),
        ("open_by_handle_at", (_AT_FDCWD, zeros, 0)),
        ("name_to_handle_at", (_AT_FDCWD, b"/", zeros, zeros, 0)),
        ("quotactl", (0, b"/nothing", 0, zeros)),
        ("quotactl_fd", (-1, 0, 0, zeros)),
        ("acct", (b"/nonexistent/ringfence",)),
        ("swapon", (b"/nonexistent/ringfence", 0)),
        ("swapoff", (b"/nonexistent/ringfence",)),
        ("reboot", (0, 0, 0, None)),
        ("iopl", (3,)),
        ("ioperm", (0x80, 1, 1)),
        ("settimeofday", (None, None)),
        ("clock_settime", (0, None)),
        ("clock_adjtime", (0, None)),
        ("sethostname", (b"", -1)),
        ("setdomainname", (b"", -1)),
        ("syslog", (10, None, 0)),
        ("fanotify_init", (0, 0)),
        ("move_pages", (0, 0, None, None, None, 0)),
        ("migrate_pages", (0, 0, None, None)),
        ("modify_ldt", (0, None, 0)),
        ("lookup_dcookie", (0, None, 0)),
        ("process_madvise", (-1, None, 0, 0, 0)),
    ):
        tally.refuse(name, lambda name=name, arguments=arguments: in_child(lambda: syscall(name, *arguments)))
    tally.refuse(
        "personality(ADDR_NO_RANDOMIZE)", lambda: in_child(lambda: syscall("personality", 0x0040000))
    )
    tally.refuse("/dev/userfaultfd", lambda: can_open("/dev/userfaultfd"), frozenset({1, 2, 13}))
    return tally.finding()
