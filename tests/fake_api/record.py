"""Requests as they arrived, kept whole: in memory for a test, in a JSON Lines file for a program."""

import base64
import json
import threading
from typing import Any, NamedTuple

LIMIT = 64 * 1024 * 1024  # bytes of bodies kept in memory


class Request(NamedTuple):
    """One request."""

    time: float
    peer: str
    tls: bool
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the header's first value, or None where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)

    @property
    def raw(self) -> bytes:
        """All that the client chose in it, for a search."""
        head = "\r\n".join([f"{self.method} {self.target}", *(f"{k}: {v}" for k, v in self.headers)])
        return head.encode("latin-1", "replace") + b"\r\n\r\n" + self.body


class Record:
    """Every request so far. Past the limit the server refuses rather than forgets."""

    def __init__(self, path: str = "") -> None:
        self._requests: list[Request] = []
        self._held = 0
        self._lock = threading.Lock()
        self._path = path

    def add(self, request: Request) -> bool:
        """Keep `request`; False when the limit is reached."""
        with self._lock:
            if self._held + len(request.body) > LIMIT:
                return False
            self._held += len(request.body)
            self._requests.append(request)
            if self._path:
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write(json.dumps(_plain(request)) + "\n")
        return True

    @property
    def requests(self) -> list[Request]:
        """A copy of what has been kept."""
        with self._lock:
            return list(self._requests)

    def sent_to(self, path: str) -> list[Request]:
        """Return the requests for `path`, whatever their query."""
        return [one for one in self.requests if one.target.partition("?")[0] == path]


def _plain(request: Request) -> dict[str, Any]:
    fields = request._asdict()
    try:
        fields["body"] = request.body.decode()
    except UnicodeDecodeError:
        fields["body"] = {"base64": base64.b64encode(request.body).decode()}
    return fields
