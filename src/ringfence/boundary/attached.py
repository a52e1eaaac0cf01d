"""The keeper of a container: passes its streams and signals on, and ends with its status.

Docker's daemon is spoken to directly: its own client would take longer to start than all of ours, and waits
until the container is not only ended but removed. Podman has no daemon, so its program is the client.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import _socket
import fcntl
import os
import select
import struct
import sys

from ringfence.boundary import syscalls
from ringfence.canonical import decode
from ringfence.errors import BoundaryError
from ringfence.host.engine import Docker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.boundary.engines import Engine
    from ringfence.host.podman import Podman

_SIGPIPE, _SIGWINCH = 13, 28
_FORWARDED = (1, 2, 3, 10, 12, 15)
_NO_KEYS = ",".join(("ctrl-@",) * 8)  # instead of Ctrl-P Ctrl-Q, which would leave the container alone
_MOST = 1 << 16  # bytes on their way in
_TCGETS, _TCSETS, _TIOCGWINSZ = 0x5401, 0x5402, 0x5413


def keep(parent: int, engine: "Engine", name: str, terminal: int | None) -> int:
    """Start the container and stay until it ends; return its status. `parent`: the launcher's descriptor."""
    wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.set_wakeup_fd(wakeup[1], warn_on_full_buffer=False)
    numbers = (*_FORWARDED, _SIGWINCH) if isinstance(engine, Docker) else _FORWARDED
    for number in numbers:
        _signal.signal(number, lambda _number, _frame: None)
    if not isinstance(engine, Docker):
        return _by_program(parent, engine, name, wakeup[0])
    try:
        return Streams(parent, engine, name, terminal, wakeup[0]).run()
    except (BoundaryError, OSError) as error:
        sys.stderr.write(f"ringfence: {error}\n")
        engine.remove(name)
        return 125


def _by_program(parent: int, engine: "Podman", name: str, wakeup: int) -> int:
    client = os.fork()
    if not client:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        for number in _FORWARDED:
            _signal.signal(number, _signal.SIG_DFL)
        syscalls.check_call(436, 3, 0xFFFFFFFF, 4)  # close_range(2), CLOSE_RANGE_CLOEXEC
        os.chdir("/")
        program, argv, environment = engine.client(name, _NO_KEYS)
        os.execve(program, argv, environment)  # noqa: S606 - no shell
    end, poll = os.pidfd_open(client), select.poll()
    for fd in (parent, end, wakeup):
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
            for number in os.read(wakeup, 64):
                if number in _FORWARDED:
                    engine.signal(name, number)


class Streams:
    """A container of Docker's, attached to our standard streams."""

    def __init__(self, parent: int, engine: Docker, name: str, terminal: int | None, wakeup: int) -> None:
        self._parent, self._engine, self._name = parent, engine, name
        self._terminal, self._wakeup = terminal, wakeup
        self._in = bytearray()  # read from our input, not yet taken
        self._frames = bytearray()  # of the container's output, where it has no terminal
        self._ended = False  # our input
        self._unread: set[int] = set()  # outputs of ours that nobody reads any more
        self._status: int | None = None
        self._answer = b""
        self._poll = select.poll()

    def run(self) -> int:
        """Attach, start, pass on; return the status of the container's command."""
        self._line, early = self._engine.hijacked(
            f"/containers/{self._name}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        )
        self._waiting = self._engine.asking("POST", f"/containers/{self._name}/wait?condition=next-exit")
        self._engine.start(self._name)
        if self._terminal is not None:
            _make_raw(self._terminal)
            self._resize()
        for fd in (self._parent, self._wakeup, self._waiting, self._line, 0):
            self._poll.register(fd, select.POLLIN)
        if early:
            self._out(early)
        while True:
            for fd, events in self._poll.poll():
                if fd == self._parent:
                    self._engine.remove(self._name)
                    return 125
                self._happened(fd, events)
            if self._status is not None and self._line < 0:
                return self._status

    def _happened(self, fd: int, events: int) -> None:
        if fd == self._wakeup:
            self._signals()
        elif fd == self._waiting:
            self._wait()
        elif fd == 0:
            self._read()
        else:
            if events & select.POLLOUT:
                self._write()
            if events & ~select.POLLOUT:
                self._receive()

    def _signals(self) -> None:
        for number in os.read(self._wakeup, 64):
            if number == _SIGWINCH:
                self._resize()
            elif number in _FORWARDED:
                self._engine.signal(self._name, number)

    def _resize(self) -> None:
        if self._terminal is None:
            return
        rows, columns, _x, _y = struct.unpack("=HHHH", fcntl.ioctl(self._terminal, _TIOCGWINSZ, bytes(8)))
        self._engine.resize(self._name, rows, columns)

    def _wait(self) -> None:
        """Read how the container ended."""
        piece = os.read(self._waiting, 4096)
        self._answer += piece
        if piece:
            return
        self._poll.unregister(self._waiting)
        os.close(self._waiting)
        self._waiting = -1
        _head, _, body = self._answer.partition(b"\r\n\r\n")
        try:
            self._status = int(decode(body)["StatusCode"])
        except (ValueError, KeyError, TypeError):
            raise BoundaryError("the container engine went away", hint="its log says more") from None

    def _read(self) -> None:
        """Take what comes in, and pass its end on."""
        try:
            data = os.read(0, _MOST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._in += data
        self._ended = self._ended or not data
        if self._ended or len(self._in) >= _MOST:
            self._poll.unregister(0)
        self._write()

    def _write(self) -> None:
        if self._line < 0:
            return
        full = len(self._in) >= _MOST
        line = _socket.socket(fileno=os.dup(self._line))
        try:
            if self._in:
                del self._in[: line.send(self._in, 0x40)]  # MSG_DONTWAIT
            if self._ended and not self._in:
                line.shutdown(1)  # SHUT_WR
        except BlockingIOError:
            pass
        except OSError:  # it takes nothing any more
            self._in.clear()
        finally:
            line.close()
        if full and len(self._in) < _MOST and not self._ended:
            self._poll.register(0, select.POLLIN)
        self._poll.modify(self._line, select.POLLIN | (select.POLLOUT if self._in else 0))

    def _receive(self) -> None:
        try:
            data = os.read(self._line, _MOST)
        except OSError:
            data = b""
        if data:
            self._out(data)
            return
        self._poll.unregister(self._line)
        os.close(self._line)
        self._line = -1

    def _out(self, data: bytes) -> None:
        """Write what came out; without a terminal in frames: stream, three zeros, length, content."""
        if self._terminal is not None:
            self._show(1, data)
            return
        self._frames += data
        while len(self._frames) >= 8:
            stream, length = struct.unpack_from(">BxxxI", self._frames)
            if len(self._frames) < 8 + length:
                return
            self._show(2 if stream == 2 else 1, bytes(self._frames[8 : 8 + length]))
            del self._frames[: 8 + length]

    def _show(self, fd: int, data: bytes) -> None:
        rest = memoryview(data if fd not in self._unread else b"")
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(fd, select.POLLOUT)
                waiting.poll()
            except OSError:  # nobody reads: what a program here would be told, once
                if fd not in self._unread:
                    self._unread.add(fd)
                    self._engine.signal(self._name, _SIGPIPE)
                return


def _make_raw(terminal: int) -> None:
    """Have a terminal pass every byte on: the one inside does what a terminal does."""
    settings = bytearray(fcntl.ioctl(terminal, _TCGETS, bytes(60)))
    taken, given, control, local = struct.unpack_from("=IIII", settings)
    taken &= ~0o2753  # IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
    given &= ~0o1  # OPOST
    control = control & ~0o460 | 0o60  # CSIZE PARENB, CS8
    local &= ~0o100113  # ISIG ICANON ECHO ECHONL IEXTEN
    struct.pack_into("=IIII", settings, 0, taken, given, control, local)
    settings[17 + 6], settings[17 + 5] = 1, 0  # VMIN, VTIME
    fcntl.ioctl(terminal, _TCSETS, bytes(settings))
