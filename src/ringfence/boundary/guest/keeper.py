"""Keeps one virtual machine: passes streams, signals and the window's size on, and ends as its command did.

Five ports lead into the guest, each a socket here and a virtio-serial port there: what it says ("ready",
"exit 7"), what it is told ("size 24 80", "signal 15"), and the command's three streams where it has no
terminal. With a terminal QEMU itself reads and writes it as the guest's console.

Nothing is sent before the guest has said that it listens: QEMU throws away what comes for a closed port. Nor
is the machine let go before all it wrote has come: QEMU throws away as well what waits in a port when the
machine goes off. Each port is a stream of its own, so the guest, told to by us once its command has ended,
puts a word that nobody could know before behind the last byte of each stream.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import fcntl
import os
import select
import struct
import termios
import time

SAY, TELL, IN, OUT, ERR, CONSOLE = range(6)
_TIOCGWINSZ, _SIOCOUTQ = 0x5413, 0x5411
_MOMENT = 2  # milliseconds
_FORWARDED = (1, 2, 10, 12, 15)
_SIGWINCH, _SIGCHLD, _SIGPIPE = 28, 17, 13
_PIECE = 1 << 16
_PATIENCE = 25.0  # seconds for a guest to start; less than the launcher has
_GOES_OFF = 1.0  # seconds
_LINES = 6  # of the kernel's words, from their beginning and from their end
_GONE = 125  # the machine ended without a word of its command


class Keeper:
    """The loop of one machine."""

    def __init__(self, ports: tuple[int, ...], ready: int, *, terminal: bool) -> None:
        """`ports` are our ends, in the order above; `ready` is told when the boundary stands."""
        self._ports = ports
        self._ready = ready
        self._terminal = terminal
        self._said = b""
        self._status: int | None = None
        self._mark = b""  # what stands behind the last byte of each stream, once the command has ended
        self._held = {} if terminal else {ports[OUT]: b"", ports[ERR]: b""}  # what may be a part of it
        self._poll = select.poll()
        self._console = b""  # what the guest's kernel said, for where it does not start
        self._begun = False  # the guest has said that it listens
        self._early = 0  # the status after a signal that came before
        self._off_at = 0.0  # all has come: when the machine has been given long enough to go off by itself
        self._ending = False  # nothing more will come for the command's standard input
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Pass everything on until the command has ended; return its status."""
        self._catch()
        self._poll.register(self._wakeup[0], select.POLLIN)
        open_ports = {self._ports[SAY]}
        if not self._terminal:
            open_ports |= {self._ports[OUT], self._ports[ERR]}
            self._poll.register(self._ports[CONSOLE], select.POLLIN)
        for fd in open_ports:
            self._poll.register(fd, select.POLLIN)
        until = time.monotonic() + _PATIENCE
        while open_ports and (self._begun or time.monotonic() < until):
            if self._ending:
                self._end_input()
            for fd, _events in self._poll.poll(self._wait()):
                if fd == self._wakeup[0]:
                    self._signals()
                elif fd == 0:
                    self._input()
                elif not self._from(fd):
                    self._poll.unregister(fd)
                    if self._status is None and fd == self._ports[SAY]:
                        return self._gone()  # QEMU has died: nothing more comes
                    open_ports.discard(fd)
            if self._early:
                return self._early
            if self._off_at and time.monotonic() > self._off_at:
                break
        return self._gone() if self._status is None or not self._off_at else self._status

    def _wait(self) -> int | None:
        """Return how long to wait for something, in milliseconds."""
        if self._ending:
            return _MOMENT
        return None if self._begun and not self._off_at else 500

    def _gone(self) -> int:
        """Say that the machine did not start, or is gone, with the words of its kernel."""
        while not self._terminal and select.select([self._ports[CONSOLE]], [], [], 0.05)[0]:
            if not self._from(self._ports[CONSOLE]):
                break
        said = b"ended before its command did" if self._begun else b"did not start"
        lines = self._console.splitlines()
        lines = lines if len(lines) <= 2 * _LINES else [*lines[:_LINES], b"...", *lines[-_LINES:]]
        words = b"".join(b"guest: " + line + b"\n" for line in lines)
        _write(2, b"ringfence: the virtual machine " + said + b"\n" + words)
        return _GONE

    def _catch(self) -> None:
        _signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for number in (*_FORWARDED, _SIGWINCH):
            _signal.signal(number, lambda _number, _frame: None)
        _signal.signal(_SIGPIPE, _signal.SIG_IGN)

    def _signals(self) -> None:
        for number in os.read(self._wakeup[0], 64):
            if number == _SIGWINCH:
                self._tell_size()
            elif not self._begun:
                self._early = 128 + number
            else:
                self._tell(f"signal {number}")

    def _from(self, fd: int) -> bool:
        """Take what the guest sent; False at the end of a port."""
        try:
            data = os.read(fd, _PIECE)
        except ConnectionResetError:
            data = b""
        if not data:
            return False
        if fd == self._ports[SAY]:
            self._hear(data)
        elif fd == self._ports[CONSOLE]:
            self._console = (self._console + data.replace(b"\0", b"").replace(b"\x1b", b""))[-16384:]
        else:
            self._pass_on(fd, data)
        return True

    def _pass_on(self, fd: int, data: bytes) -> None:
        """Write what the command wrote, up to the mark behind it; what may be its beginning has to wait."""
        to = 1 if fd == self._ports[OUT] else 2
        if not self._mark:
            _write(to, data)
            return
        if fd not in self._held:
            return  # behind the mark: of a process that was being ended
        before, found, _ = (self._held[fd] + data).partition(self._mark)
        if found:
            _write(to, before)
            del self._held[fd]
            if not self._held:
                self._let_go()
            return
        whole = len(before) - len(self._mark)
        _write(to, before[: max(0, whole)])
        self._held[fd] = before[max(0, whole) :]

    def _let_go(self) -> None:
        """Have the machine go off: everything it wrote has come."""
        self._tell("off")
        self._off_at = time.monotonic() + _GOES_OFF

    def _hear(self, data: bytes) -> None:
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            word, _, rest = line.partition(b" ")
            if word == b"ready":
                self._begin()
            elif word == b"exit" and rest.isdigit():
                self._status = int(rest) & 0xFF
                self._mark = os.urandom(16).hex().encode() + b"\n"
                self._tell("mark " + self._mark.decode().strip())
            elif word == b"drained" and self._status is not None:
                self._let_go()

    def _begin(self) -> None:
        self._begun = True
        if self._terminal:
            _leave_lines_alone()
            self._tell_size()
        else:
            self._poll.register(0, select.POLLIN)
        os.write(self._ready, b"R")

    def _input(self) -> None:
        try:
            data = os.read(0, _PIECE)
        except OSError:
            data = b""
        if not data or not _write(self._ports[IN], data):
            self._poll.unregister(0)
            self._ending = True

    def _end_input(self) -> None:
        """Close the port once QEMU has taken everything: what it has not would be lost with it."""
        left = fcntl.ioctl(self._ports[IN], _SIOCOUTQ, bytes(4))
        if left == bytes(4):
            self._ending = False
            os.close(self._ports[IN])  # the guest reads an end of file

    def _tell_size(self) -> None:
        if not self._terminal:
            return
        try:
            rows, columns = struct.unpack_from("HH", fcntl.ioctl(0, _TIOCGWINSZ, bytes(8)))
        except OSError:
            return
        self._tell(f"size {rows} {columns}")

    def _tell(self, text: str) -> None:
        _write(self._ports[TELL], text.encode() + b"\n")


def _leave_lines_alone() -> None:
    """Have the terminal print what comes as it is: the guest's own terminal has ended the lines already."""
    attributes = termios.tcgetattr(0)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(0, termios.TCSANOW, attributes)


def _write(fd: int, data: bytes) -> bool:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except OSError:
            return False
    return True
