"""Connections to upstreams for requests that came by HTTP/2: shared while they have room, dialled once.

What an upstream speaks is agreed on by ALPN, so the first request to a host dials and the others wait for
what it learns: HTTP/2 carries them all on one connection, HTTP/1.1 gives each its own, from the common
pool. Without TLS nothing is agreed on: a client that spoke HTTP/2 with prior knowledge meant its upstream.
"""

import asyncio

from ringfence.egress import limits
from ringfence.egress.gate import Target, authority_text
from ringfence.egress.http2_client import ClientStream, UpstreamConnection
from ringfence.egress.message import Outbound
from ringfence.egress.tls import AnyStream, TlsStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Key = tuple[str, str, int, str]


class Multiplexer:
    """All HTTP/2 connections to upstreams of one session."""

    def __init__(
        self,
        connect: "Callable[[Target, str], Awaitable[AnyStream]]",
        otherwise: "Callable[[Target, str, AnyStream | None], Awaitable[Outbound]]",
    ) -> None:
        """`connect` offers HTTP/2; `otherwise` serves a request by HTTP/1.1, on that stream or any."""
        self._connect = connect
        self._otherwise = otherwise
        self._loop = asyncio.get_running_loop()
        self._open: dict[Key, list[UpstreamConnection]] = {}
        self._making: dict[Key, asyncio.Future[PeerError | None]] = {}
        self._older: dict[Key, float] = {}  # speak HTTP/1.1 only, as far as is known until then

    @property
    def open(self) -> bool:
        """Whether there is any connection."""
        return bool(self._open)

    async def take(self, target: Target, credential: str, *, fresh: bool) -> Outbound:
        """Return a stream for one request, or an HTTP/1.1 connection; `fresh`: on a new connection."""
        key = (target.scheme, target.host, target.port, credential)
        while self._older.get(key, 0.0) < self._loop.time():
            found = None if fresh else self._free(key)
            if found is not None:
                return self._stream(found, target, credential)
            making = self._making.get(key)
            if making is None or fresh:
                return await self._made(key, target, credential)
            await _told(making)
        return await self._otherwise(target, credential, None)

    def _free(self, key: Key) -> UpstreamConnection | None:
        return next((one for one in self._open.get(key, ()) if one.free), None)

    def _stream(self, connection: UpstreamConnection, target: Target, credential: str) -> ClientStream:
        async def again() -> UpstreamConnection:
            return await self._another(target, credential)

        return ClientStream(connection, again)

    async def _another(self, target: Target, credential: str) -> UpstreamConnection:
        """Return a connection with room for a request that another one did not look at."""
        key = (target.scheme, target.host, target.port, credential)
        return self._free(key) or self._kept(key, target, await self._connect(target, credential))

    async def _made(self, key: Key, target: Target, credential: str) -> Outbound:
        """Dial; whoever waits learns what came of it."""
        waiting: asyncio.Future[PeerError | None] = self._loop.create_future()
        first = self._making.setdefault(key, waiting)
        try:
            stream = await self._connect(target, credential)
        except PeerError as error:
            self._tell(key, waiting, error)
            raise
        except BaseException:
            self._tell(key, waiting, None)
            raise
        if isinstance(stream, TlsStream) and stream.protocol != "h2":
            self._older[key] = self._loop.time() + limits.H2_PROTOCOL_KEPT
            self._tell(key, waiting, None)
            return await self._otherwise(target, credential, stream)
        made = self._kept(key, target, stream)
        if first is waiting:
            made.ready.add_done_callback(lambda _: self._tell(key, waiting, None))
        return self._stream(made, target, credential)

    def _tell(self, key: Key, waiting: "asyncio.Future[PeerError | None]", error: PeerError | None) -> None:
        if self._making.get(key) is waiting:
            del self._making[key]
        if not waiting.done():
            waiting.set_result(error)

    def _kept(self, key: Key, target: Target, stream: AnyStream) -> UpstreamConnection:
        authority = authority_text(target.host, target.port, target.scheme)
        made = UpstreamConnection(stream, target.scheme, authority)
        self._open.setdefault(key, []).append(made)
        return made

    def sweep(self, now: float) -> None:
        """Close what has been idle too long, and forget what is closed."""
        for key, found in list(self._open.items()):
            for one in found:
                if not one.taken and now > one.idle_since + limits.POOL_IDLE:
                    one.close()
            kept = [one for one in found if one.closed is None and not (one.closing and not one.taken)]
            if kept:
                self._open[key] = kept
            else:
                del self._open[key]
        self._older = {key: until for key, until in self._older.items() if until > now}


async def _told(making: "asyncio.Future[PeerError | None]") -> None:
    """Wait for what somebody else's dial comes to, and fail as it did; not for ever."""
    await asyncio.wait({making}, timeout=limits.HANDSHAKE_TIME)
    if making.done():
        error = making.result()
        if error is not None:
            raise error
    else:
        making.set_result(None)
