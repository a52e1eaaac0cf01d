"""What every conversation of one session shares."""

import asyncio

from ringfence.credential.inject import Outgoing
from ringfence.egress.dns import Names
from ringfence.egress.filters import Filter
from ringfence.egress.gate import Gate, Target
from ringfence.egress.http1 import RequestHead, ResponseHead
from ringfence.egress.keys import Keys
from ringfence.egress.leaf import Contexts
from ringfence.egress.passages import Passages
from ringfence.egress.record import Record
from ringfence.egress.refusal import Refusal
from ringfence.egress.stream import Registry
from ringfence.egress.upstream import Upstreams
from ringfence.egress.variety import Variety
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.egress.access import Access
    from ringfence.egress.asking import Asking
    from ringfence.egress.controls import Controls
    from ringfence.egress.filters import Downward, Notes, Upward
    from ringfence.egress.injection import Stub


class Services:
    """The parts of the gate's process, made once."""

    def __init__(
        self,
        *,
        gate: Gate,
        keys: Keys,
        upstreams: Upstreams,
        contexts: Contexts,
        names: Names,
        record: Record,
        registry: Registry,
        asking: "Asking",
    ) -> None:
        self.gate = gate
        self.keys = keys
        self.upstreams = upstreams
        self.contexts = contexts
        self.names = names
        self.record = record
        self.registry = registry
        self.asking = asking
        self.controls: Controls  # set when the rest stands: it puts its filters in
        # Makers of filters, and last checks on heads: one list each, and an empty one costs nothing.
        self.upward_filters: list[Upward] = []
        self.downward_filters: list[Downward] = []
        self.head_checks: list[Callable[[Outgoing], Refusal | None]] = []
        self.stubs: dict[tuple[str, str, int, str], Stub] = {}  # token endpoints that the gate answers for
        self.held = 0  # bytes of bodies held for their credentials
        self.variety = Variety(lambda text: record.event("note", text=text))
        self.passages = Passages()
        self.access: Access | None = None  # a service's own log of requests that have ended
        self.busy = 0  # exchanges and tunnels under way
        self.answered = False
        self.served = asyncio.Event()  # set once the first request has been answered

    def upward(self, head: RequestHead, target: Target, verdict: Verdict, notes: "Notes") -> list[Filter]:
        """Return the filters for a request's body."""
        made = [make(head, target, verdict, notes) for make in self.upward_filters]
        return [one for one in made if one is not None]

    def downward(
        self, head: RequestHead, target: Target, verdict: Verdict, notes: "Notes", answer: ResponseHead
    ) -> list[Filter]:
        """Return the filters for an answer's body."""
        made = [make(head, target, verdict, notes, answer) for make in self.downward_filters]
        return [one for one in made if one is not None]
