"""A connection to an upstream that speaks HTTP/1.1: one request after another, one at a time (`message`)."""

from ringfence.egress import http1, limits
from ringfence.egress.http1 import CHUNKED, Body, Fields, MalformedError, ResponseHead
from ringfence.egress.memo import AnswerMemo
from ringfence.egress.stream import GoneError
from ringfence.egress.tls import AnyStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_STATES_ITS_LENGTH = frozenset({"POST", "PUT", "PATCH"})  # even where it is zero (RFC 9110 §8.6)


class ClientConnection:
    """One connection, and the request under way on it."""

    __slots__ = (
        *("key", "stream", "reused", "expires", "idle_since", "trailers", "done"),
        *("_host", "_give_back", "_method", "_upgrade", "_chunked", "_sent", "_out"),
        *("memo", "_head", "_remembered", "_body", "_rest", "_back"),
    )

    def __init__(
        self,
        key: tuple[str, str, int, str],
        stream: AnyStream,
        host: bytes,
        give_back: "Callable[[ClientConnection, float], None]",
    ) -> None:
        """`host` is what every request says in Host; `give_back` takes the connection for the next one."""
        self.key = key
        self.stream = stream
        self.reused = False
        self.idle_since = 0.0
        self.expires = 0.0
        self._host = host
        self._give_back = give_back
        self._remembered = AnswerMemo()
        self.memo: AnswerMemo | None = self._remembered
        self._out: list[bytes] = []
        self._begin("", b"")

    def _begin(self, method: str, upgrade: bytes) -> None:
        self.trailers: Fields = []
        self.done = False
        self._method = method
        self._upgrade = upgrade
        self._chunked = False
        self._sent = False
        self._head: ResponseHead | None = None
        self._body: Body | None = None
        self._rest = b""
        self._back = b""

    # --- the request

    def send(
        self,
        method: str,
        path: str,
        fields: Fields,
        framing: int,
        *,
        upgrade: bytes = b"",
        trailers: bool = False,
        written: bytes = b"",
    ) -> None:
        """Begin a request."""
        self._begin(method, upgrade)
        hop = b""
        if framing == CHUNKED:
            self._chunked = True
            hop = b"Transfer-Encoding: chunked\r\n"
        elif framing or method in _STATES_ITS_LENGTH:
            hop = b"Content-Length: %d\r\n" % framing
        if upgrade:
            hop += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % upgrade
        elif trailers:
            hop += b"Connection: TE\r\nTE: trailers\r\n"
        start, lines = f"{method} {path}".encode("ascii"), written or http1.write_lines(fields)
        self._out = [b"%b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (start, self._host, lines, hop)]

    def write(self, data: bytes) -> None:
        """Add a piece of the body."""
        if data:
            self._out.append(http1.chunk(data) if self._chunked else data)

    def finish(self, trailers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """End the request and send it."""
        if self._chunked:
            self._out.append(http1.last_chunk(trailers))
        self._sent = True
        self._flush()

    async def drain(self) -> None:
        """Send what is gathered, and wait until the upstream has taken enough."""
        self._flush()
        await self.stream.drain()

    def _flush(self) -> None:
        out = self._out
        if out:
            self._out = []
            self.stream.write(out[0] if len(out) == 1 else b"".join(out))

    # --- the answer

    async def head(self) -> ResponseHead:
        """Read the answer's head."""
        stream, data, seen = self.stream, b"", 0
        stream.expect(limits.ANSWER_TIME)
        for _ in range(limits.INFORMATIONAL):
            end = 0
            while not (data and (end := http1.head_end(data, seen))):
                seen = len(data)
                more = await stream.read()
                if not more:
                    raise GoneError("the connection was closed before an answer")
                data += more
            head = self._remembered.read(data[:end], self._method)
            data, seen = data[end:], 0
            if head.status >= 200 or (head.status == 101 and self._upgrade):
                return self._begun(head, data)
            if head.status == 101:
                raise MalformedError("the upstream switched to a protocol nobody asked for", answer=502)
        raise MalformedError("too many interim answers", answer=502)

    def _begun(self, head: ResponseHead, rest: bytes) -> ResponseHead:
        self._head = head
        self._rest = rest
        if head.framing == 0:
            self.done = True
        elif head.framing == len(rest):  # all of it is here, and nothing else
            self._back, self._rest = rest, b""
        else:
            self._body = http1.body(head.framing)
        return head

    def arrived(self) -> bool:
        """Say whether the next `read` returns without waiting."""
        if self.done or self._back:
            return True
        if self._rest:
            self._decode(self._rest)
        return self.done or bool(self._back)

    async def read(self) -> bytes:
        """Return the next piece of the answer, b"" at its end."""
        while not self.arrived():
            self.stream.expect(limits.STREAM_TIME)
            data = await self.stream.read()
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
        self._rest = b""
        self._back += body.take(data)
        if body.done:
            self._rest = body.rest
            self.trailers = body.trailers
            self.done = not self._back

    # --- afterwards

    def release(self) -> None:
        """Keep the connection for another request where it is in step, else close it."""
        head = self._head
        if head is None or head.close or self._rest or not self._sent or not self.done:
            self.stream.close()
        else:
            self._give_back(self, head.keep_for)

    def abort(self) -> None:
        """Close the connection now."""
        self.stream.abort()

    def tunnel(self) -> AnyStream:
        """Return the raw stream behind a 101."""
        self.stream.unread(self._rest)
        self._rest = b""
        return self.stream
