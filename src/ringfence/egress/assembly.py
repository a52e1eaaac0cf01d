"""Putting a gate's parts together from what the policy says, and exchanging them when it says something else.

A policy that changes takes effect at once and as a whole: everything that can fail or wait is made first,
then the parts are exchanged in one step in which nothing else runs. A request is judged either by the old
policy or by the new one, never by none. What was under way is judged again, and cut where the new policy
says no.
"""

import asyncio

from ringfence.credential.vault import Vault
from ringfence.credential.web import Web
from ringfence.egress import injection, leaf
from ringfence.egress.asking import Asking
from ringfence.egress.calls import Calls
from ringfence.egress.controls import Controls
from ringfence.egress.dns import Names
from ringfence.egress.gate import Gate
from ringfence.egress.keys import Keys
from ringfence.egress.record import Record
from ringfence.egress.services import Services
from ringfence.egress.stream import Registry
from ringfence.egress.upstream import Upstreams
from ringfence.handover import Handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def assemble(
    handover: Handover,
    environment: dict[str, str],
    *,
    record: Record,
    authority: leaf.Authority | None,
    alarmed: "Callable[[], None]",
) -> Services:
    """Return the services of one session; `alarmed` is called when a canary shows up."""
    registry, gate = Registry(record.settle), Gate(handover)
    keys = _keys(handover, environment, record)
    services = Services(
        gate=gate,
        keys=keys,
        upstreams=_upstreams(handover, gate, registry, record, keys),
        contexts=leaf.Contexts(authority),
        names=Names(),
        record=record,
        registry=registry,
        asking=Asking(handover.session, handover.session_dir, handover.ask_timeout, record.event),
    )
    injection.prepare(services, handover.credentials)
    services.controls = Controls(handover, record, alarmed)
    services.controls.install(services)
    return services


class Renewal:
    """A session's parts under a new policy, made and not yet in their places."""

    def __init__(
        self,
        services: Services,
        old: Handover,
        new: Handover,
        environment: dict[str, str],
        alarmed: "Callable[[], None]",
    ) -> None:
        """Make everything that could fail."""
        self._services = services
        self._new = new
        self._gate = Gate(new)
        self._keys = services.keys
        if _fetched(old) != _fetched(new):
            self._keys = _keys(new, environment, services.record)
            self._keys.adopt(services.keys)
        self._upstreams = _upstreams(new, self._gate, services.registry, services.record, self._keys)
        self._upstreams.inherit(services.upstreams)
        self._asks_anew = old.ask != new.ask
        self._controls = services.controls
        if _controlled(old) != _controlled(new):
            self._controls = Controls(new, services.record, alarmed)

    async def prepare(self) -> None:
        """Read what takes long to read, away from the event loop. Raises HostError."""
        await asyncio.to_thread(self._upstreams.context)

    def apply(self) -> int:
        """Exchange the parts; returns how many passages the new policy ended."""
        # Invariant: nothing here waits, so no request sees one part old and another one new.
        services, former = self._services, self._services.upstreams
        services.gate, services.keys, services.upstreams = self._gate, self._keys, self._upstreams
        services.upward_filters, services.downward_filters, services.head_checks = [], [], []
        services.stubs = {}
        injection.prepare(services, self._new.credentials)
        services.controls = self._controls
        services.controls.install(services)
        if self._asks_anew:
            services.asking.forget()
        former.retire()
        return services.passages.revoke(services.gate)


def _keys(handover: Handover, environment: dict[str, str], record: Record) -> Keys:
    """Return what fetches the session's secrets, from servers too, which are reached as the policy says."""
    trust = (handover.trust_file, handover.trust_dir)
    web = Web(static=handover.static, extra_ca=handover.extra_ca, trust=trust)
    vault = Vault(environment, handover.workspace, web)
    return Keys(vault, lambda text: record.event("note", text=text))


def _upstreams(handover: Handover, gate: Gate, registry: Registry, record: Record, keys: Keys) -> Upstreams:
    """Return the connections to upstreams; where a proxy is the only way out, our own calls take it too."""
    made = Upstreams(handover, gate.rules, registry, record, keys)
    keys.route(Calls(made.dialler, registry).dial if handover.proxy else None)
    return made


def _fetched(handover: Handover) -> tuple[object, ...]:
    """Return what secrets are fetched from and by: servers of them are reached as the policy says."""
    reached = handover.static, handover.extra_ca, handover.trust_file, handover.trust_dir, handover.proxy
    return handover.credentials, handover.proxy_password, *reached


def _controlled(handover: Handover) -> tuple[object, ...]:
    """Return what the controls are made from: where it stays the same, so does what they have counted."""
    return handover.budgets, handover.model, handover.watch, handover.canaries, handover.masked
