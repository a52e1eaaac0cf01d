"""HTTP/2 to an upstream: many requests on one connection, each with the face that the exchange knows.

A request that the upstream says it has not looked at (GOAWAY with an older stream, REFUSED_STREAM) is sent
once more on another connection, whatever its method, where all of it is still at hand (RFC 9113 §8.7).
"""

from h2.events import (
    ConnectionTerminated,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
)

from ringfence.egress import limits
from ringfence.egress.http1 import Fields, MalformedError, ResponseHead
from ringfence.egress.http2_channel import (
    CANCEL,
    NO_ERROR,
    PROTOCOL_ERROR,
    Channel,
    UnprocessedError,
)
from ringfence.egress.http2_connection import Connection
from ringfence.egress.http2_fields import parse_response, request_fields
from ringfence.egress.memo import AnswerMemo
from ringfence.egress.stream import NEVER, GoneError, LateError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class UpstreamConnection(Connection):
    """One connection to an upstream."""

    def __init__(self, stream: AnyStream, scheme: str, authority: bytes) -> None:
        """Begin at once; `authority` is what every request says in :authority."""
        super().__init__(stream, client=True, window=limits.H2_UPSTREAM_WINDOW)
        self.scheme = scheme
        self.authority = authority
        self.taken = 0  # requests under way, sent or about to be
        self.served = False
        self.closing = False  # takes no new requests
        self.idle_since = self._loop.time()
        self.ready = self._loop.create_future()  # done when the upstream has said its settings, or is gone
        self._capacity = 1  # until then
        self._requests: dict[int, ClientStream] = {}
        self.handle(ResponseReceived, self._response)
        self.handle(InformationalResponseReceived, self._interim)
        self.handle(RemoteSettingsChanged, self._settings)
        self._reading = self._loop.create_task(self._read())

    @property
    def free(self) -> bool:
        """Whether one more request may be sent here."""
        return not self.closing and self.closed is None and self.taken < self._capacity

    def take(self) -> None:
        """Reserve room for a request."""
        self.taken += 1

    def begin(self, request: "ClientStream", fields: Fields, *, end: bool) -> Channel:
        """Open a stream with a request's head."""
        if self.closed is not None or self.closing:
            raise UnprocessedError("the connection takes no more requests")
        number = self.wire.get_next_available_stream_id()
        channel = Channel(self, number)
        self.channels[number] = channel
        self._requests[number] = request
        try:
            channel.head(fields, end=end)
        except GoneError:  # more streams than the upstream allows by now
            del self.channels[number], self._requests[number]
            raise UnprocessedError("the connection takes no more requests") from None
        self.closing = number > limits.H2_LAST_STREAM
        return channel

    def done(self, channel: Channel | None) -> None:
        """Give back a request's room."""
        self.taken -= 1
        self.served = True
        self.idle_since = self._loop.time()
        if channel is not None:
            self._requests.pop(channel.number, None)
        if self.closing and not self.taken:
            self.close()

    def close(self) -> None:
        """End a connection on which nothing is under way."""
        self.closing = True
        if self.closed is None and not self.stream.lost:
            self.go_away(NO_ERROR)
        self.stream.close()

    async def _read(self) -> None:
        """Read until the upstream or a fault ends the connection."""
        self.stream.expect(NEVER)
        try:
            while data := await self.stream.read():
                self.receive(data)
                await self.clear()
            self.lose(GoneError("the upstream closed the connection"))
            self.stream.close()
        except PeerError as error:
            self.flush()
            self.lose(error)
            self.stream.abort()

    def lose(self, error: PeerError) -> None:
        """Take note that the connection is gone."""
        self.closing = True
        super().lose(error)
        self._settled()

    def _settings(self, _: RemoteSettingsChanged) -> None:
        self._capacity = min(self.wire.remote_settings.max_concurrent_streams, limits.H2_UPSTREAM_STREAMS)
        self._settled()
        self.pump()  # the windows of streams may have grown

    def _settled(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _response(self, event: ResponseReceived) -> None:
        request = self._requests.get(event.stream_id)
        if request is not None:
            request.answered(event.headers or [], over=event.stream_ended is not None)

    def _interim(self, event: InformationalResponseReceived) -> None:
        request = self._requests.get(event.stream_id)
        if request is not None:
            request.interim()

    def going_away(self, event: ConnectionTerminated) -> None:
        """Send nothing new; what the upstream has not looked at fails, the rest goes on."""
        self.closing = True
        last = event.last_stream_id or 0
        for channel in [one for one in self.channels.values() if one.number > last]:
            channel.fail(UnprocessedError("the upstream is going away"))
        if not self.taken:
            self.close()


class ClientStream:
    """One request, and its answer."""

    __slots__ = (
        *("reused", "memo", "done"),
        *("_channel", "_connection", "_fields", "_again", "_head", "_interims", "_kept", "_method"),
        *("_open", "_out", "_whole", "_last"),
    )

    def __init__(
        self, connection: UpstreamConnection, again: "Callable[[], Awaitable[UpstreamConnection]]"
    ) -> None:
        """`again` finds another connection for a request that this one did not look at."""
        connection.take()
        self.reused = connection.served
        self.memo: AnswerMemo | None = None
        self.done = False
        self._connection = connection
        self._again: Callable[[], Awaitable[UpstreamConnection]] | None = again
        self._channel: Channel | None = None
        self._open = True  # our place on the connection is taken
        self._method = ""
        self._fields: Fields = []
        self._out: list[bytes] = []
        self._kept: bytes | None = b""  # of the body, to send it again; None where it got too long
        self._whole = False  # the request has been sent to its end
        self._last: Fields = []
        self._head: ResponseHead | None = None
        self._interims = 0

    # --- the request

    def send(
        self,
        method: str,
        path: str,
        fields: Fields,
        framing: int,
        *,
        upgrade: bytes = b"",  # noqa: ARG002 - there are none in HTTP/2
        trailers: bool = False,
        written: bytes = b"",  # noqa: ARG002 - heads are compressed here
    ) -> None:
        """Begin the request."""
        connection = self._connection
        self._method = method
        self._fields = request_fields(method, connection.scheme, connection.authority, path, fields)
        if framing > 0:
            self._fields.append((b"content-length", b"%d" % framing))
        if trailers:
            self._fields.append((b"te", b"trailers"))

    def write(self, data: bytes) -> None:
        """Add a piece of the body."""
        if data:
            self._out.append(data)

    def finish(self, trailers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """End the request and send it."""
        self._last = [(name.lower(), value) for name, value in trailers]
        self._whole = True
        data = self._gathered()
        if self._channel is None and not data and not self._last:
            self._channel = self._connection.begin(self, self._fields, end=True)
        else:
            self._begun().close(data, self._last)

    async def drain(self) -> None:
        """Send what is gathered, and wait until the upstream has taken enough."""
        channel = self._begun()
        if self._out:
            channel.write(self._gathered())
        await channel.drain()

    def _begun(self) -> Channel:
        if self._channel is None:
            self._channel = self._connection.begin(self, self._fields, end=False)
        return self._channel

    def _gathered(self) -> bytes:
        """Take what is gathered, and keep it as long as that is little."""
        out, self._out = self._out, []
        data = out[0] if len(out) == 1 else b"".join(out)
        if self._kept is not None:
            kept = self._kept + data if self._kept else data
            self._kept = kept if len(kept) <= limits.H2_OUT else None
        return data

    # --- the answer

    def answered(self, fields: Fields, *, over: bool) -> None:
        """Take the answer's head as it arrives."""
        channel = self._channel
        if channel is None:
            return None
        try:
            self._head = head = parse_response(fields, self._method, over=over)
        except MalformedError as error:
            return channel.reset(PROTOCOL_ERROR, error)
        channel.expect_length(head.framing)
        channel.wake()
        return None

    def interim(self) -> None:
        """Count an interim answer; the agent had ours."""
        self._interims += 1
        if self._interims > limits.INFORMATIONAL and self._channel is not None:
            self._channel.reset(PROTOCOL_ERROR, MalformedError("too many interim answers", answer=502))

    async def head(self) -> ResponseHead:
        """Return the answer's head; a request that was not looked at is sent once more."""
        try:
            return await self._answer()
        except UnprocessedError:
            if self._again is None or self._kept is None or not self._whole:
                raise
        await self._send_again(self._kept)
        return await self._answer()

    async def _answer(self) -> ResponseHead:
        channel = self._begun()
        while self._head is None:
            await self._patiently(channel.wait(limits.ANSWER_TIME))
        self.done = channel.drained
        return self._head

    async def _patiently(self, waiting: "Awaitable[None]") -> None:
        """Wait; on a connection that keeps us waiting too long nothing more is sent."""
        try:
            await waiting
        except LateError:
            self._connection.closing = True
            raise

    async def _send_again(self, body: bytes) -> None:
        again, self._again = self._again, None
        self._give_back()
        if again is None:
            raise GoneError("the request was sent again already")
        self._connection = await again()
        self._connection.take()
        self._open = True
        self._channel = self._connection.begin(self, self._fields, end=not body and not self._last)
        if body or self._last:
            self._channel.close(body, self._last)

    def arrived(self) -> bool:
        """Say whether the next `read` returns without waiting."""
        return self.done or (self._channel is not None and self._channel.arrived())

    async def read(self) -> bytes:
        """Return the next piece of the answer, b"" at its end."""
        if self.done:
            return b""
        channel = self._begun()
        try:
            data = await channel.read(limits.STREAM_TIME)
        except LateError:
            self._connection.closing = True
            raise
        self.done = channel.drained
        return data

    def take(self) -> bytes:
        """Return the next piece, which has arrived."""
        channel = self._channel
        if self.done or channel is None:
            return b""
        data = channel.take()
        self.done = channel.drained
        return data

    @property
    def trailers(self) -> Fields:
        """What came behind the answer's body."""
        return [] if self._channel is None else self._channel.trailers

    # --- afterwards

    def release(self) -> None:
        """Leave the stream; a body that was not sent to its end is given up (RFC 9113 §8.1)."""
        if self._channel is not None:
            self._channel.reset(NO_ERROR)
        self._give_back()

    def abort(self) -> None:
        """Give the request up now."""
        if self._channel is not None:
            self._channel.reset(CANCEL)
        self._give_back()

    def _give_back(self) -> None:
        if self._open:
            self._open = False
            if self._channel is not None:
                self._channel.abandon()
            self._connection.done(self._channel)

    def tunnel(self) -> AnyStream:
        """Never called: no upgrade is sent over HTTP/2."""
        raise MalformedError("there are no upgrades in HTTP/2", answer=502)
