"""Looking at a ClientHello before answering it.

The hello is read from the raw bytes before any certificate is shown, so a name is judged first and a
leaf is minted only for names that are allowed.
"""

from ringfence.egress import limits
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError
from ringfence.value import Struct

HANDSHAKE = 0x16  # the first byte of every TLS connection: a record of type handshake
UNRECOGNISED_NAME, ACCESS_DENIED = 112, 49  # alerts, RFC 8446 §6.2

_CLIENT_HELLO = 1
_SERVER_NAME, _ENCRYPTED_HELLO = 0, 0xFE0D  # extensions: RFC 6066 §3, RFC 9849 §5


class Hello(Struct):
    """What a ClientHello says about its destination."""

    server_name: str | None  # as sent; None where it names nobody
    encrypted: bool  # it offers an encrypted inner hello (often as mere camouflage)


class HelloError(PeerError):
    """The bytes are not a ClientHello as TLS defines it."""


def alert(description: int) -> bytes:
    """Return a fatal alert as one plain record."""
    return bytes((0x15, 3, 3, 0, 2, 2, description))


async def read_hello(stream: AnyStream) -> Hello:
    """Read up to the end of the ClientHello and put every byte back for the handshake."""
    data = b""
    stream.expect(limits.HELLO_TIME)
    while True:
        more = await stream.read()
        data += more
        found = parse_hello(data)
        if found is not None:
            stream.unread(data)
            return found
        if not more:
            raise HelloError("the connection ended in the middle of the ClientHello")
        if len(data) > limits.HELLO:
            raise HelloError("the ClientHello is too long")


def parse_hello(data: bytes) -> Hello | None:
    """Read the ClientHello at the front of `data`; None where more bytes are needed."""
    message = _handshake_message(data)
    if message is None:
        return None
    try:
        return _hello(_Reader(message))
    except IndexError:
        raise HelloError("the ClientHello is cut short") from None


def _handshake_message(data: bytes) -> bytes | None:
    """Join the records that the first handshake message spans (RFC 8446 §5.1)."""
    message, at = b"", 0
    while len(data) >= at + 5:
        kind, major, size = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5], "big")
        if kind != HANDSHAKE or major != 3 or not 0 < size <= 16384:
            raise HelloError("the first record is not a TLS handshake")
        message += data[at + 5 : at + 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise HelloError("the first message is not a ClientHello")
        length = int.from_bytes(message[1:4], "big")
        if len(message) >= 4 and length > limits.HELLO:
            raise HelloError("the ClientHello is too long")
        if len(message) >= 4 and len(message) >= 4 + length:
            return message[4 : 4 + length]
        if len(data) < at + 5 + size:
            return None
        at += 5 + size
    return None


class _Reader:
    """Takes length-prefixed pieces off the front of a message; running out is IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        if len(self.data) < count:
            raise IndexError
        piece, self.data = self.data[:count], self.data[count:]
        return piece

    def sized(self, width: int) -> bytes:
        return self.take(int.from_bytes(self.take(width), "big"))


def _hello(reader: _Reader) -> Hello:
    reader.take(2 + 32)  # version, random
    reader.sized(1)  # session id
    reader.sized(2)  # cipher suites
    reader.sized(1)  # compression
    names: list[str] = []
    seen: set[int] = set()
    extensions = _Reader(reader.sized(2) if reader.data else b"")
    while extensions.data:
        kind = int.from_bytes(extensions.take(2), "big")
        content = extensions.sized(2)
        if kind in seen:
            raise HelloError("the ClientHello repeats an extension")
        seen.add(kind)
        if kind == _SERVER_NAME:
            names = _server_names(_Reader(content))
    if reader.data:
        raise HelloError("bytes follow the ClientHello's extensions")
    return Hello(server_name=names[0] if names else None, encrypted=_ENCRYPTED_HELLO in seen)


def _server_names(content: _Reader) -> list[str]:
    """Read the list of names, which holds exactly one host name (RFC 6066 §3)."""
    entries = _Reader(content.sized(2))
    names = []
    while entries.data:
        kind, name = entries.take(1), entries.sized(2)
        if kind != b"\0":
            raise HelloError("the server name is of an unknown kind")
        names.append(name.decode("latin-1"))
    if len(names) != 1 or content.data:
        raise HelloError("the ClientHello names more or less than one server")
    return names
