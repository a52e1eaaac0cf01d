"""Much data from one plain connection to another without a copy of ours: socket, pipe, socket.

splice(2) moves the kernel's own pages, for a fraction of the CPU that reading and writing them takes. It is
for what nobody looks into, once that has carried a good deal: a pipe and two descriptors of its own cost
something, and little is carried quicker by the event loop. The streams stay what they are, with their
deadlines, counts and ends; only the bytes of one direction take another way.

A socket wakes us for each piece that arrives, and pieces are small where we are quick. While much is under
way we have it wait for more (SO_RCVLOWAT), and look every two milliseconds whether it still is.

The pipe is filled when the source has something and it is empty, and emptied as the sink takes it: so one
of the two sockets is waited for, never both.
"""

import asyncio
import contextlib
import os
import socket

from ringfence.egress import limits
from ringfence.egress.stream import NEVER, GoneError, LateError, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ (fcntl.h)
_AT_ONCE = 2  # SPLICE_F_NONBLOCK
_LOOK = 0.002  # seconds between two looks
_DENSE = 256 * 1024  # much, between two looks
_ENOUGH = 512 * 1024  # to be woken for then


def fits(source: Stream, sink: Stream) -> bool:
    """Say whether one direction between two streams can be carried like this now."""
    if not hasattr(os, "splice") or source.ended or source.lost or sink.lost:
        return False
    kinds = {source.socket.family, sink.socket.family}
    return source.registry.pipes < limits.PIPES and kinds <= {socket.AF_INET, socket.AF_INET6}


async def carry(source: Stream, sink: Stream) -> bool:
    """Pass one direction on to its end. Raises like reading and writing do; False where nothing was done."""
    with contextlib.ExitStack() as held:
        try:
            pipe = held.enter_context(_pipe(source))
            come, go = held.enter_context(_own(source)), held.enter_context(_own(sink))
        except OSError:  # no descriptors are left
            return False
        source.divert()
        sink.write(source.take())
        await sink.flush()
        await _Carrier(source, sink, pipe, come, go).run()
    return True


class _Carrier:
    """One direction at work."""

    def __init__(
        self, source: Stream, sink: Stream, pipe: tuple[int, int], come: socket.socket, go: socket.socket
    ) -> None:
        self._source = source
        self._sink = sink
        self._out, self._into = pipe
        self._come = come
        self._go = go
        self._held = 0  # bytes in the pipe
        self._seen = 0  # what had been received at the last look
        self._dense = False  # whether the source's socket waits for more
        self._look: asyncio.TimerHandle | None = None
        self._problem: GoneError | None = None
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()

    async def run(self) -> None:
        """Work until the end of what the source says."""
        self._loop.add_reader(self._come, self._arrived)
        try:
            while not self._source.ended:
                await self._working()
        finally:
            self._loop.remove_reader(self._come)
            self._loop.remove_writer(self._go)
            if self._look is not None:
                self._look.cancel()

    async def _working(self) -> None:
        """Wait for an end or a deadline, which counts if the other direction is silent too."""
        heard = self._sink.received
        self._done = self._loop.create_future()
        self._source.expect(limits.TUNNEL_TIME)
        self._source.hand_over(reader=self._done)
        self._sink.hand_over(writer=self._done)
        try:
            await self._done
        except LateError:
            if self._held or self._sink.received == heard:
                raise
        finally:
            self._source.hand_over(reader=None)
            self._sink.hand_over(writer=None)
        if self._problem is not None:
            raise self._problem
        if self._source.lost or self._sink.lost:
            raise GoneError("the connection is closed")

    def _arrived(self) -> None:
        """Fill the pipe, and empty it."""
        try:
            count = self._held = os.splice(self._come.fileno(), self._into, limits.PIPE, flags=_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if not count:
            self._source.eof_received()  # wakes whoever waits in `run`
            return
        self._source.received += count
        self._source.expect(limits.TUNNEL_TIME)
        if self._look is None:
            self._look = self._loop.call_later(_LOOK, self._looked)
        self._empty()
        if self._held:
            self._loop.remove_reader(self._come)
            self._loop.add_writer(self._go, self._drained)
            self._sink.write_deadline = self._loop.time() + limits.WRITE_TIME

    def _looked(self) -> None:
        """See how much has come since the last look."""
        since, self._seen = self._source.received - self._seen, self._source.received
        self._look = self._loop.call_later(_LOOK, self._looked) if since else None
        dense = since >= _DENSE
        if dense != self._dense:
            self._dense = dense
            self._come.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _ENOUGH if dense else 1)
        if not self._held and not self._done.done():
            self._arrived()  # less than enough may be there

    def _drained(self) -> None:
        """Empty the pipe, and wait for more."""
        self._empty()
        if not self._held:
            self._sink.write_deadline = NEVER
            self._loop.remove_writer(self._go)
            self._loop.add_reader(self._come, self._arrived)

    def _empty(self) -> None:
        """Give the kernel what it takes of the pipe."""
        try:
            while self._held:
                count = os.splice(self._out, self._go.fileno(), self._held, flags=_AT_ONCE)
                self._held -= count
                self._sink.sent += count
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)

    def _broken(self, error: OSError) -> None:
        self._problem = GoneError(f"the connection broke: {error.strerror}")
        self._loop.remove_reader(self._come)
        self._loop.remove_writer(self._go)
        if not self._done.done():
            self._done.set_result(None)


@contextlib.contextmanager
def _pipe(source: Stream) -> "Iterator[tuple[int, int]]":
    import fcntl

    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    source.registry.pipes += 1
    try:
        with contextlib.suppress(OSError):  # more than one user may have: then it stays as it is
            fcntl.fcntl(ends[1], _SET_PIPE_SIZE, limits.PIPE)
        yield ends
    finally:
        source.registry.pipes -= 1
        for end in ends:
            os.close(end)


def _own(stream: Stream) -> socket.socket:
    """Return a descriptor of the same socket: the event loop keeps a transport's own to itself."""
    return socket.socket(fileno=os.dup(stream.socket.fileno()))
