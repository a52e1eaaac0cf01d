"""Watching over a session from the moment the boundary is built until nothing of it is left.

One loop over poll(2): the child's end, the first knock at the gate, the terminal, signals, and the
clock. The gate's process starts at the first knock: until then the kernel keeps connections waiting,
and a session that never talks to anybody costs neither its memory nor its start.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import _socket
import errno
import os
import select
import struct
import time

from ringfence.boundary.descendants import children_of, memory_of, receiver_of
from ringfence.boundary.limits import Group
from ringfence.boundary.notify import LISTENER
from ringfence.boundary.terminal import Terminal
from ringfence.errors import BoundaryError, HostError
from ringfence.handover import ALARM
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.boundary.covers import Covers
    from ringfence.workspace.quota import Quota

    Glance = Quota | Covers

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM, SIGWINCH = 1, 2, 3, 9, 15, 28
_FORWARDED = (SIGHUP, SIGINT, SIGQUIT, SIGTERM)
GRACE = 1.0  # seconds between a forwarded signal and the end by force
_SAMPLE = 0.2  # seconds between two looks at the memory used
_LATER = 0.3  # seconds until what a short session need not pay for
_READY_WAIT = 30.0  # seconds for bubblewrap to get as far as the command


class Line(Struct):
    """What a session that somebody else has asked for is told from outside."""

    fd: int
    told: "Callable[[], int]"  # reads it: returns a signal for the command, 0: nothing, -1: that they left


class Watch(Struct):
    """What the loop looks after."""

    pid: int  # bubblewrap, the child
    ready: int  # the entry program says here that the boundary stands, and passes its listener
    listeners: tuple[int, ...]  # of the gate, while its process has not started
    terminal: Terminal
    wall_time: float | None
    memory: int | None  # bytes, where the launcher has to watch it itself
    group: Group | None
    early: bool  # start the gate's process at once
    glance: "Glance | None" = None  # looks often whether the session has to end
    later: "Callable[[], None] | None" = None  # called once, when the session has lasted a moment
    on_stood: "Callable[[tuple[int, ...]], None] | None" = None  # gets the boundary's processes
    on_programs: "Callable[[int], None] | None" = None  # gets the listener that programs inside wait at
    line: Line | None = None
    tier: str = ""  # who passes signals on to the command depends on it
    inside: int = 0  # the first process inside, where it is not below `pid`


class Outcome(Struct):
    """How the session ended."""

    status: int  # for the shell
    reason: str = ""  # when it did not end by itself
    stood: bool = True  # whether the boundary was ever complete


class Supervisor:
    """The loop, and what it knows."""

    def __init__(self, watch: Watch, start_gate: "Callable[[int | None], int]") -> None:
        """`start_gate` gets the listener made inside (or None) and returns the gate's pid."""
        self._watch = watch
        self._start_gate = start_gate
        self._poll = select.poll()
        self._end = _descriptor_of(watch.pid)
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._handlers: dict[int, object] = {}
        self._inside_listener: int | None = None
        self._stood = False
        self._reason = ""
        self._force_at: float | None = None
        self._status = 0
        self.gate = 0  # pid of its process, once started
        self.gate_died = False  # while the session was alive
        self._gate_end = -1
        self._later = watch.later

    def run(self) -> Outcome:
        """Watch until the session is over."""
        watch = self._watch
        self._catch_signals()
        try:
            self._register()
            watch.terminal.start()
            if watch.early and watch.listeners:
                self._gate()
            status = self._loop()
        finally:
            watch.terminal.restore()
            self._release_signals()
            os.close(self._end)
            if self._gate_end >= 0:
                os.close(self._gate_end)
        return Outcome(status=status, reason=self._reason, stood=self._stood)

    def _register(self) -> None:
        watch = self._watch
        for fd in (self._end, self._wakeup[0], watch.ready, *watch.listeners):
            self._poll.register(fd, select.POLLIN)
        if watch.terminal.master >= 0:
            self._poll.register(watch.terminal.master, select.POLLIN)
        if watch.terminal.relay_input():
            self._poll.register(0, select.POLLIN)
        if watch.line is not None:
            self._poll.register(watch.line.fd, select.POLLIN)

    def _loop(self) -> int:
        started = time.monotonic()
        while True:
            for fd, _events in self._poll.poll(self._timeout(started)):
                if fd == self._end:
                    return self._ended()
                self._handle(fd)
            self._check_clock(started)

    def _timeout(self, started: float) -> float | None:
        now = time.monotonic()
        until = [self._force_at] if self._force_at is not None else []
        if self._watch.wall_time is not None:
            until.append(started + self._watch.wall_time)
        if self._watch.memory is not None:
            until.append(now + _SAMPLE)
        if self._watch.glance is not None:
            until.append(now + self._watch.glance.every)
        if self._later is not None:
            until.append(started + _LATER)
        if not self._stood:
            until.append(started + _READY_WAIT)
        return max(0.0, min(until) - now) * 1000 + 1 if until else None

    def _check_clock(self, started: float) -> None:
        now, watch = time.monotonic(), self._watch
        if now >= started + _LATER:
            self._call_later()
        if self._force_at is not None and now >= self._force_at:
            self._kill(self._reason)
        if watch.wall_time is not None and now >= started + watch.wall_time:
            self._kill(f"the session's wall time of {watch.wall_time:g} s is over")
        if not self._stood and now >= started + _READY_WAIT:
            self._kill(f"the boundary did not stand within {_READY_WAIT:g} s")
        if watch.memory is not None and not self._reason:
            used = memory_of(watch.inside or watch.pid)
            if used > watch.memory:
                self._kill(f"the session used {used} bytes of memory, more than its {watch.memory}")
        if watch.glance is not None and not self._reason:
            why = watch.glance.look()
            if why:
                self._kill(why)

    def _call_later(self) -> None:
        later, self._later = self._later, None
        if later is not None:
            later()

    def _handle(self, fd: int) -> None:
        watch = self._watch
        if fd == self._wakeup[0]:
            self._signals()
        elif fd == watch.ready:
            self._ready()
        elif fd == watch.terminal.master:
            if watch.terminal.output():
                watch.terminal.pass_typed(self._poll)
            else:
                self._poll.unregister(fd)
        elif fd == 0:
            if watch.terminal.input():
                watch.terminal.pass_typed(self._poll)
            else:
                self._poll.unregister(0)
        elif watch.line is not None and fd == watch.line.fd:
            self._told(watch.line)
        elif fd == self._gate_end:
            self._poll.unregister(fd)
            self.gate_died = True
            if _status_of(self.gate) == ALARM:
                self._kill("it was about to send out a canary: something inside steals what it finds")
        else:
            self._gate()

    def _told(self, line: Line) -> None:
        number = line.told()
        if number < 0:
            self._poll.unregister(line.fd)
            self._kill("who asked for it is gone")
        elif number:
            self._signal(number)

    def _ready(self) -> None:
        listener, said = _receive(self._watch.ready)
        if not said:
            self._poll.unregister(self._watch.ready)
            return
        if listener is not None and said == LISTENER:
            if self._watch.on_programs is not None:
                self._watch.on_programs(listener)
        elif listener is not None:
            self._inside_listener = listener
            if self._watch.early:
                self._gate()
            else:
                self._poll.register(listener, select.POLLIN)
        if b"R" in said:
            self._stood = True
            self._poll.unregister(self._watch.ready)
            if self._watch.on_stood is not None:
                self._watch.on_stood((self._watch.pid, *children_of(self._watch.pid)))

    def _gate(self) -> None:
        if self.gate:
            return
        for fd in (
            *self._watch.listeners,
            *(() if self._inside_listener is None else (self._inside_listener,)),
        ):
            try:
                self._poll.unregister(fd)
            except KeyError:
                continue
        self.gate = self._start_gate(self._inside_listener)
        self._gate_end = os.pidfd_open(self.gate)
        self._poll.register(self._gate_end, select.POLLIN)
        self._call_later()

    # --- ending --------------------------------------------------------------------------------

    def _ended(self) -> int:
        while self._watch.terminal.master >= 0 and _readable(self._watch.terminal.master):
            if not self._watch.terminal.output():
                break
        _pid, status = os.waitpid(self._watch.pid, 0)
        if not self._stood and _readable(self._watch.ready):
            _listener, said = _receive(self._watch.ready)
            self._stood = b"R" in said
        code = os.waitstatus_to_exitcode(status)
        if self._watch.tier == "gvisor" and self._stood and not self._reason and not self._told_of_end():
            return self._died()
        return self._status or (128 - code if code < 0 else code)

    def _told_of_end(self) -> bool:
        """Tell whether the first process inside has seen the command end (`boundary.reaper`)."""
        while _readable(self._watch.ready):
            _listener, said = _receive(self._watch.ready)
            if not said:
                return False
            if b"E" in said:
                return True
        return False

    def _died(self) -> int:
        """Return the status after the sentry's own death, which took the command along."""
        if self._watch.group is not None and self._watch.group.out_of_memory():
            return 128 + SIGKILL
        self._reason = (
            "gVisor's kernel (runsc) died before the command ended\n\n"
            "hint: `dmesg | tail` tells whether memory ran out here; `ringfence doctor` checks runsc"
        )
        return 125

    def _kill(self, reason: str) -> None:
        """End everything at once: bubblewrap's death takes its process namespace along."""
        self._reason = self._reason or reason
        self._force_at = None
        self._status = self._status or 128 + SIGKILL
        if self._watch.group is not None:
            self._watch.group.kill()
        try:
            os.kill(self._watch.pid, SIGKILL)
        except ProcessLookupError:
            return

    def _signals(self) -> None:
        for number in os.read(self._wakeup[0], 64):
            if number == SIGWINCH:
                self._watch.terminal.resize()
            else:
                self._signal(number)

    def _signal(self, number: int) -> None:
        if self._force_at is not None:
            self._kill(self._reason)  # asked twice
        else:
            self._forward(number)

    def _forward(self, number: int) -> None:
        """Pass a signal on to the command; what is left after the grace time ends by force."""
        if number in {SIGTERM, SIGHUP}:
            self._status = 128 + number
            self._reason = f"signal {number}"
            self._force_at = time.monotonic() + GRACE
        command = receiver_of(self._watch.pid, self._watch.tier)
        try:
            os.kill(command or self._watch.pid, number if command else SIGKILL)
        except ProcessLookupError:
            return

    def _catch_signals(self) -> None:
        os.set_blocking(self._wakeup[1], False)
        _signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for number in (*_FORWARDED, SIGWINCH):
            self._handlers[number] = _signal.signal(number, _ignore)

    def _release_signals(self) -> None:
        _signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            _signal.signal(number, handler)
        for fd in self._wakeup:
            os.close(fd)


def _descriptor_of(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        raise HostError(
            f"this kernel gives no process descriptors (pidfd_open): {error.strerror}",
            hint="Linux 5.12 or later is needed; `ringfence doctor` checks the rest",
        ) from None


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor tells the loop."""


def _receive(ready: int) -> tuple[int | None, bytes]:
    """Read what the entry program says, and the listener it may pass."""
    channel = _socket.socket(1, 5, 0, fileno=ready)
    try:
        said, control, _flags, _address = channel.recvmsg(
            64, 64, 0x40000040
        )  # MSG_CMSG_CLOEXEC | MSG_DONTWAIT
    except OSError:
        return None, b""
    finally:
        channel.detach()
    for _level, _kind, payload in control:
        return int(struct.unpack_from("=i", payload)[0]), said
    return None, said


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return any(events & select.POLLIN for _fd, events in poll.poll(0))


def _status_of(pid: int) -> int:
    """Return a dead child's exit status, and leave it to be waited for."""
    told = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return told.si_status if told is not None and told.si_code == os.CLD_EXITED else -1


def stop_gate(pid: int, control: int, seconds: float = 2.0) -> None:
    """Close the gate's control pipe and wait for it to finish its records; end it by force after that."""
    os.close(control)
    end = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(end, select.POLLIN)
    if not poll.poll(int(seconds * 1000)):
        os.kill(pid, SIGKILL)
    os.close(end)
    try:
        os.waitpid(pid, 0)
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise BoundaryError(f"the egress process could not be waited for: {error.strerror}") from None
