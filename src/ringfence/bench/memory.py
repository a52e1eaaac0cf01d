"""How much memory a session takes: the shares of all its processes, wherever they hang in the tree."""

import os
import time

from ringfence.host import engine

_STEADY = 0.02  # of the whole: no more than this changes between two looks once a session has settled
_LOOKS, _BETWEEN = 40, 0.1


def settled(launcher: int) -> int:
    """Return the bytes that a session holds once that hardly changes any more."""
    before = used(launcher)
    for _ in range(_LOOKS):
        time.sleep(_BETWEEN)
        now = used(launcher)
        if abs(now - before) <= _STEADY * now:
            return now
        before = now
    return before


def used(launcher: int) -> int:
    """Return the bytes of a launcher, everything below it, and what a container engine runs for it."""
    below = _below(launcher)
    contained = [pid for client in below for pid in _contained(client)]
    return sum(_share(pid) for pid in {*below, *contained})


def _below(top: int) -> list[int]:
    family = [top]
    for pid in family:
        family += _children(pid)
    return family


def _children(pid: int) -> list[int]:
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        return found
    return found


def _contained(client: int) -> list[int]:
    """Return the processes of the container that a client of an engine watches: shim, and what it runs."""
    words = _words(client)
    if words[:1] != ["docker"] or "start" not in words:
        return []
    socket, name = words[words.index("-H") + 1].removeprefix("unix://"), words[-1]
    try:
        first = int(engine.told(socket, "GET", f"/containers/{name}/json", what="")["State"]["Pid"])
        with open(f"/proc/{first}/stat", encoding="utf-8", errors="replace") as file:
            shim = int(file.read().rpartition(")")[2].split()[1])
    except (OSError, KeyError, ValueError):
        return []
    return _below(shim)


def _words(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\0").split("\0")
    except OSError:
        return []


def _share(pid: int) -> int:
    """Return a process's share of memory; where it hides that, all it has resident."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return _resident(pid)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
