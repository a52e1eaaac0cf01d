"""Where a pool listens, and how one talks with it.

    STATE/pools/KEY/   socket, lock (held by the server)

KEY stands for a project and a pool's name. The folder is open to nobody else, and the server asks the
kernel who connects. Messages are JSON, one a datagram, with descriptors beside them.
"""

import _socket
import errno
import fcntl
import json
import os
import struct

from ringfence.canonical import sha256
from ringfence.errors import HostError, UsageError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OLDEST = 12 * 3600.0  # seconds that a boundary waits before another takes its place
MOST = 160 << 10  # bytes of a message
_ROOM = 1 << 18
_SEQPACKET, _CLOEXEC = 5, 0o2000000
_NOSIGNAL, _DONTWAIT, _CMSG_CLOEXEC = 0x4000, 0x40, 0x40000000
_MOST_FDS = 8


class NoPoolError(HostError):
    """Nobody keeps boundaries for this project."""


class Place(Struct):
    """One pool's folder."""

    folder: str


def of(state_dir: str, workspace: str, name: str = "") -> Place:
    """Return the place of a project's pool."""
    key = sha256(f"{workspace}\0{name}".encode("utf-8", "surrogateescape"))[:24]
    return Place(folder=f"{state_dir}/pools/{key}")


def every(state_dir: str) -> tuple[Place, ...]:
    """Return the places of all pools that there are or were."""
    try:
        names = sorted(os.listdir(f"{state_dir}/pools"))
    except OSError:
        return ()
    return tuple(Place(folder=f"{state_dir}/pools/{name}") for name in names)


def listen(place: Place) -> tuple[_socket.socket, int]:
    """Return the listening socket and the lock that says that somebody serves here."""
    try:
        os.makedirs(place.folder, 0o700, exist_ok=True)
        os.chmod(place.folder, 0o700)
        lock = os.open(f"{place.folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(
            f"the pool's folder {place.folder} cannot be used: {error.strerror}",
            hint="name another state folder with RINGFENCE_STATE_DIR",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UsageError(
            "a pool of this project runs already",
            hint="`ringfence pool status` shows it; --name makes another beside it",
        ) from None
    listener = _socket.socket(1, _SEQPACKET | _CLOEXEC)
    with _Short(place) as path:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o600)
    listener.listen(1024)
    listener.setblocking(False)
    return listener, lock


def leave(place: Place) -> None:
    """Remove what the server put there."""
    for name in ("socket", "lock"):
        try:
            os.unlink(f"{place.folder}/{name}")
        except OSError:
            continue
    for folder in (place.folder, os.path.dirname(place.folder)):
        try:
            os.rmdir(folder)
        except OSError:
            return


def connect(place: Place) -> _socket.socket:
    """Return a connection to the server. Raises NoPoolError where there is none."""
    line = _socket.socket(1, _SEQPACKET | _CLOEXEC)
    try:
        with _Short(place) as path:
            line.connect(path)
    except OSError as error:
        line.close()
        if error.errno not in {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}:
            raise HostError(f"the pool cannot be reached: {error.strerror}") from None
        raise NoPoolError(
            "no pool keeps boundaries for this project", hint="start one: ringfence pool serve"
        ) from None
    return line


class _Short:
    """A name for a pool's socket that is short enough for an address, wherever its folder lies."""

    def __init__(self, place: Place) -> None:
        self._folder = place.folder
        self._fd = -1

    def __enter__(self) -> str:
        self._fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/socket"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def peer(line: _socket.socket) -> tuple[int, int]:
    """Return the pid and uid of who connected, as the kernel knows them."""
    pid, uid, _gid = struct.unpack("=iII", line.getsockopt(1, 17, 12))  # SO_PEERCRED
    return pid, uid


def send(
    line: _socket.socket, message: "dict[str, Any]", fds: tuple[int, ...] = (), *, wait: bool = True
) -> bool:
    """Send one message; False where nobody reads any more."""
    return send_bytes(line, json.dumps(message).encode(), fds, wait=wait)


def send_bytes(line: _socket.socket, data: bytes, fds: tuple[int, ...] = (), *, wait: bool = True) -> bool:
    """Send a message as it came."""
    control = [(1, 1, struct.pack(f"={len(fds)}i", *fds))] if fds else []
    try:
        line.sendmsg([data], control, _NOSIGNAL | (0 if wait else _DONTWAIT))
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            raise UsageError(
                f"the command and its variables are longer than the {MOST} bytes that a pool takes",
                hint="leave long texts in a file, or start without the pool",
            ) from None
        return False
    return True


def receive(line: _socket.socket, *, wait: bool = True) -> "tuple[dict[str, Any] | None, tuple[int, ...]]":
    """Return the next message and its descriptors; None at the end, {} where there is none yet."""
    data, fds = receive_bytes(line, wait=wait)
    if data is None:
        return {}, fds
    return (read(data) if data else None), fds


def receive_bytes(line: _socket.socket, *, wait: bool = True) -> tuple[bytes | None, tuple[int, ...]]:
    """Return the next message as it came; b"" at the end, None where there is none yet."""
    flags = _CMSG_CLOEXEC | (0 if wait else _DONTWAIT)
    try:
        data, control, _flags, _address = line.recvmsg(_ROOM, 16 + 4 * _MOST_FDS, flags)
    except (BlockingIOError, InterruptedError):
        return None, ()
    except OSError:
        return b"", ()
    fds: tuple[int, ...] = ()
    for _level, _kind, payload in control:
        fds += struct.unpack(f"={len(payload) // 4}i", payload)
    return data, fds


def read(data: bytes) -> "dict[str, Any]":
    """Return what a message says; what is no message says nothing that anybody knows."""
    try:
        found = json.loads(data)
    except ValueError:
        return {"": 0}
    return found if isinstance(found, dict) else {"": 0}
