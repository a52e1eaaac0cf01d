"""A gate that stays, for many: one process, each identity with a policy of its own.

A connection is recognised before anything else is done for it (`identity.Door`), and from then on served
as that identity (`tenant.Tenant`). What is not recognised gets as far as being told so.

    SIGHUP            read everything again; it takes effect as a whole, or not at all
    SIGTERM, SIGINT   take no more connections, let what is under way end, for a while; again: end now

Reading a configuration and making everything of it that could fail comes first; then all identities change
in one step in which nothing else runs. Until then the old rules hold, and they hold on if anything fails.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import time

from ringfence.egress import http1, limits, refusal, socks
from ringfence.egress.admin import Admin
from ringfence.egress.conversation import linger
from ringfence.egress.faults import place_of
from ringfence.egress.http1 import MalformedError, RequestHead
from ringfence.egress.identity import Address, Door, given_by, read_address
from ringfence.egress.listening import bind, unlink
from ringfence.egress.stream import LateError, Registry, Stream
from ringfence.egress.tally import Labels, Tally, render
from ringfence.egress.tenant import How, Setup, Tenant
from ringfence.errors import PeerError, RingfenceError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Protocol

    Serve = Callable[[], Awaitable[None]]

    class Source(Protocol):
        """Where a configuration comes from."""

        def read(self) -> tuple[Setup, ...]:
            """Read everything anew. Raises RingfenceError. Called in another thread."""

        def drop(self, name: str) -> None:
            """Take note that an identity has ended."""


class Options(Struct):
    """What the command line says about a service."""

    listen: tuple[Address, ...]  # addresses that identities share
    admin: Address | None = None
    drain: float = limits.DRAIN_TIME
    notify: str = ""  # systemd's socket


def serve(source: "Source", options: Options) -> int:
    """Serve until told to stop; returns the exit status. Raises RingfenceError where it cannot begin."""
    from ringfence.egress.__main__ import loop_factory

    first = source.read()

    async def work() -> int:
        return await Service(source, options).run(first)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work())


class Service:
    """The whole service."""

    def __init__(self, source: "Source", options: Options) -> None:
        self._source = source
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._registry = Registry()
        self._tally = Tally()
        self._tenants: dict[str, Tenant] = {}
        self._door = Door((), {})
        self._servers: dict[str, asyncio.Server] = {}
        self._group: asyncio.TaskGroup | None = None
        self._strangers: dict[Stream, None] = {}  # not recognised yet, the oldest first
        self._stop = asyncio.Event()
        self._now = asyncio.Event()  # end without waiting
        self._reload = asyncio.Event()
        self._started = time.time()

    # --- life

    async def run(self, first: tuple[Setup, ...]) -> int:
        """Serve until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        admin = await self._administer()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._serve(group, first)
        except ExceptionGroup as error:
            expected, other = error.split(RingfenceError)
            if expected is None or other is not None:
                raise
            raise expected.exceptions[0] from None
        finally:
            for tenant in self._tenants.values():
                tenant.close()
                self._source.drop(tenant.name)
            for address in (self._options.admin, *map(read_address, self._servers)):
                unlink(address)
            if admin is not None:
                admin.close()
        return 0

    async def _serve(self, group: asyncio.TaskGroup, first: tuple[Setup, ...]) -> None:
        await self._install(first)
        reloading = group.create_task(self._reloading())
        self._tick()
        self._notify("READY=1")
        self._tell(f"serving {', '.join(self._tenants)} at {', '.join(self._servers)}")
        await self._stop.wait()
        self._notify("STOPPING=1")
        reloading.cancel()
        for server in self._servers.values():
            server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.drain):
                while self._under_way() and not self._now.is_set():  # noqa: ASYNC110 - many things end it
                    await asyncio.sleep(0.02)
        for tenant in self._tenants.values():
            tenant.abort()
        self._registry.abort()

    def stop(self) -> None:
        """Begin the end, or end now."""
        if self._stop.is_set():
            self._now.set()
        self._stop.set()

    def _under_way(self) -> int:
        return sum(one.services.passages.under_way for one in self._tenants.values())

    def _tick(self) -> None:
        now = self._loop.time()
        self._registry.sweep(now)
        for tenant in self._tenants.values():
            tenant.sweep(now)
        self._loop.call_later(1.0, self._tick)

    # --- another configuration

    async def _reloading(self) -> None:
        """Read the configuration again whenever that is asked for; what cannot be used changes nothing."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                await self._install(await asyncio.to_thread(self._source.read))
                self._tally.add("ringfence_reloads_total", outcome="done")
                self._tell(f"reloaded: serving {', '.join(self._tenants)}")
            except RingfenceError as error:
                self._tally.add("ringfence_reloads_total", outcome="failed")
                self._tell(f"not reloaded, the old configuration holds on\n{error.render().rstrip()}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the old configuration holds on
                self._tally.add("ringfence_reloads_total", outcome="failed")
                self._tell(f"not reloaded, the old configuration holds on: {place_of(error)}")
            self._notify("READY=1")

    async def _install(self, setups: tuple[Setup, ...]) -> None:
        """Put a configuration in the place of the present one. Raises before anything has changed."""
        opened = self._opened(setups)
        made: list[Tenant] = []
        try:
            applies = []
            for setup in setups:
                present = self._tenants.get(setup.identity.name)
                if present is None:
                    made.append(Tenant(setup, self._tell))
                else:
                    applies.append(await present.renewal(setup))
            door = Door(
                (one.identity for one in setups),
                {one.identity.name: one.token for one in setups if one.token},
            )
            for tenant in made:
                await tenant.start()
        except BaseException:
            for tenant in made:
                tenant.close(status=125)
                self._source.drop(tenant.name)
            for sock in opened.values():
                sock.close()
            raise
        # Invariant: nothing waits from here until all have changed.
        gone = self._exchange(setups, made, door)
        for apply in applies:
            apply()
        self._expel()
        await self._listen(opened, self._wanted(setups))
        for tenant in self._tenants.values():
            await tenant.start()
        for tenant in gone:
            await tenant.ended()
            self._source.drop(tenant.name)

    def _exchange(self, setups: tuple[Setup, ...], made: list[Tenant], door: Door) -> list[Tenant]:
        names = {one.identity.name for one in setups}
        gone = [one for name, one in self._tenants.items() if name not in names]
        self._tenants = {
            **{name: one for name, one in self._tenants.items() if name in names},
            **{one.name: one for one in made},
        }
        self._door = door
        return gone

    def _expel(self) -> None:
        """Close the connections of those who would not be recognised as the same identity any more."""
        for name, tenant in self._tenants.items():
            tenant.expel(lambda how, name=name: self._door.find(*how) == name)  # type: ignore[misc]

    # --- listening

    def _wanted(self, setups: tuple[Setup, ...]) -> list[str]:
        own = [text for one in setups for text in one.identity.listen]
        return list(dict.fromkeys([*(one.text for one in self._options.listen), *own]))

    def _opened(self, setups: tuple[Setup, ...]) -> dict[str, socket.socket]:
        """Bind what is not bound yet; nothing is accepted before it is known for whom."""
        opened: dict[str, socket.socket] = {}
        try:
            for text in self._wanted(setups):
                if text not in self._servers:
                    opened[text] = bind(read_address(text))
        except BaseException:
            for sock in opened.values():
                sock.close()
            raise
        return opened

    async def _listen(self, opened: dict[str, socket.socket], wanted: list[str]) -> None:
        for text in [one for one in self._servers if one not in wanted]:
            self._servers.pop(text).close()
            unlink(read_address(text))
        for text, sock in opened.items():
            self._servers[text] = await self._served(text, sock)

    async def _served(self, text: str, sock: socket.socket) -> asyncio.Server:
        def made() -> Stream:
            return Stream(self._registry, lambda stream: self._accept(stream, text))

        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            return await self._loop.create_server(made, sock=sock, backlog=limits.CONNECTIONS)
        # To an event loop a vsock is a stream of bytes without TCP's options: as a Unix socket is.
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=sock.detach())
        return await self._loop.create_unix_server(made, sock=plain, backlog=limits.CONNECTIONS)

    def _accept(self, stream: Stream, listener: str) -> None:
        """Take one connection. Of too many that say nothing, the one that has waited longest has to go.

        Whoever says at once who they are gets in, however many others only hold places.
        """
        if self._group is None or self._stop.is_set():
            return stream.abort()
        if len(self._strangers) >= limits.STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()
            self._tally.add("ringfence_strangers_total", reason="too many")
        self._strangers[stream] = None
        self._group.create_task(self._guarded(stream, listener))
        return None

    async def _guarded(self, stream: Stream, listener: str) -> None:
        """Recognise a connection and serve it; whatever goes wrong ends that connection only."""
        try:
            try:
                serve = await self._recognised(stream, listener)
            finally:
                self._strangers.pop(stream, None)
            if serve is not None:
                await serve()
        except PeerError:
            stream.abort()
        except Exception as error:  # noqa: BLE001 - a fault of ours
            stream.abort()
            self._tell(f"error: a fault of ringfence: {place_of(error)}")

    # --- recognising

    async def _recognised(self, stream: Stream, listener: str) -> "Serve | None":
        """Return what serves a connection; None where it has been answered already."""
        stream.expect(limits.HEAD_TIME)
        first = await stream.read()
        if not first:
            stream.close()
            return None
        stream.unread(first)
        if first[0] in {socks.VERSION, socks.OLD_VERSION}:
            return await self._by_socks(stream, listener, _peer(stream, listener))
        return await self._by_http(stream, listener, _peer(stream, listener))

    async def _by_http(self, stream: Stream, listener: str, address: str) -> "Serve | None":
        head = await self._head(stream)
        if head is None:
            return None
        how: How = (listener, address, given_by(head))
        tenant = self._tenants.get(self._door.find(*how) or "")
        if tenant is None:
            self._tally.add("ringfence_strangers_total", reason="not recognised")
            await _dismiss(stream, refusal.UNAUTHENTICATED)
            return None

        def admit(again: RequestHead) -> bool:
            return self._door.find(listener, address, given_by(again)) == tenant.name

        asked = None if tenant.name in self._door.anybody else admit
        return lambda: tenant.http(stream, how, asked)

    async def _head(self, stream: Stream) -> RequestHead | None:
        """Read the first request's head, and put everything back."""
        data, seen = b"", 0
        try:
            while not (end := http1.head_end(data, seen)):
                seen = len(data)
                more = await stream.read()
                if not more:
                    stream.close()
                    return None
                data += more
            head = http1.parse_request(data[:end])
        except MalformedError as error:
            told = refusal.malformed(error.message, error.answer)
        except LateError:
            told = refusal.malformed("the request took too long", 408)
        else:
            stream.unread(data)
            return head
        self._tally.add("ringfence_strangers_total", reason="malformed")
        await _dismiss(stream, refusal.render(told, close=True))
        return None

    async def _by_socks(self, stream: Stream, listener: str, address: str) -> "Serve | None":
        """Recognise by where the connection comes from, where that is enough; else by user and password."""
        how: How = (listener, address, None)
        known = self._door.find(*how)

        def authenticate(user: str, password: str) -> bool:
            nonlocal how, known
            how = (listener, address, (user or "-", password))
            known = self._door.find(*how)
            return known is not None

        try:
            wish = await socks.wish(stream, None if known else authenticate)
        except socks.SocksError:
            self._tally.add("ringfence_strangers_total", reason="socks")
            await _dismiss(stream, b"")
            return None
        tenant = self._tenants.get(known or "")
        if tenant is None:
            stream.abort()
            return None
        return lambda: tenant.socks(stream, how, wish)

    # --- for those who run it

    async def _administer(self) -> asyncio.Server | None:
        if self._options.admin is None:
            return None
        sock = bind(self._options.admin)
        admin = Admin({"/healthz": self._health, "/metrics": self._metrics})
        start = asyncio.start_unix_server if sock.family == socket.AF_UNIX else asyncio.start_server
        return await start(admin.serve, sock=sock, limit=limits.ADMIN_HEAD)

    def _health(self) -> tuple[int, str]:
        if self._stop.is_set():
            return 503, "draining\n"
        ill = [f"{one.name}: {one.stopped}\n" for one in self._tenants.values() if one.stopped]
        return (503, "".join(ill)) if ill else (200, "ok\n")

    def _metrics(self) -> tuple[int, str]:
        return 200, render(self._rows())

    def _rows(self) -> "Iterator[tuple[str, Labels, float]]":
        yield "ringfence_start_time_seconds", (), self._started
        yield from ((name, labels, count) for (name, labels), count in self._tally.counts.items())
        for one in self._tenants.values():
            mine = ("identity", one.name)
            for (name, labels), count in one.tally.counts.items():
                yield name, (mine, *labels), count
            yield "ringfence_up", (mine,), float(not one.stopped)
            yield "ringfence_connections", (mine,), len(one.clients)
            yield "ringfence_passages", (mine,), one.services.passages.under_way

    def _tell(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def _notify(self, text: str) -> None:
        """Tell systemd (sd_notify(3)); a name that begins with @ is an abstract one."""
        if not self._options.notify:
            return
        place = "\0" + self._options.notify[1:] if self._options.notify[0] == "@" else self._options.notify
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), place)


async def _dismiss(stream: Stream, answer: bytes) -> None:
    """Answer somebody who is not served, and close."""
    if answer:
        stream.write(answer)
    await linger(stream)


def _peer(stream: Stream, listener: str) -> str:
    """Return the address that a connection comes from; "" where there is none."""
    if listener.startswith(("unix:", "vsock:")):
        return ""
    address = str(stream.socket.getpeername()[0]).partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address
