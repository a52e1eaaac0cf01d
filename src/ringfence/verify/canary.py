"""Things of the battery's own that it leaves on the host for the attacks to find: servers, files, memory.

Each bears a random token. What reaches the servers from inside is proof by itself, whatever an
attack believes to have seen.
"""

import contextlib
import ctypes
import os
import secrets
import socket
import tempfile
import threading
from typing import Self

_libc = ctypes.CDLL(None, use_errno=True)
_IPC_CREAT_EXCL, _IPC_RMID = 0o1000 | 0o2000, 0
_LOW, _HIGH = 64, 2048  # descriptor numbers


class Canaries:
    """A context in which the canaries are there."""

    def __init__(self, project: str = "") -> None:
        """`project`: where a file like those that hold keys is left as well, if it may be."""
        self._project = project
        self.token = secrets.token_hex(16)
        self.visits: list[str] = []  # what came to the servers
        self.facts: dict[str, object] = {"token": self.token}
        self.descriptors: tuple[int, ...] = ()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._serve()
        self._plant_files()
        self._plant_secret()
        self._plant_memory()
        self._plant_descriptors()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _serve(self) -> None:
        """Listen on the loopback, by TCP and UDP, and at an abstract name."""
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        listeners = [server, self._second(port)]
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", port))
        name = f"ringfence-verify-{secrets.token_hex(4)}"
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0{name}")
        abstract.listen()
        for end in (*listeners, abstract):
            if end is not None:
                self._stack.callback(_close, end)
                threading.Thread(target=self._accept, args=(end,), daemon=True).start()
        self._stack.callback(_close, datagrams)
        threading.Thread(target=self._receive, args=(datagrams,), daemon=True).start()
        self.facts |= {"canary_port": port, "canary_abstract": name}

    def _second(self, port: int) -> socket.socket | None:
        """Listen at the same port of IPv6's loopback; a machine may have none."""
        try:
            return socket.create_server(("::1", port), family=socket.AF_INET6)
        except OSError:
            return None

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                end, peer = server.accept()
            except OSError:
                return  # closed
            self.visits.append(f"a connection from {peer}")
            with end, contextlib.suppress(OSError):
                end.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + self.token.encode())

    def _receive(self, end: socket.socket) -> None:
        while True:
            try:
                _, peer = end.recvfrom(2048)
            except OSError:
                return  # closed
            self.visits.append(f"a datagram from {peer}")

    def _plant_files(self) -> None:
        """Leave files where programs leave them for each other, and a socket beside."""
        paths = []
        for folder in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 - the shared ones are the point
            try:
                fd, path = tempfile.mkstemp(prefix="ringfence-verify-", dir=folder)
            except OSError:
                continue
            os.write(fd, self.token.encode())
            os.close(fd)
            self._stack.callback(os.unlink, path)
            paths.append(path)
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ringfence-verify-"))
        beside = socket.socket(socket.AF_UNIX)
        beside.bind(os.path.join(folder, "socket"))
        beside.listen()
        self._stack.callback(_close, beside)
        threading.Thread(target=self._accept, args=(beside,), daemon=True).start()
        self.facts |= {"planted_files": [*paths, folder], "planted_folder": folder}

    def _plant_secret(self) -> None:
        """Leave an environment file in the project: what masks hide has the battery's own among it."""
        path = f"{self._project}/.env.ringfence-verify"
        if not self._project or not self._made(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL):
            return
        with open(path, "w", encoding="ascii") as file:
            file.write(f"CANARY={self.token}\n")
        self.facts["planted_secret"] = path

    def _made(self, path: str, flags: int) -> bool:
        try:
            os.close(os.open(path, flags, 0o644))
        except OSError:  # read-only, or somebody else's
            return False
        self._stack.callback(_unlink, path)
        return True

    def open_in_project(self) -> None:
        """Leave a listening socket and a fifo with a reader in the project: a sentry keeps both shut."""
        place = f"{self._project}/.ringfence-verify-socket"
        fifo = f"{self._project}/.ringfence-verify-fifo"
        here = os.open(self._project, os.O_PATH | os.O_DIRECTORY)
        server = socket.socket(socket.AF_UNIX)
        try:
            server.bind(f"/proc/self/fd/{here}/{os.path.basename(place)}")  # a socket's path is short
            os.mkfifo(fifo)
        except OSError:
            return
        finally:
            os.close(here)
            for path in (place, fifo):
                self._stack.callback(_unlink, path)
        server.listen()
        self._stack.callback(_close, server)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self._stack.callback(os.close, reader)
        for path in (place, fifo):
            os.chmod(path, 0o666)  # noqa: S103 - for whoever the agent is
        self.facts |= {"project_sockets": [place], "project_fifos": [fifo]}

    def _plant_memory(self) -> None:
        key = secrets.randbelow(1 << 30) + 1
        segment = _libc.shmget(key, 4096, _IPC_CREAT_EXCL | 0o666)
        if segment < 0:
            return
        self._stack.callback(_libc.shmctl, segment, _IPC_RMID, None)
        queue = _libc.msgget(key, _IPC_CREAT_EXCL | 0o666)
        if queue >= 0:
            self._stack.callback(_libc.msgctl, queue, _IPC_RMID, None)
        self.facts["sysv_key"] = key

    def _plant_descriptors(self) -> None:
        """Open a file and a folder, inheritable, at a low and at a high number."""
        file = tempfile.TemporaryFile(prefix="ringfence-verify-")  # noqa: SIM115 - closed by the stack
        self._stack.enter_context(file)
        folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self._stack.callback(os.close, folder)
        numbers = [
            _duplicate(file.fileno(), _LOW),
            _duplicate(folder, _LOW),
            _duplicate(file.fileno(), _HIGH),
        ]
        for number in numbers:
            self._stack.callback(os.close, number)
        self.descriptors = tuple(numbers)
        identities = [os.fstat(file.fileno()), os.fstat(folder)]
        self.facts |= {
            "planted_descriptors": numbers,
            "planted_identities": [[one.st_dev, one.st_ino] for one in identities],
        }


def _duplicate(fd: int, lowest: int) -> int:
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD, lowest)
    except OSError:  # the limit on open files is lower
        return fcntl.fcntl(fd, fcntl.F_DUPFD, 200)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _close(end: socket.socket) -> None:
    """End a blocked accept(2) as well."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
