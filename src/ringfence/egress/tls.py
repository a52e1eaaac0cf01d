"""TLS on plain streams: looking at a ClientHello before answering it, and terminating or starting TLS.

The hello is read from the raw bytes before any certificate is shown, so a name is judged first and a
leaf is minted only for names that are allowed. TLS itself runs in memory (`SSLContext.wrap_bio`): asyncio's
start_tls loses bytes that were already read and keeps 256 KiB per connection (`facts/egress.md` §4).
"""

import contextlib
import ssl

from ringfence.egress import limits
from ringfence.egress.stream import GoneError, Stream
from ringfence.errors import PeerError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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


async def read_hello(stream: "AnyStream") -> Hello:
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


class TlsStream:
    """A stream with TLS on it: the same face as `Stream`."""

    def __init__(self, raw: "AnyStream", context: ssl.SSLContext, server_hostname: str | None = None) -> None:
        """Without `server_hostname` we are the server. `raw` may be TLS itself: a tunnel inside TLS."""
        self.raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server = server_hostname is None
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=self._server,
            server_hostname=server_hostname,
        )
        self._unread = b""
        self._finished = False  # the peer has sent its close_notify

    async def handshake(self) -> None:
        """Shake hands; a certificate that does not verify raises ssl.SSLError before anything is sent.

        As a client, our last word goes out with the request that follows at once.
        """
        self.raw.expect(limits.HANDSHAKE_TIME)
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                await self._feed()
            except ssl.SSLError:
                self._flush()  # the alert says to the peer what was wrong
                raise
            else:
                return self._flush() if self._server else None

    async def read(self) -> bytes:
        """Return what has arrived, waiting for something; b"" is a proper end (close_notify)."""
        data, self._unread = self._unread, b""
        while not data and not self._finished:
            # Asked only where something is there: OpenSSL's way of saying "nothing" is an exception.
            if not self._incoming.pending and not self._object.pending():
                await self._feed()
            data = self._decrypt()
            if not data and not self._finished:
                await self._feed()
        return data

    def _decrypt(self) -> bytes:
        """Take all whole records that have arrived."""
        pieces: list[bytes] = []
        try:
            while self._incoming.pending or self._object.pending() or not pieces:
                piece = self._object.read(16384)
                if not piece:
                    self._finished = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._finished = True
        except ssl.SSLError as error:
            if not pieces:
                raise GoneError(f"TLS failed: {error.reason or 'the connection was cut'}") from error
        self._flush()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _feed(self) -> None:
        data = await self.raw.read()
        if not data:
            raise GoneError("the connection was cut without a TLS close")
        self._incoming.write(data)

    def _flush(self) -> None:
        if self._outgoing.pending and not self.raw.lost:
            self.raw.write(self._outgoing.read())

    def take(self) -> bytes:
        """Return what has arrived, without waiting."""
        if not self.raw.quiet() and not self.raw.ended:
            self._incoming.write(self.raw.take())
        data, self._unread = self._unread, b""
        return data + (self._decrypt() if self._incoming.pending or self._object.pending() else b"")

    def unread(self, data: bytes) -> None:
        """Put back bytes that belong to whoever reads next."""
        self._unread = data + self._unread

    def write(self, data: bytes) -> None:
        """Encrypt and send; follow with `drain` where much may follow."""
        if self.raw.lost:
            raise GoneError("the connection is closed")
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise GoneError(f"TLS failed: {error.reason}") from error
        self.raw.write(self._outgoing.read())

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written."""
        await self.raw.drain()

    def expect(self, seconds: float) -> None:
        """Set the deadline for the reads that follow."""
        self.raw.expect(seconds)

    def quiet(self) -> bool:
        """Say whether the connection is open and nothing unasked for has arrived (tickets aside)."""
        if self._unread or self.raw.ended or self._finished:
            return False
        if self.raw.quiet():
            return True
        self._incoming.write(self.raw.take())
        try:
            return not self._decrypt() and not self._finished
        except GoneError:
            return False

    def shown(self) -> "tuple[tuple[tuple[str, str], ...], bytes | None]":
        """Return the names in the certificate that the peer has shown, and the certificate (DER)."""
        found = self._object.getpeercert() or {}
        names: tuple[tuple[str, str], ...] = found.get("subjectAltName", ())  # type: ignore[assignment]
        return names, self._object.getpeercert(binary_form=True)

    def write_eof(self) -> None:
        """Say that nothing more follows. TLS 1.3 allows the other direction to go on."""
        self._notify_close()

    def close(self) -> None:
        """Say goodbye, then close after what was written has been sent."""
        self._notify_close()
        self.raw.close()

    def abort(self) -> None:
        """Close now; what was not sent yet is dropped."""
        self.raw.abort()

    def _notify_close(self) -> None:
        with contextlib.suppress(ssl.SSLError, OSError):  # the other side's goodbye is not awaited
            self._object.unwrap()
        self._flush()

    @property
    def ended(self) -> bool:
        """Whether the peer sends nothing more."""
        return self.raw.ended

    @property
    def congested(self) -> bool:
        """Whether the kernel takes no more for now."""
        return self.raw.congested

    @property
    def protocol(self) -> str:
        """What was agreed on by ALPN; "" where nothing was."""
        return self._object.selected_alpn_protocol() or ""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self.raw.lost

    @property
    def on_gone(self) -> "Callable[[], None] | None":
        """What is called when the peer has gone."""
        return self.raw.on_gone

    @on_gone.setter
    def on_gone(self, call: "Callable[[], None] | None") -> None:
        self.raw.on_gone = call

    @property
    def bottom(self) -> Stream:
        """The connection under all TLS."""
        return self.raw.bottom if isinstance(self.raw, TlsStream) else self.raw

    @property
    def received(self) -> int:
        """Bytes from the peer, as they came over the wire."""
        return self.raw.received

    @property
    def sent(self) -> int:
        """Bytes to the peer, as they went over the wire."""
        return self.raw.sent


AnyStream = Stream | TlsStream
