"""Firecracker's hybrid vsock, on the host's side: a guest's ports as Unix sockets.

The guest connects to port P of the host: that arrives at the Unix socket `PATH_P`, where somebody has to listen
before. The host connects to port P of the guest: it connects to `PATH`, sends `CONNECT P` and a newline, and reads
`OK` and a number. Whoever may open these sockets is the machine: they lie in a folder of root's and the jail's.
"""

import _socket
import os

from ringfence.errors import BoundaryError

_LONGEST = 32  # bytes of the answer: "OK ", ten digits, a newline
_WAIT = 5.0  # seconds


def listen(path: str, port: int, uid: int = -1) -> int:
    """Listen for the guest at one of the host's ports; return the descriptor. `uid` is who may connect."""
    line = _socket.socket(1, 1 | 0o2000000)
    place = f"{path}_{port}"
    try:
        with _Short(place) as short:
            line.bind(short)
            os.chown(short, uid, -1)
            os.chmod(short, 0o600)
        line.listen(8)
    except OSError as error:
        line.close()
        raise BoundaryError(f"{place} cannot be listened at: {error.strerror or error}") from None
    return line.detach()


def connect(path: str, port: int) -> int:
    """Connect to one of the guest's ports; return the descriptor. Raises BoundaryError."""
    line = _socket.socket(1, 1 | 0o2000000)
    line.settimeout(_WAIT)
    try:
        with _Short(path) as short:
            line.connect(short)
        line.sendall(f"CONNECT {port}\n".encode())
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < _LONGEST:
            piece = line.recv(1)  # what comes behind the line is the guest's
            if not piece:
                raise BoundaryError(f"nobody in the guest listens at port {port}")
            answer += piece
    except OSError as error:
        line.close()
        raise BoundaryError(f"the guest cannot be reached by {path}: {error.strerror or error}") from None
    except BoundaryError:
        line.close()
        raise
    word, _, number = answer.strip().partition(b" ")
    if word != b"OK" or not number.isdigit():
        line.close()
        raise BoundaryError(f"the machine answers {answer[:_LONGEST]!r} to a connection")
    line.settimeout(None)
    return line.detach()


class _Short:
    """A path by way of its folder: a Unix socket's address holds 107 bytes, a jail's path may be longer."""

    def __init__(self, path: str) -> None:
        self._folder, self._name = os.path.split(path)

    def __enter__(self) -> str:
        self._fd = os.open(self._folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
