"""A claimed boundary on somebody's terminal or pipes: from a shell it looks like `ringfence run`."""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import os
import select
import sys

from ringfence.boundary.supervise import SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH
from ringfence.boundary.terminal import Terminal
from ringfence.pool import client
from ringfence.pool.ask import Claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.pool.client import Running

_FORWARDED = (SIGHUP, SIGINT, SIGQUIT, SIGTERM)


def run(state_dir: str, wanted: Claim, *, name: str = "", quiet: bool = False) -> int:
    """Claim a boundary for a command on this process's streams; return the status for the shell."""
    terminal = Terminal()
    streams = [terminal.slave if fd in terminal.streams else fd for fd in (0, 1, 2)]
    try:
        running = client.claim(state_dir, wanted, (streams[0], streams[1], streams[2]), name=name)
        with running:
            status = _Attached(running, terminal).run()
    finally:
        terminal.restore()
    for text in running.said if not quiet else ():
        sys.stderr.write(text + "\n")
    return status


class _Attached:
    """The loop on the client's side: it passes on what the terminal and signals bring."""

    def __init__(self, running: "Running", terminal: Terminal) -> None:
        self._running, self._terminal = running, terminal
        self._poll = select.poll()
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        handlers = self._catch()
        try:
            self._terminal.start()
            self._register()
            return self._loop()
        finally:
            self._terminal.restore()
            _signal.set_wakeup_fd(-1)
            for number, handler in handlers.items():
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
                    if not self._terminal.output():
                        self._poll.unregister(fd)
                elif fd == 0:
                    if not self._terminal.input():
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
