"""TLS on plain streams: terminating it for agents, starting it to upstreams.

TLS runs in memory (`SSLContext.wrap_bio`): asyncio's start_tls loses bytes that were already read and keeps
256 KiB per connection (`facts/egress.md` §4).
"""

import contextlib
import ssl

from ringfence.egress import limits
from ringfence.egress.stream import GoneError, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


class TlsStream:
    """A stream with TLS on it: the same face as `Stream`."""

    def __init__(self, raw: "AnyStream", context: ssl.SSLContext, server_hostname: str | None = None) -> None:
        """Without `server_hostname` we are the server. `raw` may be TLS itself: a tunnel inside TLS."""
        self.raw = raw
        self.bottom: Stream = raw.bottom  # the connection under all TLS
        self.expect: Callable[[float], None] = raw.expect  # the deadline for the reads that follow
        self.drain: Callable[[], Coroutine[Any, Any, None]] = (
            raw.drain
        )  # wait until the peer has taken enough of what was written
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server = server_hostname is None
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=self._server,
            server_hostname=server_hostname,
        )
        # Without the call of Python's that stands before each of these in the ssl module.
        inner: Any = self._object._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - see above
        self._take_record, self._encrypt, self._pending = inner.read, inner.write, inner.pending
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
        incoming, some = self._incoming, False
        while not data and not self._finished:
            # Asked only where something is there: OpenSSL's way of saying "nothing" is an exception.
            if some or not (incoming.pending or self._pending()):
                arrived = await self.raw.read()
                if not arrived:
                    raise GoneError("the connection was cut without a TLS close")
                incoming.write(arrived)
            data, some = self._decrypt(), True
        return data

    def _decrypt(self) -> bytes:
        """Take all whole records that have arrived."""
        incoming, take, pending = self._incoming, self._take_record, self._pending
        pieces: list[bytes] = []
        try:
            while incoming.pending or pending() or not pieces:
                piece = take(16384)
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
        if self._outgoing.pending:
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
        return data + (self._decrypt() if self._incoming.pending or self._pending() else b"")

    def unread(self, data: bytes) -> None:
        """Put back bytes that belong to whoever reads next."""
        self._unread = data + self._unread

    def write(self, data: bytes) -> None:
        """Encrypt and send; follow with `drain` where much may follow."""
        if self.bottom.lost:
            raise GoneError("the connection is closed")
        try:
            self._encrypt(data)
        except ssl.SSLError as error:
            raise GoneError(f"TLS failed: {error.reason}") from error
        self.raw.write(self._outgoing.read())

    def quiet(self) -> bool:
        """Say whether the connection is open and nothing unasked for has arrived (tickets aside)."""
        if self._unread or self.bottom.ended or self._finished:
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
    def received(self) -> int:
        """Bytes from the peer, as they came over the wire."""
        return self.raw.received

    @property
    def sent(self) -> int:
        """Bytes to the peer, as they went over the wire."""
        return self.raw.sent


AnyStream = Stream | TlsStream
