"""How many boundaries this machine has room for, and how much those that wait take."""

from ringfence.boundary.descendants import children_of
from ringfence.errors import HostError, UsageError

MOST = 256  # boundaries of one pool
EACH = 16 << 20  # bytes of memory that one is reckoned with while it waits


def check_size(size: int) -> None:
    """Refuse a pool that this machine has no room for."""
    if not 1 <= size <= MOST:
        raise UsageError(f"a pool keeps 1 to {MOST} boundaries, not {size}")
    room = _available() // 2
    if size * EACH > room:
        raise HostError(
            f"{size} waiting boundaries are reckoned with {size * EACH >> 20} MiB, more than half of the "
            f"{room >> 19} MiB that this machine has free",
            hint=f"--size {max(1, room // EACH)} at most",
        )


def _available() -> int:
    with open("/proc/meminfo") as file:
        rows = dict(line.split(":", 1) for line in file)
    return int(rows["MemAvailable"].split()[0]) << 10


def memory_of(pid: int) -> int:
    """Return what a keeper and all below it add to the machine's memory, in bytes."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        todo += children_of(one)
        try:
            with open(f"/proc/{one}/smaps_rollup") as file:
                rows = dict(line.split(":", 1) for line in file if ":" in line and "-" not in line[:14])
            total += int(rows["Pss"].split()[0]) << 10
        except (OSError, KeyError, ValueError):
            continue
    return total
