"""Work on very many files, shared among forked processes: one slice each, the results in order.

What is asked of every file (open, read, hash, write) keeps one processor busy while the others idle, and
Python's threads cannot share such work. So the list is cut into as many slices as there are processors;
this process takes the first itself, and children made by fork, which have all that it has in hand, the
others. A child hands back what it found, or what went wrong, by a pipe.

Whatever happens, no child outlives the call: an error in one slice ends all, and the kernel kills the
children of a process that is killed. What they hold of the caller's locks stays held until then. Where
a slice must not end between two calls of its own (`carried`), an error waits for the others.
"""

import ctypes
import marshal
import os
import signal

from ringfence.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

LEAST = 500  # files: below that, starting a process costs more than it brings
FEW = 100  # of those that take longer: whose lines are compared or shown
MOST = 4  # processes
_PDEATHSIG = 1  # prctl(2)
_GOOD, _BAD = b"+", b"-"


def shared(work: "Sequence[Any]", act: "Callable[[Sequence[Any]], list[Any]]", least: int = 0) -> "list[Any]":
    """Return `act` of the work: of each slice in a process of its own. Results are what marshal(3) takes."""
    return each(cut(work, least), act)


def cut(work: "Sequence[Any]", least: int = 0) -> "list[Sequence[Any]]":
    """Return the slices of the work, one for each process that is worth it.

    `least`: how much is worth a process of its own; LEAST unless told.
    """
    count = min(_processors(), MOST, len(work) // (least or LEAST))
    if count < 2:
        return [work]
    size = -(-len(work) // count)
    return [work[at : at + size] for at in range(0, len(work), size)]


def each(slices: "Sequence[Sequence[Any]]", act: "Callable[[Sequence[Any]], list[Any]]") -> "list[Any]":
    """Return `act` of all slices, each in a process of its own."""
    if len(slices) == 1:
        return act(slices[0])
    children: list[tuple[int, int]] = []
    try:
        children.extend(_child(one, act) for one in slices[1:])
        found = act(slices[0])
        for _, pipe in children:
            found += _result(_said(pipe))
    finally:
        for pid, pipe in children:
            os.close(pipe)
            os.kill(pid, signal.SIGKILL)  # it has said all, or nobody listens
            os.waitpid(pid, 0)
    return found


def carried(slices: "Sequence[Sequence[Any]]", act: "Callable[[Sequence[Any]], list[Any]]") -> "list[Any]":
    """Return what `each` does; but when this raises, every slice has come to an end of its own."""
    if len(slices) == 1:
        return act(slices[0])
    children: list[tuple[int, int]] = []
    try:
        children.extend(_child(one, act) for one in slices[1:])
        found = act(slices[0])
    finally:
        said = _heard_out(children)
    for one in said:
        found += _result(one)
    return found


def _heard_out(children: "list[tuple[int, int]]") -> list[bytes]:
    """Return what all children said once they have ended; who presses Ctrl-C has to wait for that."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        said = []
        for pid, pipe in children:
            said.append(_said(pipe))
            os.close(pipe)
            os.waitpid(pid, 0)
        return said
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _child(work: "Sequence[Any]", act: "Callable[[Sequence[Any]], list[Any]]") -> tuple[int, int]:
    """Start on a slice; return the process and the pipe that its result comes by."""
    parent = os.getpid()
    pipe, out = os.pipe()
    pid = os.fork()
    if pid:
        os.close(out)
        return pid, pipe
    try:
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells all; the parent decides
        if os.getppid() == parent:
            _tell(out, work, act)
    finally:
        os._exit(0)  # nothing of the parent's is flushed, closed or ended here


def _tell(out: int, work: "Sequence[Any]", act: "Callable[[Sequence[Any]], list[Any]]") -> None:
    try:
        said = _GOOD + marshal.dumps(act(work))
    except BaseException as error:  # noqa: BLE001 - the parent raises it
        import pickle

        said = _BAD + pickle.dumps(error)
    while said:
        said = said[os.write(out, said) :]


def _said(pipe: int) -> bytes:
    with open(pipe, "rb", closefd=False) as file:
        return file.read()


def _result(said: bytes) -> "list[Any]":
    """Return what a child found; raise what it raised."""
    if said[:1] == _GOOD:
        return list(marshal.loads(said[1:]))  # noqa: S302 - our own child's
    if said[:1] == _BAD:
        import pickle

        raise pickle.loads(said[1:])  # noqa: S301 - our own child's
    raise HostError(
        "a process that was to share the work was ended from outside; nothing was written",
        hint="is there enough memory? Then try again",
    )
