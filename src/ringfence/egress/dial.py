"""From an allowed name to a connected socket: resolve once, vet the addresses, dial a vetted one.

The decision that let a name through was about the name; what it resolves to is judged here, address by
address, and only an address that was judged is dialled: a second answer of the resolver never counts
(DNS rebinding, THREATS.md §3.3).
"""

import asyncio
import socket
import time

from ringfence.egress import limits
from ringfence.egress.keys import Keys
from ringfence.egress.lookup import NoAnswerError
from ringfence.egress.parent import Parent, ProxyError
from ringfence.egress.record import Record
from ringfence.egress.resolver import Resolver
from ringfence.egress.stream import Registry, Stream
from ringfence.errors import PeerError
from ringfence.handover import Handover
from ringfence.policy.endpoints import join, split_static
from ringfence.subject import is_address
from ringfence.verdict import address as verdict_address
from ringfence.verdict.request import Rules, forbidden, private, vouched


class UnreachableError(PeerError):
    """An upstream could not be connected to; `answer` is the status that says so."""

    def __init__(self, message: str, *, answer: int = 502) -> None:
        super().__init__(message)
        self.answer = answer


class AddressError(PeerError):
    """A name resolves only to addresses that may not be dialled."""


class Dialler:
    """Resolver, guard and dialler of one session."""

    def __init__(
        self,
        handover: Handover,
        rules: Rules,
        registry: Registry,
        record: Record,
        keys: Keys | None = None,
    ) -> None:
        """`keys` holds the upstream proxy's password."""
        self._rules = rules
        self._registry = registry
        self._record = record
        self._static = dict(handover.static)
        self._own = {(one.host_address, one.host_port) for one in handover.publish}
        self._loop = asyncio.get_running_loop()
        self._dials = asyncio.Semaphore(limits.DIALS)
        self._resolver = Resolver(handover.resolvers)
        self._parent: Parent | None = None
        if handover.proxy:
            self._parent = Parent(handover.proxy, handover.proxy_password, handover.no_proxy, keys)

    def sweep(self, now: float) -> None:
        """Forget what was resolved too long ago."""
        self._resolver.sweep(now)

    async def dial(self, host: str, port: int) -> Stream:
        """Open a connection to a vetted address of a host that was allowed."""
        async with self._dials:
            static = self._static.get(join(host, port)) or self._static.get(host)
            if static is not None:
                address, port = split_static(static, port)
                return await self._first(host, [address], port)
            if self._parent is not None and self._through(self._parent, host):
                return await self._by_parent(self._parent, host, port)
            addresses = self._vetted(host, port, await self._resolve(host))
            return await self._first(host, addresses[: limits.DIAL_ADDRESSES], port)

    async def by_proxy(self, host: str, port: int) -> Stream | None:
        """Open a connection for a call of our own, or None where the upstream proxy is not for that host."""
        static = self._static.get(join(host, port)) or self._static.get(host)
        if static is not None or self._parent is None or not self._through(self._parent, host):
            return None
        async with self._dials:
            return await self._by_parent(self._parent, host, port)

    def _through(self, parent: Parent, host: str) -> bool:
        """Say whether the upstream proxy resolves and dials a host: not where the policy knows better."""
        own = private(host, self._rules) or self._resolver.nameserver(host)
        return not own and parent.serves(host)

    async def _by_parent(self, parent: Parent, host: str, port: int) -> Stream:
        if is_address(host):
            self._vetted(host, port, (host,))
        addresses = [parent.host] if is_address(parent.host) else await self._resolve(parent.host)
        stream = await self._first(parent.host, list(addresses)[: limits.DIAL_ADDRESSES], parent.port)
        try:
            await parent.open(stream, host, port)
        except ProxyError as error:
            stream.abort()
            self._record.event("dial", host=host, port=port, error=f"the upstream proxy: {error.message}")
            raise UnreachableError(
                f"{host}:{port} cannot be reached through the upstream proxy: {error.message}"
            ) from None
        except BaseException:
            stream.abort()
            raise
        self._record.event("dial", host=host, port=port, through=parent.url)
        return stream

    async def _resolve(self, host: str) -> tuple[str, ...]:
        if is_address(host):
            return (host,)
        try:
            return await self._resolver.addresses(host)
        except (OSError, TimeoutError, UnicodeError, NoAnswerError) as error:
            self._record.event("dial", host=host, error="the name does not resolve")
            raise UnreachableError(f"{host} does not resolve") from error

    def _vetted(self, host: str, port: int, addresses: tuple[str, ...]) -> list[str]:
        """Keep the addresses that may be dialled; none left is a refusal that names their class."""
        classes = {text: self._class_of(text, host, port) for text in addresses}
        kept = [str(verdict_address.parse(text)) for text in addresses if not classes[text]]
        if kept:
            return kept
        refused = ", ".join(sorted(set(classes.values()))) or "nothing"
        self._record.flood(
            "refused", host=host, port=port, address=list(addresses), reason=f"resolves to {refused}"
        )
        raise AddressError(f"{host} resolves to an address that may not be dialled ({refused})")

    def _class_of(self, text: str, host: str, port: int) -> str:
        """Name what forbids an address, or return ""."""
        address = verdict_address.parse(text)
        name = str(address)
        if forbidden(name, self._rules):
            return "denied by a rule"
        if (name, port) in self._own:
            return "a port published from inside"
        if address in verdict_address.METADATA:
            return "" if name in self._rules.allow.exact else "cloud metadata"
        if vouched(name, self._rules):
            return ""
        found = verdict_address.address_class(address)
        if found in verdict_address.OWN_NETWORK and private(host, self._rules):
            found = ""
        return found or ("this machine's own" if is_own(address) else "")

    async def _first(self, host: str, addresses: list[str], port: int) -> Stream:
        """Connect to the first address that answers."""
        started = time.perf_counter()
        try:
            if len(addresses) == 1:
                address, stream = addresses[0], await self._open(addresses[0], port)
            else:
                address, stream = await self._raced(addresses, port)
        except (OSError, ValueError) as error:
            self._record.event("dial", host=host, port=port, error=_told(error))
            late = isinstance(error, TimeoutError)
            raise UnreachableError(
                f"{host}:{port} cannot be reached: {_told(error)}", answer=504 if late else 502
            ) from None
        took = round((time.perf_counter() - started) * 1000, 1)
        self._record.event("dial", host=host, address=address, port=port, ms=took)
        return stream

    async def _raced(self, addresses: list[str], port: int) -> tuple[str, Stream]:
        """Connect to the first that answers, trying the next one beside a slow one (RFC 8305)."""
        queue, tasks = list(addresses), set[asyncio.Task[Stream]]()
        error: BaseException | None = None
        try:
            while queue or tasks:
                if queue:
                    address = queue.pop(0)
                    tasks.add(self._loop.create_task(self._open(address, port), name=address))
                done, tasks = await asyncio.wait(
                    tasks, timeout=limits.DIAL_STAGGER if queue else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        tasks |= done - {task}
                        return task.get_name(), task.result()
        finally:
            for task in tasks:
                _drop(task)
        raise error or OSError("no address")

    async def _open(self, address: str, port: int) -> Stream:
        async with asyncio.timeout(limits.DIAL_TIME):
            _, stream = await self._loop.create_connection(lambda: Stream(self._registry), address, port)
        return stream


def is_own(address: verdict_address.Address) -> bool:
    """Say whether an address is one of this machine's: the kernel would then use it as the source too."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))  # sends nothing
            return str(probe.getsockname()[0]) == str(address)
        except OSError:
            return False


def _drop(task: asyncio.Task[Stream]) -> None:
    """End an attempt that is not needed any more, and the connection it may just have made."""
    task.cancel()
    task.add_done_callback(lambda one: None if one.cancelled() or one.exception() else one.result().abort())


def _told(error: BaseException | None) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError):
        return error.strerror or "the connection failed"
    return "the connection failed"
