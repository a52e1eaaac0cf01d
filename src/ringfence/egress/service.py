"""A gate that stays, for many: one process, each identity with a policy of its own.

A connection is recognised before anything else is done for it (`reception.Reception`), and from then on
served as that identity (`tenant.Tenant`).

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

from ringfence.egress import limits
from ringfence.egress.access import AccessLog
from ringfence.egress.admin import Admin
from ringfence.egress.entrance import GATEWAY, Entrance, Shell, TlsFiles
from ringfence.egress.faults import place_of
from ringfence.egress.identity import Address, Door, read_address
from ringfence.egress.listening import bind, unlink
from ringfence.egress.reception import Reception
from ringfence.egress.stream import Registry, Stream
from ringfence.egress.tally import Labels, Tally, render
from ringfence.egress.tenant import Setup, Tenant
from ringfence.errors import PolicyError, RingfenceError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Source(Protocol):
        """Where a configuration comes from."""

        def read(self) -> tuple[Setup, ...]:
            """Read everything anew. Raises RingfenceError. Called in another thread."""

        def drop(self, name: str) -> None:
            """Take note that an identity has ended."""


class Options(Struct):
    """What the command line says about a service."""

    entrances: tuple[Entrance, ...]  # that identities share
    tls: TlsFiles | None = None  # for those with TLS to the gate itself
    access_log: str = ""  # a file, or "-"
    admin: Address | None = None
    drain: float = limits.DRAIN_TIME
    notify: str = ""  # systemd's socket


def serve(source: "Source", options: Options) -> int:
    """Serve until told to stop; returns the exit status. Raises RingfenceError where it cannot begin."""
    from ringfence.egress.__main__ import collect_rarely, loop_factory

    first = source.read()

    async def work() -> int:
        service = Service(source, options)
        collect_rarely()
        return await service.run(first)

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
        self._reception = Reception(self._tally, self._tell)
        self._access = AccessLog(options.access_log) if options.access_log else None
        self._reception.access = self._access
        self._servers: dict[str, asyncio.Server] = {}
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
                self._reception.group = group
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
            if self._access is not None:
                self._access.close()
        return 0

    async def _serve(self, group: asyncio.TaskGroup, first: tuple[Setup, ...]) -> None:
        await self._install(first)
        reloading = group.create_task(self._reloading())
        self._tick()
        self._notify("READY=1")
        self._tell(f"serving {', '.join(self._tenants)} at {', '.join(self._servers)}")
        await self._stop.wait()
        self._reception.group = None
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
            if self._access is not None:
                self._access.reopen()
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
        entrances = self._wanted(setups)
        shell = Shell(self._options.tls) if self._options.tls is not None else None
        opened = self._opened(entrances)
        made: list[Tenant] = []
        try:
            applies = []
            for setup in setups:
                present = self._tenants.get(setup.identity.name)
                if present is None:
                    made.append(Tenant(setup, self._tell, self._access))
                else:
                    applies.append(await present.renewal(setup))
            door = Door(
                (one.identity for one in setups),
                {one.identity.name: one.token for one in setups if one.token},
                shell.authority if shell is not None else "",
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
        gone = self._exchange(setups, made, door, shell)
        for apply in applies:
            apply()
        self._expel()
        await self._listen(opened, entrances)
        for tenant in self._tenants.values():
            await tenant.start()
        for tenant in gone:
            await tenant.ended()
            self._source.drop(tenant.name)

    def _exchange(
        self, setups: tuple[Setup, ...], made: list[Tenant], door: Door, shell: Shell | None
    ) -> list[Tenant]:
        names = {one.identity.name for one in setups}
        gone = [one for name, one in self._tenants.items() if name not in names]
        self._tenants = {
            **{name: one for name, one in self._tenants.items() if name in names},
            **{one.name: one for one in made},
        }
        self._reception.tenants, self._reception.door, self._reception.shell = self._tenants, door, shell
        return gone

    def _expel(self) -> None:
        """Close the connections of those who would not be recognised as the same identity any more."""
        door = self._reception.door
        for name, tenant in self._tenants.items():
            tenant.expel(lambda caller, name=name: door.find(caller) == name)  # type: ignore[misc]

    # --- listening

    def _wanted(self, setups: tuple[Setup, ...]) -> dict[str, Entrance]:
        """Return all entrances by address. Raises PolicyError where one leads nowhere."""
        known = {gateway.name.lower() for one in setups for gateway in one.handover.gateways}
        for one in self._options.entrances:
            if one.role == GATEWAY and one.gateway not in known:
                raise PolicyError(
                    f"no policy has a gateway `{one.gateway}`",
                    hint=f"there are: {', '.join(sorted(known)) or 'none'}; [gateways.NAME] makes one",
                )
        own = (Entrance(address=read_address(text)) for one in setups for text in one.identity.listen)
        wanted = {one.text: one for one in (*self._options.entrances, *own)}
        if self._options.tls is None and any(one.address.tls for one in wanted.values()):
            raise PolicyError("TLS to the gate takes a certificate", hint="name --tls-cert and --tls-key")
        return wanted

    def _opened(self, entrances: dict[str, Entrance]) -> dict[str, socket.socket]:
        """Bind what is not bound yet; nothing is accepted before it is known for whom."""
        opened: dict[str, socket.socket] = {}
        try:
            for text, entrance in entrances.items():
                if text not in self._servers:
                    opened[text] = bind(entrance.address)
        except BaseException:
            for sock in opened.values():
                sock.close()
            raise
        return opened

    async def _listen(self, opened: dict[str, socket.socket], entrances: dict[str, Entrance]) -> None:
        for text in [one for one in self._servers if one not in entrances]:
            self._servers.pop(text).close()
            unlink(read_address(text))
        for text, sock in opened.items():
            self._servers[text] = await self._served(entrances[text], sock)

    async def _served(self, entrance: Entrance, sock: socket.socket) -> asyncio.Server:
        def made() -> Stream:
            return Stream(self._registry, lambda stream: self._reception.accept(stream, entrance))

        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            return await self._loop.create_server(made, sock=sock, backlog=limits.CONNECTIONS)
        # To an event loop a vsock is a stream of bytes without TCP's options: as a Unix socket is.
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=sock.detach())
        return await self._loop.create_unix_server(made, sock=plain, backlog=limits.CONNECTIONS)

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
        if self._access is not None:
            yield "ringfence_access_lines_lost_total", (), self._access.lost
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
