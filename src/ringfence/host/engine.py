"""A container engine's interface, as far as a session needs it: Docker's, on a Unix socket of this machine.

One request a connection, in HTTP/1.0, so that an answer ends where the connection does. An engine on another
machine is none: what the plan mounts is here, and the gate is.
"""

import _socket
import os

from ringfence.errors import BoundaryError

USUAL = "/var/run/docker.sock"
LABEL = "dev.ringfence.session"
_VERSION = "/v1.40"  # Docker 19.03
_LARGEST = 8 << 20


def socket_of(address: str) -> str:
    """Return the path of the engine's socket, from DOCKER_HOST; nothing for one elsewhere."""
    if not address:
        return USUAL
    return address.removeprefix("unix://") if address.startswith("unix:///") else ""


def ask(
    socket: str,
    method: str,
    path: str,
    body: bytes = b"",
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
        line.sendall(head.encode() + body)
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


def asked(socket: str, method: str, path: str) -> int:
    """Make a request whose answer comes later; return the connection. Raises OSError."""
    line = _socket.socket(1, 1 | 0o2000000)
    line.connect(socket)
    line.sendall(f"{method} {_VERSION}{path} HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n".encode())
    return line.detach()


def attach(socket: str, name: str) -> int:
    """Return a connection that is a container's streams from here on. Raises OSError."""
    path = f"/containers/{name}/attach?stream=1&stdin=1&stdout=1&stderr=1"
    head = (
        f"POST {_VERSION}{path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    line = _socket.socket(1, 1 | 0o2000000)
    try:
        line.settimeout(30.0)
        line.connect(socket)
        line.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):  # what follows is the container's, and nothing follows yet
            piece = line.recv(1)
            if not piece or len(answer) > 4096:
                raise OSError(71, "the engine does not attach")
            answer += piece
        if answer.split(None, 2)[1] not in {b"101", b"200"}:
            raise OSError(71, answer.partition(b"\r\n")[0].decode("ascii", "replace"))
        line.settimeout(None)
        return line.detach()
    finally:
        line.close()


def finish(stream: int) -> None:
    """Say that nothing more comes on an attached connection."""
    line = _socket.socket(1, 1, 0, fileno=os.dup(stream))
    try:  # noqa: SIM105 - contextlib costs the launcher 5 ms
        line.shutdown(1)
    except OSError:
        pass
    line.close()


def told(socket: str, method: str, path: str, body: object = None, *, what: str) -> "dict[str, Any]":
    """Make a request that has to succeed; return what it answers."""
    import json

    try:
        status, answer = ask(socket, method, path, b"" if body is None else json.dumps(body).encode())
    except OSError as error:
        raise BoundaryError(
            f"{what}: the container engine at {socket} does not answer: {error.strerror or error}",
            hint="is it still running? `ringfence doctor` asks it",
        ) from None
    try:
        found = json.loads(answer) if answer.strip() else {}
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


def signal(socket: str, name: str, number: int) -> None:
    """Send a signal to a container's first process."""
    try:
        ask(socket, "POST", f"/containers/{name}/kill?signal={number}")
    except OSError:
        return


def remove(socket: str, name: str) -> bool:
    """End a container and remove it, if there is one; tell whether the engine answered."""
    try:
        ask(socket, "DELETE", f"/containers/{name}?force=1&v=1")
    except OSError:
        return False
    return True


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
