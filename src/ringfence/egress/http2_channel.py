"""One stream of an HTTP/2 connection as two flows of bytes, with windows as back-pressure.

What arrives is kept until somebody takes it, and only then is the window opened again: a slow reader
stops its sender, across the gate. What is written waits for the peer's window and for the kernel: `drain`
says when there is room. A channel ends by itself when both flows have ended, or at once by a reset;
whoever waits on it then is woken with `failure`.
"""

from typing import Protocol

from ringfence.egress import limits
from ringfence.egress.http1 import Fields, MalformedError
from ringfence.egress.stream import GoneError, LateError
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 2, 7, 8  # RFC 9113 §7
PASSED_ON = frozenset({CANCEL, 11, 13})  # mean the same across the gate: ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED
NAMES = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)


class ResetError(GoneError):
    """The peer has reset the stream; `code` is its reason."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the stream was reset ({name_of(code)})")
        self.code = code


class UnprocessedError(GoneError):
    """The peer says that it has not looked at the request: it can be sent again (RFC 9113 §8.7)."""


def name_of(code: int) -> str:
    """Name an error code."""
    return NAMES[code] if code < len(NAMES) else f"code {code}"


class Carrier(Protocol):
    """What a channel asks of its connection."""

    congested: bool  # the kernel takes no more for now

    def future(self) -> "asyncio.Future[None]":
        """Return something to wait for."""

    async def wait(self, waiter: "asyncio.Future[None]", seconds: float) -> None:
        """Wait to be woken, for so long."""

    def room(self, number: int) -> int:
        """Return how long a frame on this stream may be now."""

    def send_head(self, number: int, fields: Fields, *, end: bool) -> None:
        """Send a field list; GoneError where the stream is no more."""

    def send(self, number: int, data: bytes, *, end: bool) -> None:
        """Send one frame of data; GoneError where the stream is no more."""

    def reset(self, number: int, code: int) -> None:
        """Reset a stream, where it still is."""

    def credit(self, number: int, size: int) -> None:
        """Open the windows for what has been taken."""

    def forget(self, channel: "Channel") -> None:
        """Let go of a channel that has ended."""


class Channel:
    """One stream: what arrived and was not taken, what was written and not sent."""

    __slots__ = (
        *("number", "over", "trailers", "failure", "ended", "on_gone", "abandoned", "closing"),
        *("_connection", "_back", "_pieces", "_held", "_left", "_reader"),
        *("_out", "_last", "_writer"),
    )

    def __init__(self, connection: Carrier, number: int) -> None:
        self.number = number
        self.over = False  # the peer has ended its flow
        self.ended = False  # we have ended ours, and all of it is sent
        self.closing = False  # we end ours behind what is written
        self.abandoned = False  # whatever still arrives is not wanted
        self.trailers: Fields = []
        self.failure: PeerError | None = None
        self.on_gone: Callable[[], None] | None = None
        self._connection = connection
        self._back = b""  # taken, and put back
        self._pieces: list[bytes] = []
        self._held = 0
        self._left = -1  # bytes until the stated length; negative where none was stated
        self._reader: asyncio.Future[None] | None = None
        self._out = bytearray()
        self._last: Fields = []
        self._writer: asyncio.Future[None] | None = None

    # --- from the peer

    def expect_length(self, length: int) -> None:
        """Hold the peer to a stated length; negative for none."""
        self._left = length

    def arrive(self, data: bytes) -> None:
        """Take a piece."""
        if self._left >= 0:
            self._left -= len(data)
            if self._left < 0:
                self._connection.credit(self.number, len(data))
                return self.refuse_body("there is more data than content-length says")
        if self.abandoned:
            return self._connection.credit(self.number, len(data))
        if data:
            self._pieces.append(data)
            self._held += len(data)
            _wake(self._reader)
        return None

    def finish_arriving(self) -> None:
        """Take note of the end of the peer's flow."""
        if self._left > 0:
            return self.refuse_body("there is less data than content-length says")
        self.over = True
        _wake(self._reader)
        return self._settle()

    def refuse_body(self, message: str) -> None:
        """End the stream for what it carries."""
        self.reset(PROTOCOL_ERROR, MalformedError(message))

    def arrived(self) -> bool:
        """Say whether a `read` returns without waiting."""
        return self.over or bool(self._pieces) or bool(self._back)

    @property
    def drained(self) -> bool:
        """Whether all that the peer had to say has been taken."""
        return self.over and not self._pieces and not self._back

    def unread(self, data: bytes) -> None:
        """Put back a piece, to be read first. Its window stays open."""
        self._back = data + self._back

    async def read(self, seconds: float) -> bytes:
        """Return what has arrived, waiting for something; b"" is the end."""
        while not self.arrived():
            await self.wait(seconds)
        return self.take()

    def take(self) -> bytes:
        """Return what has arrived, without waiting; b"" is the end."""
        if self._back:
            data, self._back = self._back, b""
            return data
        if not self._pieces:
            return b""
        data = self._take()
        if self._held:  # the window of what was abandoned has been opened already
            self._held -= len(data)
            self._connection.credit(self.number, len(data))
        return data

    def _take(self) -> bytes:
        """Take some pieces: all, or as many as go on at once."""
        pieces = self._pieces
        count, size = 0, 0
        while count < len(pieces) and size < limits.H2_OUT:
            size += len(pieces[count])
            count += 1
        taken = pieces[:count]
        del pieces[:count]
        return taken[0] if count == 1 else b"".join(taken)

    async def wait(self, seconds: float) -> None:
        """Wait until something about the peer's flow changes."""
        if self.failure is not None:
            raise self.failure
        self._reader = self._connection.future()
        try:
            await self._connection.wait(self._reader, seconds)
        finally:
            self._reader = None

    def wake(self) -> None:
        """Wake whoever waits for the peer's flow."""
        _wake(self._reader)

    # --- to the peer

    def head(self, fields: Fields, *, end: bool = False) -> None:
        """Send a field list; `end`: nothing follows."""
        if self.failure is not None:
            raise self.failure
        self._connection.send_head(self.number, fields, end=end)
        if end:
            self.ended = True
            self._settle()

    def write(self, data: bytes) -> None:
        """Send as much as there is room for; the rest waits. Follow with `drain`."""
        if self.failure is not None:
            raise self.failure
        self._out += data
        self.pump()

    def close(self, data: bytes, trailers: Fields) -> None:
        """Send the last piece, and end our flow behind all that is written."""
        self._out += data
        self.closing = True
        self._last = trailers
        self.pump()

    def pump(self) -> bool:
        """Send what the windows allow; returns whether anything was sent."""
        if self.failure is not None or self.ended:
            return False
        try:
            sent = self._pump()
        except GoneError as error:
            self.fail(error)
            return False
        if len(self._out) <= limits.H2_OUT:
            _wake(self._writer)
        self._settle()
        return sent

    def _pump(self) -> bool:
        sent, out, connection = False, self._out, self._connection
        while out and not connection.congested and (room := connection.room(self.number)) > 0:
            piece = bytes(out[:room])
            del out[:room]
            self.ended = self.closing and not out and not self._last
            connection.send(self.number, piece, end=self.ended)
            sent = True
        if self.closing and not out and not self.ended:
            self.ended = True
            if self._last:
                connection.send_head(self.number, self._last, end=True)
            else:
                connection.send(self.number, b"", end=True)
        return sent

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written."""
        while len(self._out) > limits.H2_OUT or self._connection.congested:
            await self._wait_for_room()
        if self.failure is not None:
            raise self.failure

    async def flushed(self) -> None:
        """Wait until all that was written is sent."""
        while not self.ended:
            await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        if self.failure is not None:
            raise self.failure
        self._writer = self._connection.future()
        try:
            await self._connection.wait(self._writer, limits.WRITE_TIME)
        finally:
            self._writer = None

    def roomy(self) -> None:
        """Wake whoever waits for room."""
        _wake(self._writer)

    # --- the end

    def abandon(self) -> None:
        """Want nothing more of what the peer sends, and let its window go; a whole message stays readable."""
        self.abandoned = True
        size, self._held = self._held, 0
        if not self.over:
            self._pieces = []
        if size:
            self._connection.credit(self.number, size)

    def reset(self, code: int, failure: PeerError | None = None) -> None:
        """End the stream now, both ways."""
        if self.failure is None and not (self.over and self.ended):
            self._connection.reset(self.number, code)
            self.fail(failure or GoneError("the stream was given up"))

    def fail(self, failure: PeerError) -> None:
        """Take note that the stream is no more, and wake everybody."""
        if self.failure is not None:
            return
        self.failure = failure
        self._out = bytearray()
        if not self.over:
            self.abandon()
        self._connection.forget(self)
        _wake(self._reader)
        _wake(self._writer)
        if self.on_gone is not None:
            self.on_gone()

    def _settle(self) -> None:
        """Leave the connection when both flows have ended."""
        if self.over and self.ended:
            self._connection.forget(self)
            _wake(self._writer)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def late(waiter: "asyncio.Future[None]") -> None:
    """End a wait that took too long."""
    if not waiter.done():
        waiter.set_exception(LateError("the peer took too long"))
