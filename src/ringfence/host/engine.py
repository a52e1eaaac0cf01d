"""Docker's interface, as far as a session needs it, on a Unix socket of this machine.

One request a connection, in HTTP/1.0, so that an answer ends where the connection does. An engine on another
machine is none: what the plan mounts is here, and the gate is.
"""

import _socket
import os

from ringfence.canonical import decode, encode
from ringfence.errors import BoundaryError
from ringfence.value import Struct

USUAL = "/var/run/docker.sock"
LABEL = "dev.ringfence.session"
_VERSION = "/v1.40"  # Docker 19.03
_LARGEST = 8 << 20
_LOADS = 600.0  # seconds that an image may take


def socket_of(address: str) -> str:
    """Return the path of the engine's socket, from DOCKER_HOST; nothing for one elsewhere."""
    if not address:
        return USUAL
    return address.removeprefix("unix://") if address.startswith("unix:///") else ""


def ask(
    socket: str,
    method: str,
    path: str,
    body: "bytes | memoryview" = b"",
    kind: str = "application/json",
    *,
    wait: float = 30.0,
) -> tuple[int, bytes]:
    """Make one request; return status and body. Raises OSError where the engine does not answer."""
    head = (
        f"{method} {_VERSION}{path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    line = _socket.socket(1, 1 | 0o2000000)
    try:
        line.settimeout(wait)
        line.connect(socket)
        line.sendall(head.encode() + body if isinstance(body, bytes) else head.encode())
        if not isinstance(body, bytes):
            line.sendall(body)
        answer = b""
        while len(answer) < _LARGEST:
            piece = line.recv(65536)
            if not piece:
                break
            answer += piece
    finally:
        line.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    words = top.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        raise OSError(71, "the engine's answer is none")
    return int(words[1]), rest


def told(socket: str, method: str, path: str, body: object = None, *, what: str) -> "dict[str, Any]":
    """Make a request that has to succeed; return what it answers."""
    try:
        status, answer = ask(socket, method, path, b"" if body is None else encode(body).encode())
    except OSError as error:
        raise BoundaryError(
            f"{what}: the container engine at {socket} does not answer: {error.strerror or error}",
            hint="is it still running? `ringfence doctor` asks it",
        ) from None
    try:
        found = decode(answer) if answer.strip() else {}
    except ValueError:
        found = {"message": answer.decode("utf-8", "replace")}
    if status >= 400:
        raise BoundaryError(
            f"{what}: the container engine refused: {found.get('message', status)}",
            hint="`ringfence doctor` says what this machine offers",
        )
    return found if isinstance(found, dict) else {}


def running(socket: str) -> str:
    """Return why no engine can be asked at `socket`; nothing where one answers."""
    try:
        status, _answer = ask(socket, "GET", "/_ping", wait=5.0)
    except OSError as error:
        return f"the engine at {socket} does not answer: {error.strerror or error}"
    return "" if status == 200 else f"the engine at {socket} answers with {status}"


class Image(Struct):
    """An image that an engine has."""

    id: str  # "sha256:…", which names its content
    layers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()  # folders that its author wants to be writable
    variables: tuple[str, ...] = ()  # "NAME=value"
    labels: "tuple[tuple[str, str], ...]" = ()


class Docker:
    """One daemon of this machine's."""

    kind = "docker"

    def __init__(self, path: str, socket: str) -> None:
        """`path`: its client, which passes a container's streams on."""
        self.path, self._socket = path, socket
        self.where = f"the container engine at {socket}"
        self.note = f"docker {socket}"

    def find(self, name: str) -> Image | None:
        """Return an image that it has; None where there is none of that name."""
        status, answer = self._ask("GET", f"/images/{name}/json", what=f"cannot tell about the image {name}")
        if status == 404:
            return None
        found = decode(answer)
        if status >= 400:
            raise BoundaryError(f"{self.where} refused: {found.get('message', status)}", hint=_DOCTOR)
        settings = found.get("Config") or {}
        return Image(
            id=found["Id"],
            layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
            volumes=tuple(sorted(settings.get("Volumes") or ())),
            variables=tuple(settings.get("Env") or ()),
            labels=tuple((settings.get("Labels") or {}).items()),
        )

    def load(self, name: str, archive: "bytes | memoryview") -> None:
        """Make an image of an archive of files."""
        what = f"the image {name} could not be made"
        repository, _, tag = name.partition(":")
        path = f"/images/create?fromSrc=-&repo={repository}&tag={tag}"
        status, answer = self._ask("POST", path, archive, "application/x-tar", what=what, wait=_LOADS)
        if status >= 400 or b'"error"' in answer:
            text = answer.decode("utf-8", "replace").strip()[:300]
            raise BoundaryError(f"{what}: {text}", hint="is the engine's disk full?")

    def create(self, name: str, asked: "dict[str, Any]") -> None:
        """Make a container."""
        told(
            self._socket,
            "POST",
            f"/containers/create?name={name}",
            asked,
            what="the container could not be made",
        )

    def inspect(self, name: str) -> "dict[str, Any]":
        """Return a container as the daemon describes it."""
        return told(self._socket, "GET", f"/containers/{name}/json", what="the container could not be made")

    def hijacked(self, path: str) -> tuple[int, bytes]:
        """Return a connection that carries a container's streams now, and what came over it already."""
        fd = self.asking("POST", path, "1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = os.read(fd, 4096)
            if not piece:
                break
            answer += piece
        head, _, rest = answer.partition(b"\r\n\r\n")
        if head.split(None, 2)[1:2] not in ([b"101"], [b"200"]):
            os.close(fd)
            raise BoundaryError(f"{self.where} does not pass streams on", hint=_DOCTOR)
        return fd, rest

    def asking(self, method: str, path: str, version: str = "1.0", fields: str = "") -> int:
        """Make a request, and return the connection that its answer will come over."""
        line = _socket.socket(1, 1 | 0o2000000)
        line.connect(self._socket)
        head = (
            f"{method} {_VERSION}{path} HTTP/{version}\r\nHost: engine\r\n{fields}Content-Length: 0\r\n\r\n"
        )
        line.sendall(head.encode())
        return int(line.detach())

    def start(self, name: str) -> None:
        """Start a container."""
        told(self._socket, "POST", f"/containers/{name}/start", what="the container could not be started")

    def resize(self, name: str, rows: int, columns: int) -> None:
        """Tell a container's terminal its size."""
        try:
            ask(self._socket, "POST", f"/containers/{name}/resize?h={rows}&w={columns}")
        except OSError:
            return

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a container's first process."""
        try:
            ask(self._socket, "POST", f"/containers/{name}/kill?signal={number}")
        except OSError:
            return

    def remove(self, name: str) -> bool:
        """End a container and remove it, if there is one; tell whether the engine answered."""
        try:
            ask(self._socket, "DELETE", f"/containers/{name}?force=1&v=1")
        except OSError:
            return False
        return True

    def _ask(
        self,
        method: str,
        path: str,
        body: "bytes | memoryview" = b"",
        kind: str = "application/json",
        *,
        what: str,
        wait: float = 30.0,
    ) -> tuple[int, bytes]:
        try:
            return ask(self._socket, method, path, body, kind, wait=wait)
        except OSError as error:
            raise BoundaryError(
                f"{what}: {self.where} does not answer: {error.strerror or error}",
                hint="is it still running? `ringfence doctor` asks it",
            ) from None


_DOCTOR = "`ringfence doctor` says what this machine offers"


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
