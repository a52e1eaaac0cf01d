"""The server of a pool: it has keepers made, hands claims to them, and knows nothing of boundaries itself.

One loop over poll(2): who connects, what keepers tell, whose end has come, signals, the clock. It forks
keepers and holds no thread and no boundary, so a keeper begins as a small process with all modules loaded.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import _socket
import gc
import os
import select
import sys
import time

from ringfence.boundary import launch, syscalls
from ringfence.errors import HostError
from ringfence.host.model import Host
from ringfence.pool import place
from ringfence.pool.keeper import keep
from ringfence.pool.place import OLDEST, Place
from ringfence.pool.room import check_size, memory_of
from ringfence.preparation import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BUILDERS = 2  # keepers that build at once: refilling must not slow the sessions down
SETTLES = 0.05  # seconds after a claim in which nothing is built, unless somebody waits for it
QUEUE, PATIENCE = 1024, 60.0  # claims that wait for a boundary, and seconds each does
_UNSAID = 10.0  # seconds that a connection may take to say what it wants
_BACK_OFF = (0.5, 30.0)  # seconds until the next try after one that failed, doubled up to
_GRACE = 10.0  # seconds for sessions and boundaries to end in order when the server is told to stop
_SIGINT, _SIGKILL, _SIGTERM, _SIGHUP = 2, 9, 15, 1

# What a session imports when it gets that far; imported here, once, before any keeper is forked.
_LATER = (
    "encodings.ascii", "encodings.unicode_escape", "resource",
    "ringfence.audit.heads", "ringfence.audit.log",
    "ringfence.boundary.copies", "ringfence.boundary.detector",
    "ringfence.boundary.gatehouse", "ringfence.boundary.programs", "ringfence.boundary.records",
    "ringfence.boundary.reserve", "ringfence.boundary.starting", "ringfence.boundary.telling",
    "ringfence.boundary.warden", "ringfence.workspace.changes", "ringfence.workspace.quota",
    "ringfence.workspace.snapshot", "ringfence.workspace.upper",
)  # fmt: skip

BUILDING, WAITING, CHECKING, BUSY = "building", "waiting", "checking", "busy"


class _Kept:
    """One keeper, from the server's side."""

    def __init__(self, pid: int, channel: _socket.socket) -> None:
        self.pid, self.channel = pid, channel
        self.end = os.pidfd_open(pid)
        self.state = BUILDING
        self.session = ""
        self.since = time.monotonic()

    def enter(self, state: str) -> None:
        self.state, self.since = state, time.monotonic()


class _Asked:
    """One connection."""

    def __init__(self, line: _socket.socket) -> None:
        self.line = line
        self.since = time.monotonic()
        self.message = b""
        self.fds: tuple[int, ...] = ()

    def close(self) -> None:
        self.line.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = ()


class Server:
    """The loop, and what it knows."""

    def __init__(self, request: Request, host: Host, where: Place, size: int) -> None:
        self._request, self._host, self._where, self._size = request, host, where, size
        self._listener, self._lock = place.listen(where)
        self._poll = select.poll()
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._kept: list[_Kept] = []
        self._asked: list[_Asked] = []  # connected, and nothing said
        self._queue: list[_Asked] = []  # claims that wait for a boundary
        self._about: dict[str, Any] = {}
        self._failures, self._next_try = 0, 0.0
        self._stopping = False
        self._served = 0
        self._full = False
        self._claimed = 0.0  # when the last boundary was handed out
        self._failure = ""

    def run(self) -> int:
        """Serve until a signal says stop."""
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)  # the operator's keys are in this process's environment
        self._catch()
        for name in _LATER:
            __import__(name)
        gc.freeze()
        try:
            self._register()
            while not self._stopping:
                self._turn()
        finally:
            self._stop()
            place.leave(self._where)
        if self._failure:
            sys.stderr.write(self._failure)
        return 125 if self._failure else 0

    def _catch(self) -> None:
        os.set_blocking(self._wakeup[1], False)
        _signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for number in (_SIGINT, _SIGTERM, _SIGHUP):
            _signal.signal(number, _nothing)

    def _register(self) -> None:
        for fd in (self._listener.fileno(), self._wakeup[0]):
            self._poll.register(fd, select.POLLIN)

    def _turn(self) -> None:
        self._fill()
        for fd, _events in self._poll.poll(self._timeout()):
            self._handle(fd)
        self._tidy()

    def _timeout(self) -> float | None:
        now = time.monotonic()
        until = [one.since + _UNSAID for one in self._asked] + [one.since + PATIENCE for one in self._queue]
        until += [one.since + OLDEST for one in self._kept if one.state == WAITING]
        if self._short() and self._builds_at() > now:
            until.append(self._builds_at())
        return max(0.0, min(until) - now) * 1000 + 1 if until else None

    def _handle(self, fd: int) -> None:
        if fd == self._listener.fileno():
            return self._accept()
        if fd == self._wakeup[0]:
            os.read(fd, 64)
            self._stopping = True
            return None
        for one in self._kept:
            if fd == one.channel.fileno():
                return self._heard(one)
            if fd == one.end:
                return self._gone(one)
        for asked in self._asked:
            if fd == asked.line.fileno():
                return self._said(asked)
        return None

    # --- keepers -------------------------------------------------------------------------------

    def _of(self, *states: str) -> list[_Kept]:
        return [one for one in self._kept if one.state in states]

    def _short(self) -> bool:
        return len(self._of(BUILDING, WAITING, CHECKING)) < self._size

    def _fill(self) -> None:
        """Have as many boundaries built as are missing, few at a time."""
        while (
            self._short()
            and len(self._of(BUILDING)) < BUILDERS
            and time.monotonic() >= self._builds_at()
            and not self._stopping
        ):
            self._fork()

    def _builds_at(self) -> float:
        return self._next_try if self._queue else max(self._next_try, self._claimed + SETTLES)

    def _fork(self) -> None:
        ours, theirs = _socket.socketpair(1, 5 | 0o2000000, 0)
        pid = os.fork()
        if not pid:
            keep(theirs.fileno(), self._request, self._host)
        theirs.close()
        one = _Kept(pid, ours)
        self._kept.append(one)
        for fd in (ours.fileno(), one.end):
            self._poll.register(fd, select.POLLIN)

    def _heard(self, one: _Kept) -> None:
        message, _fds = place.receive(one.channel)
        if message is None:
            self._poll.unregister(one.channel.fileno())
            return
        if "warm" in message:
            self._about, self._failures = message["warm"], 0
            one.session = str(self._about["session"])
            one.enter(WAITING)
            self._tell_state()
        elif "say" in message:
            _say(str(message["say"]))
        elif "back" in message:
            one.enter(WAITING)
        elif "session" in message:
            one.enter(BUSY)
            self._served += 1
        elif "stale" in message:
            self._renew(one, str(message["stale"]))
        elif "failed" in message:
            self._failed(one, str(message["failed"]))
        self._serve_queue()

    def _renew(self, one: _Kept, why: str) -> None:
        """Throw all away that waits: what holds for one holds for them."""
        if one.state == BUILDING:
            self._put_off()
        if not self._request.quiet:
            _say(f"{why}; new boundaries are built")
        one.enter(BUSY)
        for other in self._of(WAITING):
            self._dismiss(other)

    def _dismiss(self, one: _Kept) -> None:
        one.enter(BUSY)
        place.send(one.channel, {"drop": 1}, wait=False)

    def _failed(self, one: _Kept, text: str) -> None:
        one.enter(BUSY)
        self._put_off()
        if not self._about:  # the very first: this machine or this policy does not do it at all
            self._failure, self._stopping = text, True
            return
        sys.stderr.write(text)
        sys.stderr.flush()
        if not self._of(BUILDING, WAITING, CHECKING):
            for asked in self._queue:
                self._refuse(asked, "the pool cannot build a boundary at the moment", "its server says why")
            self._queue = []

    def _put_off(self) -> None:
        """Wait with the next try, longer each time that one fails."""
        self._failures += 1
        least, most = _BACK_OFF
        self._next_try = time.monotonic() + min(most, least * 2 ** min(self._failures, 8))

    def _gone(self, one: _Kept) -> None:
        while True:  # what it said before it ended
            message, _fds = place.receive(one.channel, wait=False)
            if not message:
                break
            if "failed" in message:
                self._failed(one, str(message["failed"]))
        for fd in (one.channel.fileno(), one.end):
            try:
                self._poll.unregister(fd)
            except KeyError:
                continue
        os.waitpid(one.pid, 0)
        os.close(one.end)
        one.channel.close()
        self._kept.remove(one)
        if one.state == BUILDING and not self._stopping:
            self._failed(one, "error: a boundary's keeper was killed\n")
        self._serve_queue()

    # --- who asks ------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                fd, _address = self._listener._accept()  # type: ignore[attr-defined] # noqa: SLF001 - socket.py costs 9 ms
            except OSError:
                return
            os.set_inheritable(fd, False)
            line = _socket.socket(1, 5, 0, fileno=fd)
            if place.peer(line)[1] != os.geteuid() or len(self._asked) >= QUEUE:
                line.close()
                continue
            asked = _Asked(line)
            self._asked.append(asked)
            self._poll.register(fd, select.POLLIN)
            self._said(asked)  # most have said it already

    def _said(self, asked: _Asked) -> None:
        data, fds = place.receive_bytes(asked.line, wait=False)
        if data is None:
            return
        self._asked.remove(asked)
        self._poll.unregister(asked.line.fileno())
        asked.message, asked.fds = data, fds
        said = place.read(data) if data else {}
        if "claim" in said and len(fds) == 3:
            self._claim(asked, said["claim"])
            return
        if "status" in said:
            place.send(asked.line, self._state(), wait=False)
        elif "waiting" in said:
            place.send(asked.line, {"keep": self._about.get("keep", [])}, wait=False)
        asked.close()

    def _claim(self, asked: _Asked, claim: object) -> None:
        workspace = claim.get("workspace") if isinstance(claim, dict) else None
        if workspace != self._request.workspace:
            self._refuse(asked, f"the pool keeps boundaries for {self._request.workspace}", "")
            return
        if len(self._queue) >= QUEUE:
            self._refuse(asked, "too many claims wait already", "give the pool a larger --size")
            return
        asked.since = time.monotonic()
        self._queue.append(asked)
        self._serve_queue()

    def _serve_queue(self) -> None:
        waiting = self._of(WAITING)
        while self._queue and waiting:
            asked = self._queue.pop(0)
            if _has_left(asked.line.fileno()):
                asked.close()
                continue
            one = waiting.pop(0)
            one.enter(CHECKING)
            self._claimed = one.since
            if not place.send_bytes(one.channel, asked.message, (asked.line.fileno(), *asked.fds)):
                self._queue.insert(0, asked)  # that one has just ended: the next may have it
                one.enter(BUSY)
                continue
            asked.close()

    def _refuse(self, asked: _Asked, text: str, hint: str) -> None:
        place.send(asked.line, {"refused": text, "hint": hint, "why": "unfit"}, wait=False)
        asked.close()

    def _tidy(self) -> None:
        now = time.monotonic()
        for asked in [one for one in self._asked if now > one.since + _UNSAID]:
            self._asked.remove(asked)
            self._poll.unregister(asked.line.fileno())
            asked.close()
        for asked in [one for one in self._queue if now > one.since + PATIENCE]:
            self._queue.remove(asked)
            self._refuse(
                asked, f"no boundary was ready within {PATIENCE:g} s", "give the pool a larger --size"
            )
        for one in self._of(WAITING):
            if now > one.since + OLDEST:
                self._dismiss(one)

    # --- about itself --------------------------------------------------------------------------

    def _state(self) -> "dict[str, Any]":
        return {
            "pid": os.getpid(),
            "workspace": self._request.workspace,
            "command": os.path.basename(self._request.argv[0]),
            "size": self._size,
            "waiting": len(self._of(WAITING)),
            "building": len(self._of(BUILDING)),
            "sessions": len([one for one in self._of(BUSY) if one.session]),
            "served": self._served,
            "queued": len(self._queue),
            "memory": sum(memory_of(one.pid) for one in self._of(WAITING)),
            **{key: self._about[key] for key in ("tier", "digest") if key in self._about},
        }

    def _tell_state(self) -> None:
        """Say once that the pool is full for the first time."""
        if self._full or len(self._of(WAITING)) != self._size:
            return
        self._full = True
        if not self._request.quiet:
            _say(f"{self._size} boundaries wait")

    # --- the end -------------------------------------------------------------------------------

    def _stop(self) -> None:
        """End all: what waits, what is being built, and the sessions, each by its own keeper."""
        self._stopping = True
        self._listener.close()
        for asked in (*self._asked, *self._queue):
            asked.close()
        for one in self._kept:
            one.channel.close()
            _kill(one.pid, _SIGTERM)
        deadline = time.monotonic() + _GRACE
        for one in self._kept:
            poll = select.poll()
            poll.register(one.end, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                _kill(one.pid, _SIGKILL)
            os.close(one.end)
            launch.kill(one.pid)
        self._kept = []


def _has_left(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _say(text: str) -> None:
    sys.stderr.write(f"ringfence: pool: {text}\n")
    sys.stderr.flush()


def _nothing(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor tells the loop."""


def serve(request: Request, host: Host, *, name: str, size: int) -> int:
    """Keep boundaries for a request until a signal says stop."""
    check_size(size)
    if host.system != "linux":
        raise HostError("pools need Linux")
    try:
        return Server(request, host, place.of(host.state_dir, request.workspace, name), size).run()
    except OSError as error:
        raise HostError(f"the pool cannot go on: {error.strerror}") from None
