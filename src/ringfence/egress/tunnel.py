"""Tunnels: bytes passed both ways unseen, for spliced hosts, WebSockets and published ports.

When one side has said all it has to say, the other direction goes on (git and ssh rely on it); when one
side is gone, both are. A connection that breaks on one side breaks on the other: a reset is passed on as
a reset, because an orderly end would tell the peer that it has received everything.
"""

import asyncio
import contextlib
import socket
import struct

from ringfence.egress import bulk, filters, limits
from ringfence.egress.filters import Filter
from ringfence.egress.refusal import Refusal, Refused
from ringfence.egress.stream import LateError
from ringfence.egress.tls import AnyStream, TlsStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NO_LINGER = struct.pack("ii", 1, 0)  # on, for no time: close(2) sends a reset


async def splice(
    one: AnyStream,
    other: AnyStream,
    up: "Sequence[Filter]" = (),
    down: "Sequence[Filter]" = (),
    refused: "Callable[[Refusal], None] | None" = None,
) -> tuple[int, int]:
    """Pass bytes both ways until both sides are done; returns how many went each way.

    `up` looks at what `one` says, `down` at what `other` says; a filter that refuses cuts both, and `refused`
    is told.
    """
    before = one.sent, other.sent  # what was read before this began counts as well
    async with asyncio.TaskGroup() as group:
        group.create_task(_pump(one, other, up, refused))
        group.create_task(_pump(other, one, down, refused))
    return other.sent - before[1], one.sent - before[0]


def cut(stream: AnyStream) -> None:
    """Reset a connection, so that the peer cannot take what it has for everything."""
    raw = stream.bottom
    if not raw.lost:
        with contextlib.suppress(OSError):
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    stream.abort()


async def _pump(
    source: AnyStream,
    sink: AnyStream,
    chain: "Sequence[Filter]",
    refused: "Callable[[Refusal], None] | None",
) -> None:
    """Pass one direction on to its end; failure ends both."""
    before = source.received
    try:
        while data := await _next(source, sink):
            for one in chain:
                data = one.feed(data)
            sink.write(data)
            await sink.drain()
            if not chain and source.received - before > limits.BULK and await _in_bulk(source, sink):
                break
        if last := filters.finish(chain):
            sink.write(last)
        sink.write_eof()
    except PeerError as error:
        if refused is not None and isinstance(error, Refused):
            refused(error.refusal)
        cut(source)
        cut(sink)


async def _in_bulk(source: AnyStream, sink: AnyStream) -> bool:
    """Carry the rest without looking at it, where both are plain; False where that does not go."""
    if isinstance(source, TlsStream) or isinstance(sink, TlsStream) or not bulk.fits(source, sink):
        return False
    return await bulk.carry(source, sink)


async def _next(source: AnyStream, sink: AnyStream) -> bytes:
    """Read, waiting on while the other direction is alive."""
    while True:
        heard = sink.received
        source.expect(limits.TUNNEL_TIME)
        try:
            return await source.read()
        except LateError:
            if sink.received == heard:
                raise
