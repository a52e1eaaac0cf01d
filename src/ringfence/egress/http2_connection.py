"""One HTTP/2 connection and its channels, for either side of the gate.

A connection is read by one coroutine and written once per turn of the loop. What the peer sends becomes
the channels' business; a fault of the connection is the failure of all its channels. Frames are counted
before they are read, and while our replies pile up nothing more is read: a peer has no way to make us
keep more than the windows and limits say.
"""

import asyncio

from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from ringfence.egress.http1 import Fields, MalformedError
from ringfence.egress.http2_channel import Channel, ResetError, UnprocessedError, late, name_of
from ringfence.egress.http2_fields import parse_trailers
from ringfence.egress.http2_meter import FloodError, Meter
from ringfence.egress.http2_wire import ErrorCodes, Wire
from ringfence.egress.stream import GoneError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 64 * 1024  # the longest frame we send, where the peer allows more than the usual
_WORTH = 256  # bytes in one frame that count as moving something on


class Connection:
    """What both sides of the gate do with an HTTP/2 connection."""

    def __init__(self, stream: AnyStream, *, client: bool, window: int) -> None:
        """`client`: we make the requests."""
        self.stream = stream
        self.wire = Wire(client=client)
        self.meter = Meter(preface=not client)
        self.channels: dict[int, Channel] = {}
        self.congested = False  # the kernel takes no more for now
        self.closed: PeerError | None = None
        self._answer = 502 if client else 400  # what a fault of the peer's amounts to
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._drainer: asyncio.Task[None] | None = None
        self._handlers: dict[type[Event], Callable[..., None]] = {
            DataReceived: self._data,
            StreamEnded: self._stream_ended,
            StreamReset: self._stream_reset,
            TrailersReceived: self._trailers,
            WindowUpdated: self._window_updated,
            RemoteSettingsChanged: lambda _: self.pump(),  # the windows of streams may have grown
            ConnectionTerminated: self.going_away,
        }
        self.wire.begin(window)
        self.touch()

    def handle(self, kind: "type[Event]", handler: "Callable[..., None]") -> None:
        """Have one more kind of event handled."""
        self._handlers[kind] = handler

    # --- reading

    def receive(self, data: bytes) -> None:
        """Take what arrived. What breaks the protocol, or costs too much, ends the connection."""
        try:
            self.meter.take(data)
            events = self.wire.receive_data(data)
            for event in events:
                handler = self._handlers.get(type(event))
                if handler is not None:
                    handler(event)
        except FloodError as error:
            self.go_away(error.code)
            raise MalformedError(f"the peer costs too much: {error.message}") from error
        except ProtocolError as error:
            raise MalformedError(f"HTTP/2 broken: {_told(error)}") from error
        finally:
            self.touch()

    async def clear(self) -> None:
        """Wait while what we have to say piles up: who reads no answers gets no further questions in."""
        while self._drainer is not None:
            await asyncio.wait({self._drainer})

    def go_away(self, code: int) -> None:
        """Say that the connection ends, and why."""
        self.wire.close_connection(code)
        self.flush()

    def _data(self, event: DataReceived) -> None:
        channel = self.channels.get(event.stream_id)
        data: bytes = event.data or b""
        padding = (event.flow_controlled_length or 0) - len(data)
        if data:
            self.meter.moved()
        if channel is None:
            padding += len(data)
        else:
            channel.arrive(data)
            self._count(channel)
        if padding:
            self.credit(event.stream_id, padding)

    def _stream_ended(self, event: StreamEnded) -> None:
        channel = self.channels.get(event.stream_id)
        if channel is not None:
            channel.finish_arriving()
            self._count(channel)

    def _trailers(self, event: TrailersReceived) -> None:
        channel = self.channels.get(event.stream_id)
        if channel is None:
            return
        try:
            channel.trailers = parse_trailers(
                event.headers or (), 502 if self.wire.config.client_side else 400
            )
        except MalformedError as error:
            channel.refuse_body(error.message)

    def _count(self, channel: Channel) -> None:
        """Count a stream that the peer has made us reset."""
        if channel.failure is not None:
            self.meter.reset()

    def _stream_reset(self, event: StreamReset) -> None:
        if not event.remote_reset:
            self.meter.reset()
        channel = self.channels.get(event.stream_id)
        if channel is None:
            return
        code = int(event.error_code or 0)
        unseen = code == ErrorCodes.REFUSED_STREAM and self.wire.config.client_side
        channel.fail(UnprocessedError("the upstream refused the stream") if unseen else ResetError(code))

    def _window_updated(self, event: WindowUpdated) -> None:
        if event.stream_id:
            channel = self.channels.get(event.stream_id)
            if channel is not None:
                channel.pump()
        else:
            self.pump()

    def going_away(self, event: ConnectionTerminated) -> None:
        """Take note that the peer opens, or takes, no more streams."""

    # --- writing

    def room(self, number: int) -> int:
        """Return how long a frame on this stream may be now."""
        try:
            window = self.wire.local_flow_control_window(number)
        except ProtocolError:
            raise GoneError("the stream is closed") from None
        return min(window, self.wire.max_outbound_frame_size, _PIECE)

    def send_head(self, number: int, fields: Fields, *, end: bool) -> None:
        """Send a field list; GoneError where the stream is no more."""
        try:
            self.wire.send_headers(number, fields, end_stream=end)
        except ProtocolError:
            raise GoneError("the stream is closed") from None
        self.touch()

    def send(self, number: int, data: bytes, *, end: bool) -> None:
        """Send one frame of data; GoneError where the stream is no more."""
        try:
            self.wire.send_data(number, data, end_stream=end)
        except ProtocolError:
            raise GoneError("the stream is closed") from None
        if end or len(data) >= _WORTH:
            self.meter.moved()
        self.touch()

    def reset(self, number: int, code: int) -> None:
        """Reset a stream, where it still is."""
        try:
            self.wire.reset_stream(number, code)
        except ProtocolError:  # it is closed already
            return
        self.touch()

    def credit(self, number: int, size: int) -> None:
        """Open the windows for what has been taken."""
        if size and self.closed is None:
            self.wire.acknowledge_received_data(size, number)
            if self.wire.waiting:
                self.touch()

    def pump(self) -> None:
        """Give every channel that waits its turn, one round after another."""
        moving = list(self.channels.values())
        while moving and not self.congested:
            moving = [channel for channel in moving if channel.pump()]

    def touch(self) -> None:
        """Send at the end of this turn of the loop what there is to send."""
        if not self._scheduled and self.closed is None:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what there is to send."""
        self._scheduled = False
        data = self.wire.data_to_send()
        if not data or self.stream.lost:
            return None
        try:
            self.stream.write(data)
        except PeerError as error:
            return self.lose(error)
        if self.stream.congested and self._drainer is None:
            self.congested = True
            self._drainer = self._loop.create_task(self._drain())
        return None

    async def _drain(self) -> None:
        try:
            await self.stream.drain()
        except PeerError as error:
            self.stream.abort()
            self.lose(error)
        finally:
            self.congested = False
            self._drainer = None
        self.pump()
        for channel in list(self.channels.values()):
            channel.roomy()

    # --- waiting

    def future(self) -> "asyncio.Future[None]":
        """Return something to wait for."""
        return self._loop.create_future()

    async def wait(self, waiter: "asyncio.Future[None]", seconds: float) -> None:
        """Wait to be woken, for so long."""
        timer = self._loop.call_later(seconds, late, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    # --- the end

    def forget(self, channel: Channel) -> None:
        """Let go of a channel that has ended."""
        if self.channels.pop(channel.number, None) is not None and not channel.abandoned:
            self.meter.moved(4)

    def lose(self, error: PeerError) -> None:
        """Take note that the connection is gone; every channel fails."""
        if self.closed is None:
            self.closed = error
        for channel in list(self.channels.values()):
            channel.fail(error)


def _told(error: ProtocolError) -> str:
    """Name a fault; the library's own words could repeat what the peer sent."""
    return f"{type(error).__name__} ({name_of(int(error.error_code))})"
