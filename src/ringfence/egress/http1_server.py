"""A request of an HTTP/1.1 connection from the boundary, with the face that the judge knows (`message`)."""

from ringfence.egress import http1, limits, refusal
from ringfence.egress.http1 import Body, Fields, RequestHead, ResponseHead
from ringfence.egress.refusal import Refusal
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringfence.egress.memo import Memo

# Refusals after which the connection is still in step.
_HARMLESS = frozenset({refusal.DENIED, refusal.CREDENTIAL, refusal.UPSTREAM})


class ServerRequest:
    """One request and its answer. The connection goes on afterwards where `again` says so, with `rest`."""

    __slots__ = (
        *("head", "version", "memo", "trailers", "done", "answered", "again", "cut", "rest"),
        *("_stream", "_bottom", "_body", "_back", "_touched", "_out", "_chunked", "_continued"),
    )

    def __init__(self, stream: AnyStream, head: RequestHead, rest: bytes, memo: "Memo | None" = None) -> None:
        """`rest` is what has arrived behind the head."""
        self.head = head
        self.version = "1.1" if head.minor else "1.0"
        self.memo = memo
        self.trailers: Fields = []
        self.done = head.framing == 0
        self.answered = False
        self.again = False
        self.cut = False  # the connection has been aborted
        self.rest = rest  # arrived, not decoded; once the body is over, the next request's
        self._stream = stream
        self._bottom = stream.bottom
        self._body: Body | None = None
        self._back = b""  # decoded, not taken
        if head.framing == len(rest):  # all of it is here, and nothing else
            self._back, self.rest = rest, b""
        elif not self.done:
            self._body = http1.body(head.framing)
        self._touched = False  # some of the body has been decoded
        self._out: list[bytes] = []
        self._chunked = False
        self._continued = False

    # --- the request's body

    def arrived(self) -> bool:
        """Say whether the next `read` returns without waiting."""
        if self.done or self._back:
            return True
        if self.rest:
            self._decode(self.rest)
        return self.done or bool(self._back)

    async def read(self) -> bytes:
        """Return the next piece of the body, b"" at its end."""
        while not self.arrived():
            self._stream.expect(limits.BODY_TIME)
            data = await self._stream.read()
            if not data and self._body is not None:
                self._body.finish()
            self._decode(data)
        return self.take()

    def take(self) -> bytes:
        """Return the next piece, which has arrived."""
        data, self._back = self._back, b""
        self.done = self._body is None or self._body.done
        return data

    def _decode(self, data: bytes) -> None:
        """Decode what arrived. `done` waits until the last piece has been taken."""
        body = self._body
        if body is None:
            return
        self._touched = True
        self.rest = b""
        self._back += body.take(data)
        if body.done:
            self.rest = body.rest
            self.trailers = body.trailers
            self.done = not self._back

    def unread(self, data: bytes) -> None:
        """Put back a piece."""
        if data:
            self._back = data + self._back
            self.done = False

    def proceed(self) -> None:
        """Say `100 Continue` where the client waits for it."""
        if self.head.expect and self.head.minor and not self.done and not self._continued:
            self._continued = True
            self._stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # --- the answer

    def answer(self, head: ResponseHead, fields: Fields, written: bytes = b"") -> None:
        """Begin the answer, framed for this client."""
        mine = self.head
        endless = head.framing < 0  # CHUNKED or UNTIL_CLOSE
        self._chunked = endless and mine.minor == 1
        close = mine.close or not self.done or (endless and mine.minor == 0)
        hop = b""
        if self._chunked:
            hop = b"Transfer-Encoding: chunked\r\n"
        elif head.stated is not None:
            hop = b"Content-Length: %b\r\n" % head.stated
        elif head.framing > 0 or (
            head.framing == 0 and head.status not in {204, 304} and mine.method != "HEAD"
        ):
            hop = b"Content-Length: %d\r\n" % head.framing
        if close:
            hop += b"Connection: close\r\n"
        elif mine.minor == 0:
            hop += b"Connection: keep-alive\r\n"
        self.again = not close
        lines = written or http1.write_lines(fields)
        self._out = [b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (head.status, head.phrase, lines, hop)]

    def write(self, data: bytes) -> None:
        """Add a piece of the answer's body."""
        if data:
            self._out.append(http1.chunk(data) if self._chunked else data)

    def finish(self, trailers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """End the answer and send it."""
        if self._chunked:
            self._out.append(http1.last_chunk(trailers if self.head.trailers else ()))
        self._flush()

    async def drain(self) -> None:
        """Send what is gathered, and wait until the client has taken enough."""
        self._flush()
        if self.congested:
            await self._stream.drain()

    @property
    def congested(self) -> bool:
        """Whether there is anything to wait for before more is written."""
        return bool(self._out) or self._bottom.congested

    def _flush(self) -> None:
        out = self._out
        if out:
            self.answered = True
            self._out = []
            self._stream.write(out[0] if len(out) == 1 else b"".join(out))

    def refuse(self, refusal_: Refusal) -> None:
        """Tell the client; the connection goes on only where its request's body is known to be over."""
        head = self.head
        self.again = not head.close and refusal_.kind in _HARMLESS and self._skipped()
        self._out = [refusal.render(refusal_, close=not self.again, body=head.method != "HEAD")]
        self._flush()

    def _skipped(self) -> bool:
        """Skip a refused request's body where all of it has arrived; otherwise nobody knows where it ends."""
        if self._body is None or self._body.done:
            return True
        framing = self.head.framing
        if self._touched or framing < 0 or framing > len(self.rest):
            return False
        self.rest = self.rest[framing:]
        return True

    def abort(self, why: PeerError | None = None) -> None:  # noqa: ARG002 - HTTP/1.1 cannot say
        """Close the connection: a body that is cut short shows."""
        self.cut = True
        self._stream.abort()

    def tunnel(self, head: ResponseHead, fields: Fields) -> AnyStream:
        """Switch protocols (WebSocket, RFC 6455 §4) and return the raw stream."""
        fields = [*fields, (b"Connection", b"Upgrade"), (b"Upgrade", self.head.upgrade)]
        self.again = False
        self._out = [http1.write_head(b"HTTP/1.1 %d Switching Protocols" % head.status, fields)]
        self._flush()
        self._stream.unread(self.rest)
        self.rest = b""
        return self._stream

    # --- the client

    @property
    def ended(self) -> bool:
        """Whether the client is gone."""
        return self._bottom.ended

    @property
    def on_gone(self) -> "Callable[[], None] | None":
        """What is called when the client goes."""
        return self._bottom.on_gone

    @on_gone.setter
    def on_gone(self, call: "Callable[[], None] | None") -> None:
        self._bottom.on_gone = call
