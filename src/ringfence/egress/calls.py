"""Our own calls, to servers that hand out secrets, where an upstream proxy is the only way out.

The calls are blocking and run in threads; the proxy is spoken to on the event loop. Between the two
stands a pair of sockets: the thread gets one end, the other is joined to the connection through the proxy.
"""

import asyncio
import contextlib
import socket

from ringfence.egress.dial import Dialler
from ringfence.egress.stream import Registry, Stream
from ringfence.egress.tunnel import splice
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class Calls:
    """Opens connections through the session's upstream proxy."""

    def __init__(self, dialler: Dialler, registry: Registry) -> None:
        self._dialler = dialler
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._joined: set[asyncio.Task[Any]] = set()

    def dial(self, host: str, port: int, limit: float) -> socket.socket | None:
        """Return a connected socket, or None where a host is reached directly. Called in a thread."""
        task = asyncio.run_coroutine_threadsafe(self._open(host, port), self._loop)
        try:
            found = task.result(limit)
        except PeerError as error:
            raise ConnectionError(0, str(error)) from None
        except TimeoutError:
            task.cancel()
            raise
        if found is not None:
            found.settimeout(limit)
        return found

    async def _open(self, host: str, port: int) -> socket.socket | None:
        stream = await self._dialler.by_proxy(host, port)
        if stream is None:
            return None
        ours, theirs = socket.socketpair()
        try:
            _, end = await self._loop.create_unix_connection(lambda: Stream(self._registry), sock=theirs)
        except BaseException:
            stream.abort()
            ours.close()
            raise
        self._keep(_joined(end, stream))
        return ours

    def _keep(self, work: "Coroutine[Any, Any, None]") -> None:
        task = self._loop.create_task(work)
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)


async def _joined(end: Stream, stream: Stream) -> None:
    """Pass bytes both ways until one side is done."""
    with contextlib.suppress(PeerError, BaseExceptionGroup):
        await splice(end, stream)
    end.abort()
    stream.abort()
