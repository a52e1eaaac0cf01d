"""An upstream proxy: the way out of networks that have no other (HTTP CONNECT, or SOCKS 5).

The policy has decided about the name before anything is sent to the proxy; the proxy resolves it. So the
judgement on resolved addresses is the proxy's too, for all that goes through it. What the policy itself
resolves does not: static names, names with a nameserver of their own, hosts that may be private, and
whatever `no_proxy` lists are dialled directly and judged here. An address that stands in a request is
judged here in any case. Nothing is read from the environment: `HTTP_PROXY` and `NO_PROXY`, inside or
outside, mean nothing to the gate.

TLS runs through the proxy from end to end. Its user and password go to the proxy and to nobody else.
"""

import asyncio
import base64
import socket

from ringfence.credential.secret import Secret
from ringfence.egress import http1, limits
from ringfence.egress.http1 import MalformedError
from ringfence.egress.keys import Keys
from ringfence.egress.socks import exactly, replied
from ringfence.egress.stream import GoneError, Stream
from ringfence.errors import PeerError
from ringfence.handover import proxy_credential
from ringfence.policy.endpoints import join, split_proxy
from ringfence.subject import host_matches, is_address

HTTP, SOCKS = "http", "socks5"


class ProxyError(PeerError):
    """The proxy did not make the connection."""


class Parent:
    """The one upstream proxy of a session."""

    def __init__(self, url: str, password: str, no_proxy: tuple[str, ...], keys: Keys | None) -> None:
        self.url = url
        self.scheme, self._user, self.host, self.port = split_proxy(url)
        self._credential = proxy_credential(url, password)
        self._no_proxy = no_proxy
        self._keys = keys

    def serves(self, host: str) -> bool:
        """Say whether a host is to be reached through the proxy."""
        return not any(host_matches(pattern, host) for pattern in self._no_proxy)

    async def open(self, stream: Stream, host: str, port: int) -> None:
        """Have the proxy connect a stream that is connected to it. Raises ProxyError."""
        password = await self._password()
        try:
            async with asyncio.timeout(limits.PARENT_TIME):
                if self.scheme == SOCKS:
                    await self._socks(stream, host, port, password)
                else:
                    await self._connect(stream, host, port, password)
        except TimeoutError:
            raise ProxyError("it took too long") from None
        except (GoneError, IndexError):
            raise ProxyError("it closed the connection") from None
        except MalformedError as error:
            raise ProxyError(f"its answer is malformed: {error.message}") from None

    async def _password(self) -> Secret | None:
        if not self._credential or self._keys is None:
            return None
        chosen = await self._keys.choose(self._credential)
        if chosen is None:
            raise ProxyError(f"there is no password for it: {self._credential[0].source} has nothing")
        return chosen[1]

    # --- HTTP

    async def _connect(self, stream: Stream, host: str, port: int, password: Secret | None) -> None:
        place = join(host, port).encode("ascii")
        lines = [b"CONNECT " + place + b" HTTP/1.1", b"Host: " + place]
        if password is not None:
            pair = f"{self._user}:{password.reveal_for_injection()}".encode("latin-1")
            lines.append(b"Proxy-Authorization: Basic " + base64.b64encode(pair))
        stream.write(b"\r\n".join((*lines, b"", b"")))
        status = await self._status(stream)
        if status == 407:
            self._rejected()
        if not 200 <= status < 300:
            raise ProxyError(_STATUSES.get(status, f"it answered {status}"))

    async def _status(self, stream: Stream) -> int:
        """Read the answer's head; what follows it is the upstream's."""
        data = b""
        while not (end := http1.head_end(data)):
            more = await stream.read()
            if not more:
                raise GoneError("the proxy closed the connection")
            data += more
        head = http1.parse_response(data[:end], "CONNECT")
        stream.unread(data[end:])
        return head.status

    # --- SOCKS

    async def _socks(self, stream: Stream, host: str, port: int, password: Secret | None) -> None:
        stream.write(b"\5\1\0" if password is None else b"\5\2\0\2")
        version, method = await exactly(stream, 2)
        if version != 5 or method == 0xFF or (method and password is None):
            raise ProxyError("it accepts no method of authentication that there is one for")
        if method and password is not None:
            await self._log_in(stream, password.reveal_for_injection().encode("latin-1"))
        stream.write(b"\5\1\0" + _address(host) + port.to_bytes(2, "big"))
        problem = await replied(stream)
        if problem:
            raise ProxyError(problem)

    async def _log_in(self, stream: Stream, password: bytes) -> None:
        user = self._user.encode("latin-1")
        if max(len(user), len(password)) > 255:
            raise ProxyError("its user name or password is longer than SOCKS can say")
        stream.write(b"\1" + bytes((len(user),)) + user + bytes((len(password),)) + password)
        if (await exactly(stream, 2))[1]:
            self._rejected()
            raise ProxyError(_STATUSES[407])

    def _rejected(self) -> None:
        """Take note: the password may have been changed, so it is fetched again for the next connection."""
        if self._keys is not None:
            for one in self._credential:
                self._keys.rejected(one)


_STATUSES = {
    403: "it does not allow this destination (403)",
    407: "it wants another user name or password (407): see `egress.proxy` and `egress.proxy_password`",
    502: "it cannot reach the destination (502)",
    503: "it cannot reach the destination (503)",
    504: "it cannot reach the destination in time (504)",
}


def _address(host: str) -> bytes:
    if not is_address(host):
        return bytes((3, len(host))) + host.encode("ascii")
    family, kind = (socket.AF_INET6, b"\4") if ":" in host else (socket.AF_INET, b"\1")
    return kind + socket.inet_pton(family, host)
