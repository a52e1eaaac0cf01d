"""The keeper of a container: starts it, passes its streams on, and ends with its status.

Podman's is the one that Podman brings, watched. Docker's daemon is spoken to directly: attaching takes one
request that becomes a stream, where the engine's own client is a program that first has to start. With a
terminal the stream is bytes both ways; without, what comes is in frames behind eight bytes of head (Docker
Engine API, "Attach to a container"): which stream, and how long.

Nothing here waits for a reader: output is written where poll(2) says that it will be taken, so that signals
and the launcher's end are always heard.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import fcntl
import os
import select
import struct
import sys
import termios

from ringfence.boundary import syscalls
from ringfence.host.engine import Docker, finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.boundary.engines import Engine
    from ringfence.host.podman import Podman

_NO_KEYS = ",".join(("ctrl-@",) * 8)  # instead of Ctrl-P Ctrl-Q, which would leave the container alone
_FORWARDED = (1, 2, 3, 10, 12, 15)
_SIGWINCH, _SIGPIPE = 28, 13
_TIOCGWINSZ = 0x5413
_PIECE = 1 << 16
_TAKEN = 4096  # bytes that a pipe with room takes at once (PIPE_BUF)
_LAST = 2000  # milliseconds for what the container wrote last, once it has ended
_GONE = 125


def keep(parent: int, engine: "Engine", name: str, *, terminal: bool) -> int:
    """Be the keeper; return the status. `parent` is a descriptor of the launcher's process."""
    if isinstance(engine, Docker):
        return Keeper(parent, engine, name, terminal=terminal).run()
    return _watched(parent, engine, name)


def _watched(parent: int, engine: "Podman", name: str) -> int:
    """Run the engine's client until it ends, pass signals on; return its status."""
    wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.set_wakeup_fd(wakeup[1], warn_on_full_buffer=False)
    client = os.fork()
    if not client:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        syscalls.check_call(436, 3, 0xFFFFFFFF, 4)  # close_range(2), CLOSE_RANGE_CLOEXEC
        program, argv, environment = engine.client(name, _NO_KEYS)
        os.execve(program, argv, environment)  # noqa: S606 - no shell
    for number in _FORWARDED:
        _signal.signal(number, lambda _number, _frame: None)
    end, poll = os.pidfd_open(client), select.poll()
    for fd in (parent, end, wakeup[0]):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _events in poll.poll():
            if fd == parent:
                engine.remove(name)
                os.kill(client, 9)
                return 125
            if fd == end:
                status = os.waitstatus_to_exitcode(os.waitpid(client, 0)[1])
                return 128 - status if status < 0 else status
            for number in os.read(wakeup[0], 64):
                if number in _FORWARDED:
                    engine.signal(name, number)


class Keeper:
    """The loop of one container of Docker's."""

    def __init__(self, parent: int, engine: Docker, name: str, *, terminal: bool) -> None:
        """`parent` is a descriptor of the launcher's process: without it the container ends."""
        self._parent, self._engine, self._name = parent, engine, name
        self._terminal = terminal
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._input = b""  # read here, not taken by the container yet
        self._output: list[tuple[int, bytes]] = []  # to which descriptor, and what
        self._unread: set[int] = set()  # of our streams, those that nobody reads
        self._frames = b""
        self._reading = True  # standard input has not ended
        self._flowing = True  # the container's output has not ended
        self._answer = b""  # to our question how it ends
        self._status: int | None = None

    def run(self) -> int:
        """Start the container and return its status once it is gone."""
        self._catch()
        try:
            self._stream = self._engine.attach(self._name)
            self._end = self._engine.ended(self._name)
            refused = self._engine.start(self._name)
        except OSError as error:
            return self._failed(f"does not answer: {error.strerror or error}")
        if refused:
            return self._failed(f"refused to start the container: {refused}")
        if self._terminal:
            _make_raw()
            self._resize()
        os.set_blocking(self._stream, False)
        return self._loop()

    def _loop(self) -> int:
        self._poll.register(self._parent, select.POLLIN)
        self._poll.register(self._wakeup[0], select.POLLIN)
        self._poll.register(self._end, select.POLLIN)
        while self._status is None or self._flowing or self._output:
            waits = self._interests()
            found = self._poll.poll(None if self._status is None else _LAST)
            for fd in waits:
                self._poll.unregister(fd)
            if not found:
                break  # somebody else holds the container's output open
            for fd, events in found:
                if fd == self._parent:
                    self._engine.remove(self._name)
                    return _GONE
                self._handle(fd, events)
        return _GONE if self._status is None else self._status

    def _interests(self) -> list[int]:
        """Register what may go on now: each way by itself, reading waits for what is to be written."""
        stream = (select.POLLIN if self._flowing and not self._output else 0) | (
            select.POLLOUT if self._input else 0
        )
        waits = {self._stream: stream} if stream else {}
        if self._reading and not self._input:
            waits[0] = select.POLLIN
        if self._output:
            to = self._output[0][0]
            waits[to] = waits.get(to, 0) | select.POLLOUT
        for fd, events in waits.items():
            self._poll.register(fd, events)
        return list(waits)

    def _handle(self, fd: int, events: int) -> None:
        if fd == self._wakeup[0]:
            self._signals()
        elif fd == self._end:
            self._ended()
        elif fd == self._stream:
            if events & select.POLLOUT:
                self._send()
            if events & ~select.POLLOUT:
                self._receive()
        else:
            if self._output and fd == self._output[0][0] and events & ~select.POLLIN:
                self._write()
            if fd == 0 and self._reading and events & ~select.POLLOUT:
                self._read()

    # --- the streams ---------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            self._input = os.read(0, _PIECE)
        except OSError:
            self._input = b""
        if not self._input:
            self._reading = False
            finish(self._stream)

    def _send(self) -> None:
        try:
            self._input = self._input[os.write(self._stream, self._input) :]
        except BlockingIOError:
            return
        except OSError:  # the container takes nothing more
            self._input, self._reading = b"", False

    def _receive(self) -> None:
        try:
            data = os.read(self._stream, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._flowing = False
        elif self._terminal:
            self._output.append((1, data))
        else:
            self._frames += data
            self._unpack()

    def _unpack(self) -> None:
        """Take whole frames apart, and what has come of one that is not whole yet."""
        while len(self._frames) >= 8:
            kind, length = struct.unpack_from(">BxxxI", self._frames)
            data = self._frames[8 : 8 + length]
            if not data:
                return
            self._output.append((2 if kind == 2 else 1, data))
            left = length - len(data)
            head = struct.pack(">BxxxI", kind, left) if left else b""
            self._frames = head + self._frames[8 + len(data) :]

    def _write(self) -> None:
        to, data = self._output.pop(0)
        try:
            data = data[os.write(to, data[:_TAKEN]) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads it any more: the command is told as a pipe would have told it
            data = b""
            if to not in self._unread:
                self._unread.add(to)
                self._engine.signal(self._name, _SIGPIPE)
        if data:
            self._output.insert(0, (to, data))

    # --- its end -------------------------------------------------------------------------------

    def _ended(self) -> None:
        try:
            data = os.read(self._end, _PIECE)
        except OSError:
            data = b""
        self._answer += data
        if data:
            return
        self._poll.unregister(self._end)
        head, _, body = self._answer.partition(b"\r\n\r\n")
        code = body.partition(b'"StatusCode":')[2].lstrip()
        digits = code[: len(code) - len(code.lstrip(b"0123456789"))]
        if b" 200 " in head.split(b"\n")[0] and digits:
            self._status = int(digits) & 0xFF
        else:
            self._status = self._failed("ended before the container did")

    def _failed(self, what: str) -> int:
        sys.stderr.write(f"ringfence: {self._engine.where} {what}\n")
        return _GONE

    # --- signals -------------------------------------------------------------------------------

    def _catch(self) -> None:
        _signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for number in (*_FORWARDED, _SIGWINCH):
            _signal.signal(number, lambda _number, _frame: None)
        _signal.signal(_SIGPIPE, _signal.SIG_IGN)

    def _signals(self) -> None:
        for number in os.read(self._wakeup[0], 64):
            if number == _SIGWINCH:
                self._resize()
            elif number in _FORWARDED:
                self._engine.signal(self._name, number)

    def _resize(self) -> None:
        if not self._terminal:
            return
        try:
            rows, columns = struct.unpack_from("HH", fcntl.ioctl(0, _TIOCGWINSZ, bytes(8)))
            self._engine.resize(self._name, rows, columns)
        except OSError:
            return


def _make_raw() -> None:
    """Let our terminal pass on what comes: the container's own does the rest (cfmakeraw(3))."""
    attributes = termios.tcgetattr(0)
    attributes[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    attributes[1] &= ~termios.OPOST
    attributes[2] = attributes[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    attributes[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(0, termios.TCSANOW, attributes)
