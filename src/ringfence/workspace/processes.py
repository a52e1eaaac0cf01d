"""Naming a process for good: its pid, and when it started."""

GONE = "gone"


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; GONE for one that is dead."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return GONE
    return GONE if fields[0] in {"Z", "X"} else fields[19]
