"""One connected socket as a stream of bytes, with back-pressure both ways and a deadline on every wait.

asyncio's own streams and TLS cost too much (256 KiB per TLS connection, `facts/egress.md` §4.2) and hide
what a gate has to know: whether the peer has gone while nobody reads. A stream reads ahead up to a
limit, so the end of a connection is noticed at once, and `on_gone` is called; then reading pauses.

What is written in one turn of the event loop leaves together at its end, after the records that tell of it
(`Registry.flush`). Nothing that a stream sends can overtake the log; the log is written once for all requests
of a turn; and peers are woken one after the other, when there is nothing else to do, instead of each taking
the processor away at once.

Deadlines are kept by one sweep a second over all streams instead of a timer per wait: setting one is an
assignment, and a wait may last up to a second longer than said.
"""

import asyncio

from ringfence.egress import limits
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

NEVER = float("inf")


class GoneError(PeerError):
    """The peer has closed or reset the connection."""


class LateError(PeerError):
    """The peer took longer than a limit allows."""


class Registry:
    """All open streams of a session: for the sweep, for the end, and for what leaves together."""

    def __init__(self, settle: "Callable[[], bool] | None" = None) -> None:
        """`settle` writes the records that must come before what leaves; False: they cannot be written."""
        self.streams: set[Stream] = set()
        self._settle = settle
        self._due: list[Stream] = []  # those with something to send
        self._loop = asyncio.get_running_loop()
        self.pipes = 0  # directions that are carried in bulk

    def due(self, stream: "Stream") -> None:
        """Have a stream sent when this turn of the loop is over."""
        if not self._due:
            self._loop.call_soon(self.flush)
        self._due.append(stream)

    def flush(self) -> None:
        """Send what was written. Invariant: this is the only way to a socket, and the records go first."""
        due, self._due = self._due, []
        if due and self._settle is not None and not self._settle():
            for stream in due:
                stream.drop()
        for stream in due:
            stream.send()

    def sweep(self, now: float) -> None:
        """Wake every wait whose deadline has passed."""
        for stream in [one for one in self.streams if one.read_deadline < now or one.write_deadline < now]:
            stream.expire(now)

    def abort(self) -> None:
        """Close everything now; what was not sent yet is dropped."""
        for stream in self.streams:
            stream.drop()
        for stream in list(self.streams):
            stream.abort()


class Stream(asyncio.Protocol):
    """A connected socket. `accepted` is called with a stream that a listener made."""

    def __init__(self, registry: Registry, accepted: "Callable[[Stream], None] | None" = None) -> None:
        self.registry = registry
        self._accepted = accepted
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None  # asyncio's and uvloop's transports share no type
        self._chunks: list[bytes] = []
        self._held = 0
        self._out: list[bytes] = []  # written, and not sent yet
        self._waiting = 0  # its bytes
        self._reading = True
        self._writing = True
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self.ended = False  # the peer sends nothing more
        self.lost = False  # the connection is gone both ways
        self.reset = False  # and it did not end properly
        self.read_deadline = NEVER
        self.write_deadline = NEVER
        self.on_gone: Callable[[], None] | None = None
        self.received = 0
        self.sent = 0

    # --- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and hand an accepted connection to the server."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=limits.WRITE_BUFFER)
        self.registry.streams.add(self)
        if self._accepted is not None:
            self._accepted(self)

    def data_received(self, data: bytes) -> None:
        """Keep what arrived and wake the reader."""
        self._chunks.append(data)
        size = len(data)
        self._held += size
        self.received += size
        if self._held > limits.BUFFER and self._reading:
            self._reading = False
            self._transport.pause_reading()
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    def eof_received(self) -> bool:
        """Take note of the end of what the peer sends; the other direction stays open."""
        self.ended = True
        _wake(self._reader)
        self._tell_gone()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Take note of the end of the connection and wake everybody."""
        self.reset = self.reset or not self.ended
        self.ended = self.lost = True
        self.drop()
        self.registry.streams.discard(self)
        _wake(self._reader)
        _wake(self._writer)
        self._tell_gone()

    def pause_writing(self) -> None:
        """Make senders wait."""
        self._writing = False

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._writing = True
        _wake(self._writer)

    # --- for those who read and write

    async def read(self) -> bytes:
        """Return what has arrived, waiting for something; b"" is the end. A reset raises `GoneError`."""
        while not self._chunks:
            if self.ended:
                if self.reset:
                    raise GoneError("the connection was reset")
                return b""
            waiter = self._reader = self._loop.create_future()
            try:
                await waiter
            finally:
                self._reader = None
        return self.take()

    def take(self) -> bytes:
        """Return what has arrived, without waiting."""
        chunks, self._chunks, self._held = self._chunks, [], 0
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if not self._reading and not self.ended:
            self._reading = True
            self._transport.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Put back bytes that belong to whoever reads next."""
        if data:
            self._chunks.insert(0, data)
            self._held += len(data)

    def write(self, data: bytes) -> None:
        """Have something sent; follow with `drain` where much may follow."""
        if self.lost:
            raise GoneError("the connection is closed")
        out, size = self._out, len(data)
        self.sent += size
        self._waiting += size
        if not out:
            self.registry.due(self)
        out.append(data)
        if self._waiting > limits.TURN:
            self.registry.flush()

    def send(self) -> None:
        """Hand what was written to the kernel: the registry calls this when the records are written."""
        out = self._out
        if out:
            self._out = []
            self._waiting = 0
            if not self._transport.is_closing():
                self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def drop(self) -> None:
        """Forget what was written and not sent."""
        self._out = []
        self._waiting = 0

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written."""
        while not self._writing:
            if self.lost:
                raise GoneError("the connection is closed")
            self.write_deadline = self._loop.time() + limits.WRITE_TIME
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
                self.write_deadline = NEVER

    # --- for those who carry bytes beneath the transport

    def divert(self) -> None:
        """Stop reading for good: somebody reads from the socket itself."""
        if self._reading and not self.lost:
            self._transport.pause_reading()
        self._reading = True  # so that taking what is held does not begin it again

    async def flush(self) -> None:
        """Wait until the kernel has taken all that was written."""
        if self._out:
            self.registry.flush()
        self._transport.set_write_buffer_limits(high=0)
        await self.drain()

    def hand_over(self, **waiters: "asyncio.Future[None] | None") -> None:
        """Have somebody else's `reader` or `writer` woken by the end of the connection and by deadlines."""
        self._reader = waiters.get("reader", self._reader)
        self._writer = waiters.get("writer", self._writer)

    @property
    def bottom(self) -> "Stream":
        """The connection under all TLS: there is none."""
        return self

    @property
    def congested(self) -> bool:
        """Whether the kernel takes no more for now: `drain` would wait."""
        return not self._writing

    def expect(self, seconds: float) -> None:
        """Set the deadline for the reads that follow."""
        self.read_deadline = self._loop.time() + seconds

    def expire(self, now: float) -> None:
        """End the present waits whose deadline has passed."""
        if self.read_deadline < now:
            self.read_deadline = NEVER
            _fail(self._reader)
        if self.write_deadline < now:
            self.write_deadline = NEVER
            _fail(self._writer)

    def quiet(self) -> bool:
        """Say whether the connection is open and nothing unasked for has arrived."""
        return not self.ended and not self._chunks

    def write_eof(self) -> None:
        """End our direction, keep the other."""
        if self._out:
            self.registry.flush()
        if not self.lost and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:  # ENOTCONN from asyncio's shutdown(2): the peer has reset, and reading says so
                return

    def close(self) -> None:
        """Close after what was written has been sent."""
        if self._out:
            self.registry.flush()
        if self._transport is not None and not self.lost:
            self._transport.close()

    def abort(self) -> None:
        """Close now; what the kernel has not taken yet is dropped."""
        if self._out:
            self.registry.flush()
        if self._transport is not None and not self.lost:
            self._transport.abort()

    @property
    def socket(self) -> "socket.socket":
        """The socket, to ask it for addresses."""
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    def _tell_gone(self) -> None:
        if self.on_gone is not None:
            self.on_gone()


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _fail(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_exception(LateError("the peer took too long"))
