"""HTTP/2 from the boundary: every stream is a request of its own, with the face that the judge knows.

Nothing is concluded from one stream for another: a client may put requests for several hosts of one
certificate on a connection, and each is judged by its own `:authority` (RFC 9113 §9.1.1). A request that
is malformed is refused on its stream; a connection that breaks the protocol, or costs too much, ends.
"""

import asyncio
from typing import cast

from h2.events import RequestReceived

from ringfence.egress import judge, limits, refusal
from ringfence.egress.conversation import linger
from ringfence.egress.gate import Origin
from ringfence.egress.http1 import CHUNKED, Fields, MalformedError, RequestHead, ResponseHead
from ringfence.egress.http2_channel import (
    INTERNAL_ERROR,
    NO_ERROR,
    PASSED_ON,
    REFUSED_STREAM,
    Channel,
    ResetError,
)
from ringfence.egress.http2_connection import Connection
from ringfence.egress.http2_fields import KEY, accepted, parse_request, response_fields
from ringfence.egress.http2_tunnel import ChannelStream
from ringfence.egress.refusal import Refusal
from ringfence.egress.services import Services
from ringfence.egress.stream import GoneError, LateError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringfence.egress.memo import Memo


class ServerStream:
    """One request and its answer."""

    __slots__ = ("_begun", "_channel", "_head", "_out", "answered", "done", "head", "memo", "version")

    def __init__(self, channel: Channel, head: RequestHead) -> None:
        self.head = head
        self.version = "2"
        self.memo: Memo | None = None  # heads are compressed on their way, and read anew each time
        self.done = head.framing == 0
        self.answered = False
        self._channel = channel
        self._head: Fields | None = None  # of the answer, not sent yet
        self._out: list[bytes] = []

    # --- the request's body

    @property
    def trailers(self) -> Fields:
        """What came behind the body."""
        return self._channel.trailers

    def arrived(self) -> bool:
        """Say whether the next `read` returns without waiting."""
        return self.done or self._channel.arrived()

    async def read(self) -> bytes:
        """Return the next piece of the body, b"" at its end."""
        if self.done:
            return b""
        data = await self._channel.read(limits.BODY_TIME)
        self.done = self._channel.drained
        return data

    def take(self) -> bytes:
        """Return the next piece, which has arrived."""
        data = b"" if self.done else self._channel.take()
        self.done = self._channel.drained
        return data

    def unread(self, data: bytes) -> None:
        """Put back a piece."""
        if data:
            self._channel.unread(data)
            self.done = False

    def proceed(self) -> None:
        """Say 100 where the agent waits for it."""
        if self.head.expect and not self.done and not self._channel.arrived():
            self._channel.head([(b":status", b"100")])

    # --- the answer

    def answer(
        self,
        head: ResponseHead,
        fields: Fields,
        written: bytes = b"",  # noqa: ARG002 - heads are compressed here
    ) -> None:
        """Begin the answer. Its end is the stream's; a length is said where it is known."""
        if head.stated is not None:
            fields = [*fields, (b"content-length", head.stated)]
        elif head.framing > 0:
            fields = [*fields, (b"content-length", b"%d" % head.framing)]
        # To who asked for a WebSocket, any success would mean that there is one.
        refused = self.head.upgrade and 200 <= head.status < 300
        self._head = response_fields(502 if refused else head.status, fields)

    def write(self, data: bytes) -> None:
        """Add a piece of the answer's body."""
        if data:
            self._out.append(data)

    def finish(self, trailers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """End the answer and send it."""
        alone = not self._out and not trailers and self._head is not None
        self._begin(end=alone)
        if not alone:
            self._channel.close(self._gathered(), [(name.lower(), value) for name, value in trailers])

    @property
    def congested(self) -> bool:
        """Say yes: whether the agent takes more is found out by waiting."""
        return True

    async def drain(self) -> None:
        """Send what is gathered, and wait until the agent has taken enough."""
        self._begin(end=False)
        if self._out:
            self._channel.write(self._gathered())
        if not self._channel.ended:
            await self._channel.drain()

    def _begin(self, *, end: bool) -> None:
        head, self._head = self._head, None
        if head is not None:
            self.answered = True
            self._channel.head(head, end=end)

    def _gathered(self) -> bytes:
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def refuse(self, outcome: Refusal) -> None:
        """Tell the agent: in gRPC's own way where it speaks gRPC, in JSON otherwise."""
        self._out = []
        if is_grpc(self.head):
            self._head = grpc_refusal(outcome)
            return self.finish()
        self._head, content = plain_refusal(outcome)
        if self.head.method != "HEAD":
            self._out = [content]
        return self.finish()

    def abort(self, why: PeerError | None = None) -> None:
        """Reset the stream, for the reason the upstream gave where that means the same to the agent."""
        code = why.code if isinstance(why, ResetError) and why.code in PASSED_ON else INTERNAL_ERROR
        self._channel.reset(code)

    def tunnel(self, head: ResponseHead, fields: Fields) -> AnyStream:  # noqa: ARG002 - the face's
        """Accept a WebSocket and return the stream as a tunnel; its 101 is a 200 here (RFC 8441 §5)."""
        key = next((value for name, value in self.head.fields if name == KEY), b"")
        fields = accepted(fields, key)
        self.answered = True
        self._channel.head(response_fields(200, fields))
        return cast("AnyStream", ChannelStream(self._channel))

    # --- the agent

    @property
    def ended(self) -> bool:
        """Whether the agent has given up on the request."""
        return self._channel.failure is not None

    @property
    def on_gone(self) -> "Callable[[], None] | None":
        """What is called when the agent gives up."""
        return self._channel.on_gone

    @on_gone.setter
    def on_gone(self, call: "Callable[[], None] | None") -> None:
        self._channel.on_gone = call


class ServerConnection(Connection):
    """One connection from the boundary."""

    def __init__(self, services: Services, stream: AnyStream, origin: Origin) -> None:
        super().__init__(stream, client=False, window=limits.H2_CONNECTION_WINDOW)
        self._services = services
        self._origin = origin
        self._group: asyncio.TaskGroup | None = None
        self._serving = 0
        self.handle(RequestReceived, self._request)

    async def run(self) -> None:
        """Serve until the agent or a fault ends it."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await self._read()
            except MalformedError as error:
                return await self._end(error)
            except PeerError as error:
                self.lose(error)
                self.stream.abort()
            else:
                self.lose(GoneError("the agent closed the connection"))
                self.stream.close()

    async def _read(self) -> None:
        while True:
            self.stream.expect(limits.IDLE_TIME if self.meter.between else limits.HEAD_TIME)
            try:
                data = await self.stream.read()
            except LateError:
                if self.channels and self.meter.between:
                    continue
                return self.go_away(NO_ERROR)
            if not data:
                return None
            self.receive(data)
            await self.clear()

    async def _end(self, error: MalformedError) -> None:
        """Record why the connection ends; the agent is told by the GOAWAY that is waiting."""
        self._tell(error)
        self.flush()
        self.lose(GoneError(error.message))
        await linger(self.stream)

    def _tell(self, error: MalformedError) -> None:
        self._services.record.flood(
            "refused",
            reason=error.message,
            status=error.answer,
            host=self._origin.host,
            source=self._origin.kind,
        )

    # --- requests

    def _request(self, event: RequestReceived) -> None:
        """Begin to serve one request; it is looked at when the whole of what arrived has been read."""
        number, group = event.stream_id, self._group
        crowded = self._serving >= limits.H2_STREAMS or self._services.busy >= limits.EXCHANGES
        if group is None or crowded:
            self.meter.reset()
            return self.reset(number, REFUSED_STREAM)
        channel = self.channels[number] = Channel(self, number)
        self._serving += 1
        over = event.stream_ended is not None
        try:
            head = parse_request(event.headers or (), self._origin.scheme, over=over)
        except MalformedError as error:
            self.meter.reset()
            self._tell(error)
            group.create_task(self._refuse(channel, error))
            return None
        channel.expect_length(-1 if head.framing == CHUNKED or head.upgrade else head.framing)
        group.create_task(self._serve(channel, ServerStream(channel, head)))
        return None

    async def _serve(self, channel: Channel, inbound: ServerStream) -> None:
        """Serve one request; one that was reset at once is not even judged."""
        try:
            if channel.failure is None:
                await judge.serve(self._services, inbound, self._origin)
            if channel.closing:
                await channel.flushed()
        except PeerError:
            channel.reset(INTERNAL_ERROR)
        finally:
            self._done(channel)

    async def _refuse(self, channel: Channel, error: MalformedError) -> None:
        """Answer what could not be read."""
        try:
            head, content = plain_refusal(refusal.malformed(error.message, error.answer))
            channel.head(head)
            channel.close(content, [])
            await channel.flushed()
        except PeerError:
            channel.reset(INTERNAL_ERROR)
        finally:
            self._done(channel)

    def _done(self, channel: Channel) -> None:
        """Let go of a stream; what the agent still sends on it is not wanted (RFC 9113 §8.1)."""
        self._serving -= 1
        channel.on_gone = None
        channel.reset(NO_ERROR if channel.ended else INTERNAL_ERROR)
        channel.abandon()


def is_grpc(head: RequestHead) -> bool:
    """Say whether a request is a call of gRPC's."""
    return any(
        name == b"content-type" and value.startswith(b"application/grpc") for name, value in head.fields
    )


def plain_refusal(outcome: Refusal) -> tuple[Fields, bytes]:
    """Return a refusal as field list and content."""
    fields, content = refusal.parts(outcome)
    return response_fields(outcome.status, fields), content


# From a status to gRPC's code for it (grpc/doc/http-grpc-status-mapping.md).
_GRPC = {400: 13, 401: 16, 403: 7, 404: 12, 421: 7, 429: 14, 502: 14, 503: 14, 504: 14}


def grpc_refusal(outcome: Refusal) -> Fields:
    """Return a refusal as a call's end without an answer ("trailers only"): clients show its message."""
    text = " ".join(part for part in (outcome.message, outcome.how) if part)
    return [
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"%d" % _GRPC.get(outcome.status, 2)),
        (b"grpc-message", _percent(text)),
        (b"x-ringfence-denied", b"1"),
    ]


def _percent(text: str) -> bytes:
    """Encode a message as gRPC does: printable ASCII but for the percent sign."""
    raw = text.encode("utf-8")[:2000]
    return b"".join(b"%c" % byte if 32 <= byte <= 126 and byte != 37 else b"%%%02X" % byte for byte in raw)


async def serve(services: Services, stream: AnyStream, origin: Origin) -> None:
    """Serve one connection that speaks HTTP/2, to its end."""
    await ServerConnection(services, stream, origin).run()
