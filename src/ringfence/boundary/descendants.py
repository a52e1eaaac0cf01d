"""The processes below one of ours: which of them is the command, and what they use."""

import os


def children_of(pid: int) -> tuple[int, ...]:
    """Return the children of a process, whichever of its threads made them."""
    found: tuple[int, ...] = ()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += tuple(map(int, file.read().split()))
    except OSError:
        return found
    return found


def command_of(bwrap: int) -> int:
    """Return the command's process: below bubblewrap and the first process of its namespace. 0: not there."""
    pid = bwrap
    for _ in range(2):
        below = children_of(pid)
        if not below:
            return 0
        pid = below[0]
    return pid


def receiver_of(pid: int, tier: str) -> int:
    """Return the process that a signal for the command is sent to. 0: not there yet.

    A guest's command is no process here. For a virtual machine our own child is the keeper, which tells the
    guest, and for a container the one that asks the engine; under gVisor the sentry passes what it gets
    to the first process inside, or to the terminal's foreground, also where `runsc run` ignores what a
    terminal's keys send.
    """
    if tier in {"microvm", "container"}:
        return pid
    command = command_of(pid)
    if tier != "gvisor" or not command:
        return command
    return next((one for one in children_of(command) if _is_sentry(one)), 0)


def _is_sentry(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(64).startswith(b"runsc-sandbox\0")
    except OSError:
        return False


def memory_of(pid: int) -> int:
    """Return the resident memory of a process and all below it, in bytes; shared pages count for each."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        todo += children_of(one)
        try:
            with open(f"/proc/{one}/statm") as file:
                total += int(file.read().split()[1])
        except (OSError, IndexError):
            continue
    return total * os.sysconf("SC_PAGESIZE")
