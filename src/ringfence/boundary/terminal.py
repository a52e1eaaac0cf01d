"""A terminal of the session's own, between the operator's and the agent.

The agent never holds the operator's terminal: it could read what is typed elsewhere into it, or type
into it (TIOCSTI). It gets a pseudo-terminal whose other end the launcher relays. Job control, window
size and interrupt keys then work inside as they do outside.
"""

import fcntl
import os
import select
import termios

_TIOCGWINSZ, _TIOCSWINSZ = 0x5413, 0x5414
_CHUNK = 65536


class Terminal:
    """A pseudo-terminal for those of the standard streams that are terminals."""

    def __init__(self) -> None:
        self.streams = tuple(fd for fd in (0, 1, 2) if _is_terminal(fd))
        self.master = self.slave = -1
        self._typed = b""  # and not taken by the session yet
        self._full = False  # it waits until the session takes it
        self._saved: list[object] | None = None
        if self.streams:
            self.master, self.slave = os.openpty()
            os.set_blocking(self.master, False)
            self.resize()

    def belong_to(self, uid: int) -> None:
        """Let the agent open it by its name, where that is not who runs this."""
        if self.slave >= 0:
            os.fchown(self.slave, uid, uid)

    def relay_input(self) -> bool:
        """Tell whether the operator types into this session."""
        return 0 in self.streams

    def start(self) -> None:
        """Hand the keyboard over: the operator's terminal passes every key on."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1
        if not self.relay_input():
            return
        self._saved = termios.tcgetattr(0)
        mode = termios.tcgetattr(0)
        mode[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        try:
            termios.tcsetattr(0, termios.TCSADRAIN, mode)
        except termios.error:
            self._saved = None  # a background job: the shell keeps the keyboard

    def resize(self) -> None:
        """Give the session's terminal the size of the operator's."""
        if self.master < 0:
            return
        try:
            size = fcntl.ioctl(self.streams[0], _TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self.master, _TIOCSWINSZ, size)
        except OSError:
            return

    def output(self) -> bool:
        """Pass on what the session wrote; False at its end."""
        try:
            data = os.read(self.master, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:  # EIO: nobody has the other end any more
            return False
        target = next((fd for fd in (1, 2) if fd in self.streams), self.streams[0])
        while data:
            data = data[os.write(target, data) :]
        return True

    def input(self) -> bool:
        """Take what the operator typed; False at the end of input."""
        self._typed = os.read(0, _CHUNK)
        return bool(self._typed)

    def pass_typed(self, poll: select.poll) -> None:
        """Pass typing on; what nothing inside reads waits here, and holds up neither clock nor signals."""
        try:
            self._typed = self._typed[os.write(self.master, self._typed) :] if self._typed else b""
        except BlockingIOError:
            pass
        except OSError:  # nobody has the other end any more
            self._typed = b""
        full = bool(self._typed)
        if full == self._full:
            return
        self._full = full
        poll.register(self.master, select.POLLIN | (select.POLLOUT if full else 0))
        if full:
            poll.unregister(0)
        else:
            poll.register(0, select.POLLIN)

    def restore(self) -> None:
        """Give the operator's terminal back as it was."""
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
            self._saved = None
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False
