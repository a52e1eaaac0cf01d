"""What the host sees of a session while it is attacked: its processes, whatever kernel the command runs on.

A guest's processes are none of the host's, and bear no mark that could be looked for. What does exist
here is what runs the guest: QEMU, its file server, a sentry, its gofer. All of them lie below the launcher,
in process namespaces that are not ours; that is how they are found.
"""

import contextlib
import os
import threading
from typing import Self

from ringfence.verify import inspected

_EVERY = 0.1  # seconds

Known = frozenset[tuple[int, int]]  # (pid, when it started): a pid alone may be somebody else's later


def below(pid: int) -> Known:
    """Return the processes below this one that live in a process namespace of their own."""
    found, todo = set(), [pid]
    while todo:
        one = todo.pop()
        todo += _children(one)
        began = _began(one)
        if began and _nested(one):
            found.add((one, began))
    return frozenset(found)


def family(pid: int) -> Known:
    """Return this process and all below it."""
    found, todo = set(), [pid]
    while todo:
        one = todo.pop()
        todo += _children(one)
        if began := _began(one):
            found.add((one, began))
    return frozenset(found)


def alive(known: Known) -> Known:
    """Return those that still run."""
    return frozenset(one for one in known if _began(one[0]) == one[1])


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    return found


def _began(pid: int) -> int:
    """Return when a process started, in ticks; 0 where it is gone or only waits to be reaped."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
        return 0 if fields[0] == b"Z" else int(fields[19])
    return 0


def _nested(pid: int) -> bool:
    return _levels(pid) > _levels(os.getpid())


def _levels(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"NSpid:"):
                return len(line.split()) - 1
    return 0


class Witness:
    """Looks at a session's processes again and again, for what no attack inside can tell by itself."""

    def __init__(self, pid: int, engine: str = "", state_dir: str = "") -> None:
        """`engine`: the container engine's socket, where one makes the session."""
        self.lowered = 0  # the most processes seen at once that the kernel would spare for ours
        self.container: list[str] | None = None  # what the engine gave beyond a plan; None: not asked yet
        self._engine, self._state_dir = engine, state_dir
        self._pid = pid
        self._own = _spared(os.getpid())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            lower = sum(_spared(pid) < self._own for pid, _ in below(self._pid))
            self.lowered = max(self.lowered, lower)
            if self._engine and self.container is None:
                self.container = inspected.excess(self._engine, self._state_dir, self._pid)


def _spared(pid: int) -> int:
    """Return a process's oom_score_adj; a thousand, which nothing is below of, where it is gone."""
    with (
        contextlib.suppress(OSError, ValueError),
        open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file,
    ):
        return int(file.read())
    return 1000
