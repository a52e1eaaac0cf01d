"""Naming a process for good: its pid, and when it started."""


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; "gone" for one that is dead."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "gone"
    return "gone" if fields[0] in {"Z", "X"} else fields[19]
