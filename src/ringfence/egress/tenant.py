"""One identity of a service: rules, credentials, pools, authority and log that it shares with no other.

What goes wrong for one ends that one: a log that cannot be written, or a canary on its way out, stops the
identity it belongs to, and the others do not notice.
"""

import asyncio
import contextlib
import time

from ringfence.audit import heads
from ringfence.audit.log import Writer
from ringfence.egress import assembly, leaf, limits
from ringfence.egress.access import CLIENT, Access
from ringfence.egress.connect import Connector
from ringfence.egress.conversation import Conversation
from ringfence.egress.faults import place_of
from ringfence.egress.gate import GATEWAY, GATEWAY_SUFFIX, PROXY, Origin
from ringfence.egress.identity import Caller, Identity
from ringfence.egress.record import Record
from ringfence.egress.redirected import Place, Redirected, ports_named
from ringfence.egress.socks import Wish
from ringfence.egress.stream import Stream
from ringfence.egress.tally import Tally
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError
from ringfence.handover import Handover
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ringfence.egress.access import AccessLog
    from ringfence.egress.conversation import Admit


class Setup(Struct):
    """Everything that serving one identity takes."""

    identity: Identity
    handover: Handover
    environment: dict[str, str]  # for its credentials' sources
    token: str = ""


class Tenant:
    """One identity as it is served."""

    def __init__(self, setup: Setup, tell: "Callable[[str], None]", log: "AccessLog | None" = None) -> None:
        """`tell` is for the operator's eyes; `log` is told of each request that has ended."""
        self.setup = setup
        self.name = setup.identity.name
        self.tally = Tally()
        self.stopped = ""  # why it is not served any more
        self.clients: dict[AnyStream, Caller] = {}
        self._tell = tell
        self._began = self._contexts_made = time.monotonic()
        handover = setup.handover
        self._writer = Writer.resume(handover.audit_path)
        self._authority = leaf.load(handover.authority_dir, keep=True)
        record = Record(self._writer, self._cannot_record, self.tally)
        self.services = assembly.assemble(
            handover, setup.environment, record=record, authority=self._authority, alarmed=self._alarmed
        )
        self.services.access = Access(log, self.name) if log is not None else None

    async def start(self) -> None:
        """Read what takes long to read; take answers to what its rules ask, where they ask."""
        await asyncio.to_thread(self.services.upstreams.context)
        if self.setup.handover.ask and not self.services.asking.open:
            await self.services.asking.start()

    # --- another policy

    async def renewal(self, setup: Setup) -> "Callable[[], None]":
        """Make everything that could fail of a new setup; what is returned puts it in its place."""
        made = assembly.Renewal(
            self.services, self.setup.handover, setup.handover, setup.environment, self._alarmed
        )
        await made.prepare()

        def apply() -> None:
            changed = setup.handover.policy_digest != self.setup.handover.policy_digest
            self.setup = setup
            ended = made.apply()
            if changed or ended:
                text = f"another policy holds: {setup.handover.policy_digest}; {ended} ended by it"
                self.services.record.event("note", text=text)

        return apply

    def expel(self, belongs: "Callable[[Caller], bool]") -> None:
        """Close the connections of those who do not belong to this identity any more."""
        for stream in [one for one, caller in self.clients.items() if not belongs(caller)]:
            stream.abort()

    # --- serving

    async def http(self, stream: AnyStream, caller: Caller, admit: "Admit | None") -> None:
        """Serve a connection that speaks HTTP to a proxy."""
        origin = Origin(kind=PROXY, scheme="http")
        connector = Connector(self.services, stream)
        await self._guarded(
            stream, caller, Conversation(self.services, stream, origin, connector.connect, admit).run
        )

    async def socks(self, stream: AnyStream, caller: Caller, wish: Wish) -> None:
        """Serve a connection whose SOCKS request has been read."""
        await self._guarded(stream, caller, lambda: Connector(self.services, stream).wished(wish))

    async def gateway(self, stream: AnyStream, caller: Caller, name: str, admit: "Admit") -> None:
        """Serve a connection that speaks HTTP to one of the gateways."""
        origin = Origin(kind=GATEWAY, scheme="http", host=f"{name}{GATEWAY_SUFFIX}", port=80)
        await self._guarded(stream, caller, Conversation(self.services, stream, origin, admit=admit).run)

    async def redirected(self, stream: Stream, caller: Caller, place: Place) -> None:
        """Serve a connection that was on its way to somebody else."""
        handover = self.setup.handover
        ports = ports_named((*handover.allow, *handover.ask))
        await self._guarded(stream, caller, lambda: Redirected(self.services, stream, ports).run(*place))

    async def _guarded(
        self, stream: AnyStream, caller: Caller, work: "Callable[[], Awaitable[None]]"
    ) -> None:
        """Do the work of one connection; whatever goes wrong ends that connection only."""
        if self.stopped:
            return stream.abort()
        if len(self.clients) >= limits.CONNECTIONS:
            self.services.record.flood("refused", reason="too many connections at one time")
            return stream.abort()
        self.clients[stream] = caller
        CLIENT.set(caller.address)
        try:
            await work()
        except PeerError:
            stream.abort()
        except Exception as error:  # noqa: BLE001 - a fault of ours is a refusal, and is recorded as ours
            stream.abort()
            if not self.stopped:
                self.services.record.flood("refused", reason=f"a fault of ringfence: {place_of(error)}")
        finally:
            del self.clients[stream]
        return None

    # --- its end

    def sweep(self, now: float) -> None:
        """Do what is due."""
        self.services.registry.sweep(now)
        self.services.upstreams.sweep(now)
        if time.monotonic() - self._contexts_made > limits.CONTEXTS_AGE:
            self.services.contexts = leaf.Contexts(self._authority)
            self._contexts_made = time.monotonic()

    def abort(self) -> None:
        """Cut everything off."""
        for stream in list(self.clients):
            stream.abort()
        self.services.registry.abort()

    async def ended(self) -> None:
        """Cut everything off, and end once all of it has noticed."""
        self.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.REFUSE_TIME):
                while self.clients:  # noqa: ASYNC110 - each ends by itself
                    await asyncio.sleep(0.01)
        self.close()

    def close(self, status: int = 0) -> None:
        """End, and say so in the log. Nothing is under way any more."""
        self.services.asking.close()
        self.services.upstreams.retire()
        record = self.services.record
        if not self.stopped:
            record.event("end", status=status, seconds=round(time.monotonic() - self._began, 3))
            record.close()
            handover = self.setup.handover
            heads.append(handover.state_dir, handover.session, self._writer.seq - 1, self._writer.head)

    def _cannot_record(self, error: Exception) -> None:
        """Stop: what cannot be recorded does not pass."""
        self._stop(f"its audit log cannot be written: {error}")

    def _alarmed(self) -> None:
        self._stop("a canary showed up in a request")

    def _stop(self, why: str) -> None:
        if not self.stopped:
            self.stopped = why
            self._tell(f"error: identity {self.name} is not served any more: {why}")
        self.abort()
