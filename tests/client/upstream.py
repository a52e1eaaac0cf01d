"""The world outside, as far as it can be reached: listeners that keep every byte they are sent.

One recorder answers for many host names, over TLS and in the clear on the same port. What must not
arrive is looked for here, so the recorder accepts everything.
"""

import base64
import select
import socket
import ssl
import threading
import time
import urllib.parse
from typing import NamedTuple, Self

from fake_api.authority import Authority

QUIET = 1.0  # seconds without a byte that end a request whose length is not given
LIMIT = 4 * 1024 * 1024


class Arrival(NamedTuple):
    """One connection, or one datagram."""

    how: str  # "tls", "tcp", "udp"
    server_name: str  # of the TLS greeting
    data: bytes


class Recorder:
    """Accepts anything on TCP and UDP at one port of every address of this machine, and keeps it."""

    def __init__(self, authority: Authority, *, echo: bool = False, address: str = "127.0.0.1") -> None:
        self.arrivals: list[Arrival] = []
        self._echo = echo
        self._context = authority.server_context()
        self._stopping = threading.Event()
        self._tcp = socket.create_server((address, 0), backlog=64)
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, self.port))
        self._threads = [threading.Thread(target=self._listen, daemon=True)]

    @property
    def address(self) -> str:
        """Where it listens, as a policy's static entry wants it."""
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> bytes:
        """Everything that arrived, for a search."""
        return b"\n".join(name.encode() + b" " + data for _, name, data in list(self.arrivals))

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in list(self._threads):
            thread.join(3)
        self._tcp.close()
        self._udp.close()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._tcp, self._udp], [], [], 0.1)
            if self._udp in ready:
                self.arrivals.append(Arrival("udp", "", self._udp.recv(65535)))
            if self._tcp in ready:
                peer, _ = self._tcp.accept()
                thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(QUIET)
        how, name = "tcp", ""
        try:
            if peer.recv(1, socket.MSG_PEEK) == b"\x16":
                how = "tls"
                peer, name = self._greet(peer)
            data = _read_request(peer)
            self.arrivals.append(Arrival(how, name, data))
            peer.sendall(_answer(data if self._echo else b"recorded\n"))
        except OSError as error:
            self.arrivals.append(Arrival(how, name, f"[{error}]".encode()))
        finally:
            peer.close()

    def _greet(self, peer: socket.socket) -> tuple[ssl.SSLSocket, str]:
        """Shake hands; the certificate chosen tells which name was asked for."""
        names: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        choose = self._context.sni_callback

        def note(secure: ssl.SSLSocket, name: str | None, initial: ssl.SSLContext) -> None:
            names.append(name or "")
            choose(secure, name or "localhost", initial)

        context.sni_callback = note
        return context.wrap_socket(peer, server_side=True), "".join(names)


def _read_request(peer: socket.socket) -> bytes:
    """Read one request by its own lengths, or until the peer is quiet."""
    data = b""
    end = time.monotonic() + 10
    while len(data) < LIMIT and time.monotonic() < end and not _complete(data):
        try:
            more = peer.recv(65536)
        except TimeoutError:
            break
        if not more:
            break
        data += more
    return data


def _complete(data: bytes) -> bool:
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return False
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(fields.get(b"content-length", b"0").strip() or 0)


def _answer(data: bytes) -> bytes:
    """Return a response that holds what was sent in the forms a reflecting service may give it."""
    quoted = urllib.parse.quote_from_bytes(data, safe="").encode()
    forms = [data, base64.b64encode(data), data.hex().encode(), quoted]
    body = b"\n".join(forms) if len(data) > 16 else data
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body
