"""SOCKS 5 (RFC 1928), as far as a gate speaks it: CONNECT to a name, an IPv4 or an IPv6 address.

    client  5, count, methods…                    gate  5, method
    client  1, user, password (RFC 1929)          gate  1, 0               where the method is 2
    client  5, command, 0, kind, address, port    gate  5, reply, 0, 1, 0.0.0.0, 0

Inside a boundary nobody has to authenticate: the wire is one session's and nobody else's, so a user name
is taken and ignored. A service with many identities asks for one, and takes no connection without. BIND
and UDP are refused: nothing comes in, and datagrams do not pass the gate. SOCKS 4 knows no names and is
refused as a whole.

A name is read as everywhere else: it has one spelling or is refused. A NUL in it, an address written as
a name in a way that only some resolvers read, a length that lies: refused before anything is dialled.
"""

import socket

from ringfence.egress import limits
from ringfence.egress.stream import GoneError, LateError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError
from ringfence.subject import canonical_host
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Authenticate = Callable[[str, str], bool]

VERSION, OLD_VERSION = 5, 4  # the first byte of a connection that speaks SOCKS
SUCCEEDED, FAILED, NOT_ALLOWED, UNREACHABLE, REFUSED = 0, 1, 2, 4, 5  # RFC 1928 §6
NO_COMMAND, NO_KIND = 7, 8

_OPEN, _PASSWORD, _NONE = 0, 2, 0xFF  # methods, RFC 1928 §3
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4


class Wish(Struct):
    """Where a client wants to go."""

    host: str  # canonical
    port: int
    raw: str  # as it was sent


class SocksError(PeerError):
    """The client said something that this gate does not do; `reply` has told it so already."""


async def wish(client: AnyStream, authenticate: "Authenticate | None" = None) -> Wish:
    """Shake hands and read the request; what cannot be served is answered here, and raised."""
    client.expect(limits.HEAD_TIME)
    reader = _Reader(client)
    try:
        version = (await reader.take(1))[0]
        if version == OLD_VERSION:
            client.write(bytes((0, 0x5B)) + bytes(6))
            raise SocksError("SOCKS 4 is not spoken here: use SOCKS 5")
        await _agree(client, reader, authenticate)
        return await _request(client, reader)
    except LateError:
        raise SocksError("the SOCKS handshake took too long") from None
    finally:
        client.unread(reader.rest)


def reply(code: int) -> bytes:
    """Answer a request. The address we dialled from is nobody's business."""
    return bytes((VERSION, code, 0, _IPV4)) + bytes(6)


async def _agree(client: AnyStream, reader: "_Reader", authenticate: "Authenticate | None") -> None:
    methods = await reader.take((await reader.take(1))[0])
    wanted = _OPEN if authenticate is None and _OPEN in methods else _PASSWORD
    if wanted not in methods:
        client.write(bytes((VERSION, _NONE)))
        raise SocksError("the client offers no method of authentication that is known here")
    client.write(bytes((VERSION, wanted)))
    if wanted == _PASSWORD:
        await _authenticated(client, reader, authenticate)


async def _authenticated(client: AnyStream, reader: "_Reader", authenticate: "Authenticate | None") -> None:
    if (await reader.take(1))[0] != 1:
        client.write(b"\1\1")
        raise SocksError("the user name and password are not as RFC 1929 writes them")
    user, password = await reader.sized(), await reader.sized()
    if authenticate is not None and not authenticate(user.decode("latin-1"), password.decode("latin-1")):
        client.write(b"\1\1")
        raise SocksError("the user name or password is wrong")
    client.write(b"\1\0")


async def _request(client: AnyStream, reader: "_Reader") -> Wish:
    version, command, reserved, kind = await reader.take(4)
    if version != VERSION or reserved != 0:
        raise _refused(client, FAILED, "the SOCKS request is malformed")
    if command != _CONNECT:
        named = {2: "BIND", 3: "UDP ASSOCIATE"}.get(command, f"command {command}")
        raise _refused(
            client, NO_COMMAND, f"SOCKS {named} is not served: the gate makes TCP connections only"
        )
    if kind not in {_IPV4, _NAME, _IPV6}:
        raise _refused(client, NO_KIND, f"SOCKS addresses of kind {kind} are not known")
    raw = await _destination(reader, kind)
    port = int.from_bytes(await reader.take(2), "big")
    try:
        host = canonical_host(raw.replace("[", "?"))  # brackets are for URLs
    except ValueError as error:
        raise _refused(client, NOT_ALLOWED, f"the destination is not a host: {error}", raw) from None
    if not port:
        raise _refused(client, NOT_ALLOWED, "there is no port 0", raw)
    return Wish(host=host, port=port, raw=raw)


async def _destination(reader: "_Reader", kind: int) -> str:
    if kind == _NAME:
        return (await reader.sized()).decode("latin-1")
    family, size = (socket.AF_INET, 4) if kind == _IPV4 else (socket.AF_INET6, 16)
    return socket.inet_ntop(family, await reader.take(size))


def _refused(client: AnyStream, code: int, message: str, raw: str = "") -> SocksError:
    client.write(reply(code))
    return SocksError(f"{message} ({raw!a})" if raw else message)


async def replied(stream: AnyStream) -> str:
    """Read another proxy's reply to a request of ours; returns "" or what it says went wrong."""
    version, code, _, kind = await exactly(stream, 4)
    if version != VERSION or kind not in {_IPV4, _NAME, _IPV6}:
        return "its answer is not SOCKS 5"
    size = {_IPV4: 4, _IPV6: 16}.get(kind) or (await exactly(stream, 1))[0]
    await exactly(stream, size + 2)
    return "" if code == SUCCEEDED else _MEANINGS.get(code, f"it answered {code}")


async def exactly(stream: AnyStream, count: int) -> bytes:
    """Read so many bytes, and leave the rest to whoever reads next."""
    reader = _Reader(stream)
    try:
        return await reader.take(count)
    finally:
        stream.unread(reader.rest)


_MEANINGS = {
    FAILED: "it failed",
    NOT_ALLOWED: "it does not allow this destination",
    3: "the network cannot be reached from there",
    UNREACHABLE: "the host cannot be reached from there",
    REFUSED: "the destination refuses the connection",
    6: "the destination is too far away",
    NO_COMMAND: "it does not make connections",
    NO_KIND: "it does not know this kind of address",
}


class _Reader:
    """Takes exactly so many bytes off the front of a stream."""

    def __init__(self, client: AnyStream) -> None:
        self._client = client
        self.rest = b""

    async def take(self, count: int) -> bytes:
        while len(self.rest) < count:
            more = await self._client.read()
            if not more:
                raise GoneError("the connection ended in the middle of the SOCKS handshake")
            self.rest += more
        piece, self.rest = self.rest[:count], self.rest[count:]
        return piece

    async def sized(self) -> bytes:
        return await self.take((await self.take(1))[0])
