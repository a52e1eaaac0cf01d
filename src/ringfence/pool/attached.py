"""A claimed boundary on somebody's terminal or pipes: from a shell it looks like `ringfence run`."""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import os
import select
import sys

from ringfence.boundary.supervise import SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH
from ringfence.boundary.terminal import Terminal
from ringfence.pool import client
from ringfence.pool.ask import Claim

_FORWARDED = (SIGHUP, SIGINT, SIGQUIT, SIGTERM)


def run(state_dir: str, wanted: Claim, *, name: str = "", quiet: bool = False) -> int:
    """Claim a boundary for a command on this process's streams; return the status for the shell."""
    terminal = Terminal()
    attached = _Attached(terminal)
    try:
        return attached.run(state_dir, wanted, name)
    finally:
        attached.end()
        for text in attached.said if not quiet else ():
            sys.stderr.write(text + "\n")


class _Attached:
    """The loop on the client's side: it passes on what the terminal and signals bring.

    Signals are caught before the claim, so that none is lost between its answer and the loop.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.said: list[str] = []
        self._terminal = terminal
        self._poll = select.poll()
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._handlers = self._catch()

    def run(self, state_dir: str, wanted: Claim, name: str) -> int:
        """Claim, and stay until the command has ended."""
        terminal = self._terminal
        streams = [terminal.slave if fd in terminal.streams else fd for fd in (0, 1, 2)]
        line = client.sent(state_dir, wanted, (streams[0], streams[1], streams[2]), name=name)
        try:
            number = self._interrupted(line.fileno())
            if number:
                return 128 + number
            self._running = client.begun(line)
            self.said = self._running.said
            terminal.start()
            self._register()
            return self._loop()
        finally:
            line.close()

    def _interrupted(self, line: int) -> int:
        """Wait for an answer; return the signal that came before one, if one did."""
        poll = select.poll()
        for fd in (line, self._wakeup[0]):
            poll.register(fd, select.POLLIN)
        while True:
            if line in dict(poll.poll()):
                return 0
            for number in os.read(self._wakeup[0], 64):
                if number == SIGWINCH:
                    self._terminal.resize()
                else:
                    return number

    def end(self) -> None:
        """Give the terminal and the signals back."""
        self._terminal.restore()
        _signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            _signal.signal(number, handler)
        for fd in self._wakeup:
            os.close(fd)

    def _catch(self) -> dict[int, object]:
        os.set_blocking(self._wakeup[1], False)
        _signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        return {number: _signal.signal(number, _nothing) for number in (*_FORWARDED, SIGWINCH)}

    def _register(self) -> None:
        for fd in (self._running.fileno(), self._wakeup[0]):
            self._poll.register(fd, select.POLLIN)
        if self._terminal.master >= 0:
            self._poll.register(self._terminal.master, select.POLLIN)
        if self._terminal.relay_input():
            self._poll.register(0, select.POLLIN)

    def _loop(self) -> int:
        while True:
            for fd, _events in self._poll.poll():
                if fd == self._running.fileno():
                    status = self._running.heard()
                    if status is not None:
                        self._drain()
                        return status
                elif fd == self._terminal.master:
                    if self._terminal.output():
                        self._terminal.pass_typed(self._poll)
                    else:
                        self._poll.unregister(fd)
                elif fd == 0:
                    if self._terminal.input():
                        self._terminal.pass_typed(self._poll)
                    else:
                        self._poll.unregister(0)
                else:
                    self._signals()

    def _drain(self) -> None:
        """Pass on what the command wrote last."""
        poll = select.poll()
        if self._terminal.master >= 0:
            poll.register(self._terminal.master, select.POLLIN)
            while any(events & select.POLLIN for _fd, events in poll.poll(0)):
                if not self._terminal.output():
                    return

    def _signals(self) -> None:
        for number in os.read(self._wakeup[0], 64):
            if number == SIGWINCH:
                self._terminal.resize()
            else:
                self._running.signal(number)


def _nothing(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor tells the loop."""
