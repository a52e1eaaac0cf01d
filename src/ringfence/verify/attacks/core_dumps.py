"""S18: a crash inside, whose memory would be handed to a program on the host or left in the project.

A core_pattern that starts with `|` makes the kernel run a program as root *on the host* for each
crash, whatever RLIMIT_CORE says, but for the one value 1, which stops both (core(5),
fs/coredump.c).
"""

import os
import resource
import signal

from ringfence.verify.prelude import Tally, read_text


def attack(_facts):
    """Read the limit that holds here, try to raise it, crash a process and look for its core."""
    tally = Tally()
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    pattern = read_text("/proc/sys/kernel/core_pattern").strip()
    if pattern.startswith("|") or not pattern:
        tally.expect(
            "core handler on the host",
            (soft, hard) == (1, 1),
            f"pattern {pattern[:20] or 'unknown'!r}, limit {hard}",
        )
    else:
        tally.expect("core limit", 0 <= hard <= 1, f"hard limit {hard}")
    tally.refuse("raise the core limit", lambda: _raise_limit(hard))
    before = set(os.listdir())
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    new = sorted(set(os.listdir()) - before)
    for name in new:
        if name.startswith("core"):
            os.unlink(name)
    tally.expect("core of a crashed process", not os.WCOREDUMP(status) and not new, ", ".join(new) or "none")
    return tally.finding()


def _raise_limit(hard):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (4096, max(4096, hard + 4096) if hard >= 0 else hard))
    except ValueError as error:  # Python's way of telling EPERM here
        raise PermissionError(1, os.strerror(1)) from error
