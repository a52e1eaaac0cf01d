"""The gate's process at work: takes connections from the boundary, finds out what each is, and ends in order.

A connection is what its destination says: the gate's own address speaks proxy protocols (and DNS on port
53), an address of our resolver stands for a name, any other address counts for nothing by itself: the
name in the ClientHello or in Host is judged, and dialled at the address *we* resolve for it.
"""

import asyncio
import contextlib
import os
import socket
import struct
import sys

from ringfence.audit.log import Writer
from ringfence.egress import assembly, dns, leaf, limits, redirected, socks
from ringfence.egress.connect import Connector
from ringfence.egress.conversation import Conversation
from ringfence.egress.faults import place_of
from ringfence.egress.gate import PROXY, WIRE, Origin
from ringfence.egress.publish import Publisher
from ringfence.egress.record import Record
from ringfence.egress.redirected import Place, Redirected, original_destination, plain_address, ports_named
from ringfence.egress.stream import Stream
from ringfence.errors import HostError, PeerError
from ringfence.handover import ALARM, Handover, Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

GATE_IPV6 = "fd00:77::1"  # the gate's own IPv6 address on the private wire
DATAGRAMS = 64  # questions answered before other work gets a turn
MINT_AFTER = 1.0  # seconds until the next session's authority is minted, or the first answer


class Server:
    """One session's gate."""

    def __init__(self, handover: Handover, environment: dict[str, str]) -> None:
        self._handover = handover
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._open = 0
        self.status = 0
        self._record = Record(Writer.resume(handover.audit_path), self._cannot_record)
        authority = leaf.load(handover.authority_dir) if handover.authority_dir else None
        self._services = assembly.assemble(
            handover, environment, record=self._record, authority=authority, alarmed=self._alarmed
        )
        self._ports = ports_named((*handover.allow, *handover.ask))
        self._dns_socket: socket.socket | None = None

    # --- life

    async def run(self) -> None:
        """Serve until the launcher is gone or says stop."""
        self._watch_control()
        async with asyncio.TaskGroup() as group:
            self._group = group
            servers = [await self._listen(one) for one in self._handover.listeners]
            self._serve_dns()
            if self._handover.ask and self._handover.session_dir:
                await self._services.asking.start()
            publisher = Publisher(self._handover, self._services, self._accept)
            servers += await publisher.start()
            tick = self._loop.call_later(1.0, self._tick)
            minting = group.create_task(self._mint())
            await self._stop.wait()
            tick.cancel()
            for server in servers:
                server.close()
            self._services.asking.close()
            await self._drain()
            minting.cancel()
            self._services.registry.abort()
        self._record.close()

    def revoke(self) -> int:
        """Close what the gate's present rules do not allow any more; returns how many passages that were."""
        return self._services.passages.revoke(self._services.gate)

    def stop(self, status: int = 0) -> None:
        """Begin the end."""
        self.status = self.status or status
        self._stop.set()

    def _alarmed(self) -> None:
        """Cut everything off: a canary is on its way out, the agent is somebody else's."""
        self._services.registry.abort()
        self.stop(ALARM)

    def _cannot_record(self, error: Exception) -> None:
        """Stop: what cannot be recorded does not pass."""
        sys.stderr.write(f"error: the gate stops, because its audit log cannot be written: {error}\n")
        self._services.registry.abort()
        self.stop(125)

    async def _drain(self) -> None:
        """Let what is under way end, for a moment."""
        until = self._loop.time() + limits.STOP_TIME
        while self._services.busy and self._loop.time() < until and not self.status:
            await asyncio.sleep(0.02)
            self._services.upstreams.sweep(self._loop.time())

    def _tick(self) -> None:
        now = self._loop.time()
        self._services.registry.sweep(now)
        self._services.upstreams.sweep(now)
        if not self._stop.is_set():
            self._loop.call_later(1.0, self._tick)

    def _watch_control(self) -> None:
        fd = self._handover.control_fd
        os.set_blocking(fd, False)

        def readable() -> None:
            try:
                if os.read(fd, 4096):
                    return
            except BlockingIOError:
                return
            except OSError:
                pass
            self._loop.remove_reader(fd)
            self.stop()

        self._loop.add_reader(fd, readable)

    async def _mint(self) -> None:
        """Mint the next session's authority when this one has been served first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MINT_AFTER):
                await self._services.served.wait()
        try:
            await asyncio.to_thread(_mint_quietly, self._handover.ready_dir)
        except (OSError, HostError) as error:
            self._record.event("note", text=f"no authority could be minted for the next session: {error}")

    # --- taking connections

    async def _listen(self, listener: Listener) -> asyncio.Server:
        kinds = {"wire": self._wire, "anyip": self._anyip}
        serve = kinds.get(listener.kind, self._proxy)

        def accepted(stream: Stream) -> None:
            self._accept(stream, serve(stream))

        def made() -> Stream:
            return Stream(self._services.registry, accepted)

        if listener.kind in {"unix", "vsock"}:
            # To an event loop a vsock is a stream of bytes without TCP's options: as a Unix socket is.
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=listener.fd)
            sock.setblocking(False)
            return await self._loop.create_unix_server(made, sock=sock, backlog=limits.CONNECTIONS)
        sock = socket.socket(fileno=listener.fd)
        sock.setblocking(False)
        return await self._loop.create_server(made, sock=sock, backlog=limits.CONNECTIONS)

    def _accept(self, stream: Stream, work: "Awaitable[None]") -> None:
        """Take one connection, within the limit on their number."""
        if self._group is None or self._stop.is_set() or self._open >= limits.CONNECTIONS:
            getattr(work, "close", lambda: None)()
            self._services.record.flood("refused", reason="too many connections at one time")
            return stream.abort()
        self._open += 1
        self._group.create_task(self._guarded(stream, work))
        return None

    async def _guarded(self, stream: Stream, work: "Awaitable[None]") -> None:
        """Do the work of one connection; whatever goes wrong ends that connection only."""
        try:
            await work
        except PeerError:
            stream.abort()
        except Exception as error:  # noqa: BLE001 - a fault of ours is a refusal, and is recorded as ours
            stream.abort()
            self._fault(error)
        finally:
            self._open -= 1

    def _fault(self, error: Exception) -> None:
        if not self.status:
            self._services.record.flood("refused", reason=f"a fault of ringfence: {place_of(error)}")

    async def _proxy(self, stream: Stream) -> None:
        """Serve the proxy port: SOCKS and HTTP tell themselves apart by the first byte."""
        connector = Connector(self._services, stream)
        stream.expect(limits.IDLE_TIME)
        first = await stream.read()
        if not first:
            return stream.close()
        stream.unread(first)
        if first[0] in {socks.VERSION, socks.OLD_VERSION}:
            return await connector.socks()
        origin = Origin(kind=PROXY, scheme="http")
        return await Conversation(self._services, stream, origin, connector.connect).run()

    async def _anyip(self, stream: Stream) -> None:
        name = stream.socket.getsockname()
        await self._routed(stream, (plain_address(name[0]), name[1]))

    async def _wire(self, stream: Stream) -> None:
        await self._routed(stream, original_destination(stream.socket))

    async def _routed(self, stream: Stream, place: Place) -> None:
        """Serve a connection by where it was going."""
        address, port = place
        if port == 53:
            return await self._dns_stream(stream)
        if address in {self._handover.gate_address, GATE_IPV6}:
            return await self._proxy(stream)
        if dns.is_ours(address):
            return await self._named(stream, address, port)
        return await Redirected(self._services, stream, self._ports).run(address, port)

    async def _named(self, stream: Stream, address: str, port: int) -> None:
        """Serve a connection to an address of our resolver: it stands for a name."""
        name = self._services.names.name(address)
        if name is None:
            self._services.record.flood(
                "refused", address=address, port=port, reason="this address stands for no name"
            )
            return stream.abort()
        if name in self._services.gate.gateways and port == 80:
            origin = Origin(kind=WIRE, scheme="http", host=name, port=port)
            return await Conversation(self._services, stream, origin).run()
        connector = Connector(self._services, stream)
        verdict, raw = connector.judged(name, port)
        if self._services.asking.refuses(verdict):
            return redirected.refuse(self._services, stream, verdict, name, port)
        if raw:
            return await redirected.opaque(self._services, stream, verdict, name, port)
        return await connector.serve(Origin(kind=WIRE, scheme="https", host=name, port=port))

    # --- names

    def _serve_dns(self) -> None:
        if self._handover.dns_fd is None:
            return
        self._dns_socket = socket.socket(fileno=self._handover.dns_fd)
        self._dns_socket.setblocking(False)
        self._loop.add_reader(self._dns_socket, self._dns_datagrams, self._dns_socket)

    def _dns_datagrams(self, sock: socket.socket) -> None:
        for _ in range(DATAGRAMS):
            try:
                datagram, asked, _, peer = sock.recvmsg(4096, 256)
            except OSError:
                return
            reply = self._dns_reply(datagram)
            with contextlib.suppress(OSError):  # the asker may be gone
                if reply:
                    # What came with it says which address was asked: the answer has to come from there.
                    sock.sendmsg([reply], asked, 0, peer)

    async def _dns_stream(self, stream: Stream) -> None:
        """Answer questions over TCP (RFC 7766): two bytes of length before each."""
        data = b""
        while True:
            stream.expect(limits.HEAD_TIME)
            more = await stream.read()
            if not more:
                return stream.close()
            data += more
            while len(data) >= 2 and len(data) >= 2 + (size := int.from_bytes(data[:2], "big")):
                reply = self._dns_reply(data[2 : 2 + size])
                data = data[2 + size :]
                stream.write(struct.pack("!H", len(reply)) + reply)
            await stream.drain()

    def _resolvable(self, name: str) -> bool:
        """Say whether a name exists inside, and count it where only a wildcard lets it."""
        services = self._services
        if not services.gate.resolvable(name):
            return False
        beyond = services.variety.admit(name, services.gate.rules)
        if beyond is not None:
            services.record.flood("refused", reason=beyond.message, host=name, source="dns")
        return beyond is None

    def _dns_reply(self, datagram: bytes) -> bytes:
        reply, name, found = dns.answer(datagram, self._resolvable, self._services.names)
        self._services.record.flood("dns", name=name, answer=found)
        return reply


def _mint_quietly(ready_dir: str) -> None:
    """Mint in this thread, behind everything else."""
    import threading

    from ringfence.egress.mint import top_up

    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    top_up(ready_dir)
