"""Tunnels: bytes passed both ways unseen, for spliced hosts, WebSockets and published ports.

When one side has said all it has to say, the other direction goes on (git and ssh rely on it); when one
side is gone, both are.
"""

import asyncio

from ringfence.egress import limits
from ringfence.egress.stream import LateError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError


async def splice(one: AnyStream, other: AnyStream) -> tuple[int, int]:
    """Pass bytes both ways until both sides are done; returns how many went each way."""
    before = one.received, other.received
    async with asyncio.TaskGroup() as group:
        group.create_task(_pump(one, other))
        group.create_task(_pump(other, one))
    return one.received - before[0], other.received - before[1]


async def _pump(source: AnyStream, sink: AnyStream) -> None:
    """Pass one direction on to its end; failure ends both."""
    try:
        while data := await _next(source, sink):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except PeerError:
        source.abort()
        sink.abort()


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
