"""HTTP for secrets: calls to servers that hand them out, made outside the boundary.

Only the egress process calls, in a thread. TLS is always verified, by the system's authorities, the
policy's and the one that a credential names; a redirect is an error (it would carry the secret on), so is
an answer that is too long or takes too long. Plain http goes to this machine only. None of it passes the
agent's rules, and nothing of an answer is ever shown: what an error tells is a status and a known word.
"""

import json
import socket
import ssl
import time
from urllib.parse import urlsplit

from ringfence.credential.secret import SourceError
from ringfence.policy.endpoints import join, split_static
from ringfence.subject import split_authority

TYPE_CHECKING = False
if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Mapping
    from typing import Any

    Dial = Callable[[str, int, float], socket.socket | None]

TIME_LIMIT = 15.0  # seconds for a whole call
ANSWER_LIMIT = 256 * 1024  # bytes of an answer
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
# Error codes that may be shown: RFC 6749 §5.2, RFC 7523 §3.1.
_KNOWN = frozenset(
    ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
     "invalid_scope", "access_denied", "server_error", "temporarily_unavailable", "invalid_target")
)  # fmt: skip


class Answer:
    """What a server answered; never printed."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def json(self, who: str) -> "dict[str, Any]":
        """Return the answer's JSON object, or an error that shows nothing of it."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SourceError(f"{who} answered with something else than a JSON object", hint="check the URL")
        return found

    def why(self) -> str:
        """Say how a call failed: the status, and the error's code where that is a known one."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = {}
        code = found.get("error") if isinstance(found, dict) else None
        told = f" ({code})" if isinstance(code, str) and code in _KNOWN else ""
        return f"status {self.status}{told}"


class Web:
    """Makes the calls of one session."""

    def __init__(
        self,
        *,
        static: "tuple[tuple[str, str], ...]" = (),
        extra_ca: tuple[str, ...] = (),
        trust: tuple[str, str] = ("", ""),
    ) -> None:
        """Take the policy's `static` and `extra_ca`.

        `trust`: a file and a folder of authorities in the place of the system's own.
        """
        self._static = dict(static)
        self._extra_ca = extra_ca
        self._trust = trust
        self.dial: Dial | None = None  # opens connections to hosts that are not reached directly

    def ask(
        self, method: str, url: str, *, headers: "Mapping[str, str]", body: bytes = b"", ca: str = ""
    ) -> Answer:
        """Make one call and return the whole answer, whatever its status but a redirect."""
        import http.client  # 7 ms that most sessions do without

        until = time.monotonic() + TIME_LIMIT
        parts = urlsplit(url)
        try:
            connection = self._open(parts.scheme, parts.netloc, ca, until)
            try:
                target = parts.path + (f"?{parts.query}" if parts.query else "")
                connection.request(method, target or "/", body=body or None, headers=dict(headers))
                response = connection.getresponse()
                answer = Answer(response.status, _read(response, connection, until))
            finally:
                connection.close()
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"the certificate of {parts.netloc} does not verify: {error.verify_message}",
                hint="name its authority in `source_ca` or `egress.extra_ca`",
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # `from None`: the request that failed holds the secret.
            raise SourceError(f"{parts.netloc} cannot be asked: {_told(error)}", hint="is it up?") from None
        if 300 <= answer.status < 400:
            raise SourceError(
                f"{parts.netloc} redirects, and a secret is not sent on", hint="name the URL it leads to"
            )
        return answer

    def _open(self, scheme: str, authority: str, ca: str, until: float) -> "http.client.HTTPConnection":
        import http.client

        host, port = split_authority(authority, 443 if scheme == "https" else 80)
        if scheme != "https" and host not in LOCAL:
            raise SourceError(f"secrets are not exchanged with {host} over plain http", hint="use https")
        context = self._context(ca) if scheme == "https" else None
        raw = self.dial(host, port, _left(until)) if self.dial is not None else None
        raw = raw or self._connect(host, port, _left(until))
        try:
            sock = context.wrap_socket(raw, server_hostname=host) if context else raw
        except BaseException:
            raw.close()
            raise
        connection = http.client.HTTPConnection(host, port)
        if context:
            connection.default_port = 443  # how http.client writes Host
        connection.sock = sock
        return connection

    def _connect(self, host: str, port: int, limit: float) -> socket.socket:
        static = self._static.get(join(host, port)) or self._static.get(host)
        return socket.create_connection(split_static(static, port) if static else (host, port), limit)

    def _context(self, ca: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name by default
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        file, folder = self._trust
        if file or folder:
            usual = ssl.get_default_verify_paths()
            context.load_verify_locations(cafile=file or usual.cafile, capath=folder or usual.capath)
        else:
            context.load_default_certs()
        for path in (*self._extra_ca, *([ca] if ca else [])):
            try:
                context.load_verify_locations(cafile=path)
            except OSError as error:  # ssl.SSLError is one
                raise SourceError(
                    f"the authority file {path} cannot be used: {error.strerror}", hint="name a PEM file"
                ) from None
        return context


def _read(
    response: "http.client.HTTPResponse", connection: "http.client.HTTPConnection", until: float
) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_left(until))
        _left(until)
        piece = response.read1(65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_LIMIT:
            raise ValueError("too long an answer")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIME_LIMIT:g} seconds"
    if isinstance(error, OSError):
        return error.strerror or "the connection failed"
    return "its answer is malformed or too long"
