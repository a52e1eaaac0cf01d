"""Ports inside that can be reached on this machine's loopback, such as a dev server's.

The gate's process lives in the host's network namespace, so it asks the wire's helper inside for a
socket made there, connects that to the port on the boundary's own loopback, and passes bytes. A guest's
loopback is out of reach: there the helper makes sockets at the wire's other end, and servers have to listen
on the guest's own address as well.
"""

import asyncio
import socket
import sys

from ringfence.egress.services import Services
from ringfence.egress.stream import Stream
from ringfence.egress.tunnel import splice
from ringfence.errors import PeerError
from ringfence.handover import Handover, Publication

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

VEND_TIME = 2.0
CONNECT_TIME = 5.0


class Publisher:
    """Serves the published ports of a session."""

    def __init__(
        self, handover: Handover, services: Services, accept: "Callable[[Stream, Awaitable[None]], None]"
    ) -> None:
        self._publications = handover.publish
        self._inside = tuple(zip((b"4", b"6"), handover.published_at, strict=True))  # tried in this order
        self._services = services
        self._accept = accept
        self._loop = asyncio.get_running_loop()
        self._asking = asyncio.Lock()  # the helper answers one question at a time
        self._vend = None if handover.vend_fd is None else socket.socket(fileno=handover.vend_fd)

    async def start(self) -> list[asyncio.Server]:
        """Listen on every published port; one that is taken is said, and the others go on."""
        servers = []
        for one in self._publications:
            try:
                servers.append(await self._listen(one))
            except OSError as error:
                self._failed(one, error.strerror or str(error))
            else:
                self._services.record.event(
                    "publish", address=one.host_address, port=one.host_port, inside=one.inside_port
                )
        return servers

    def _failed(self, one: Publication, reason: str) -> None:
        where = f"{one.host_address}:{one.host_port}"
        self._services.record.event("publish", address=one.host_address, port=one.host_port, error=reason)
        sys.stderr.write(
            f"error: cannot publish port {one.inside_port} at {where}: {reason}\n\n"
            f"hint: another program may use it; choose one with --publish PORT:{one.inside_port}\n"
        )

    async def _listen(self, one: Publication) -> asyncio.Server:
        return await self._loop.create_server(
            lambda: Stream(
                self._services.registry, lambda stream: self._accept(stream, self._serve(stream, one))
            ),
            one.host_address,
            one.host_port,
        )

    async def _serve(self, stream: Stream, one: Publication) -> None:
        """Pass one connection to the port inside."""
        inner = await self._connect(one.inside_port)
        up = down = 0
        try:
            up, down = await splice(stream, inner)
        finally:
            self._services.record.event(
                "publish", port=one.host_port, inside=one.inside_port, up=up, down=down
            )
            inner.close()
            stream.close()

    async def _connect(self, port: int) -> Stream:
        """Connect to a port inside; servers may listen on either address."""
        for family, address in self._inside:
            sock = await self._socket(family)
            try:
                async with asyncio.timeout(CONNECT_TIME):
                    await self._loop.sock_connect(sock, (address, port))
            except (OSError, TimeoutError):
                sock.close()
                continue
            _, inner = await self._loop.create_connection(lambda: Stream(self._services.registry), sock=sock)
            return inner
        raise PeerError(f"nothing listens on port {port} inside")

    async def _socket(self, family: bytes) -> socket.socket:
        """Ask for an unconnected socket made inside."""
        if self._vend is None:
            raise PeerError("this boundary has no helper that makes sockets inside")
        async with self._asking:
            return await asyncio.to_thread(_vended, self._vend, family)


def _vended(vend: socket.socket, family: bytes) -> socket.socket:
    vend.settimeout(VEND_TIME)
    try:
        vend.send(family)
        _, fds, _, _ = socket.recv_fds(vend, 1, 1)
    except OSError as error:
        raise PeerError(f"no socket could be had from inside: {error}") from error
    if not fds:
        raise PeerError("no socket could be had from inside")
    sock = socket.socket(fileno=fds[0])
    sock.setblocking(False)
    return sock
