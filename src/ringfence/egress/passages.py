"""What is passing through the gate for longer than one decision, and whether it still may.

A rule that is taken back holds at once: for the next request because that is judged anew, for what is
already under way because each passage says here how it would be judged again, and is closed when the
new answer is no (a permission must not outlive its rule in an open connection, THREATS.md §3.1).
"""

import contextlib

from ringfence.egress.gate import Gate, Target
from ringfence.egress.message import Inbound
from ringfence.egress.tls import AnyStream
from ringfence.egress.tunnel import cut
from ringfence.policy.model import ALLOW
from ringfence.value import replace
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Judge = Callable[[Gate], bool]


class Passages:
    """All passages of one session."""

    def __init__(self) -> None:
        self._open: dict[object, tuple[Judge, tuple[AnyStream, ...]]] = {}
        self.requests: dict[Inbound, tuple[Target, Verdict]] = {}  # under way, and how they were judged

    def __len__(self) -> int:
        return len(self._open) + len(self.requests)

    @contextlib.contextmanager
    def hold(self, allowed: "Judge", *streams: AnyStream) -> "Iterator[None]":
        """Keep account of a connection while it lasts; `allowed` judges it under a new policy."""
        key = object()
        self._open[key] = (allowed, streams)
        try:
            yield
        finally:
            del self._open[key]

    def revoke(self, gate: Gate) -> int:
        """Close what a policy does not allow any more; returns how many passages that were."""
        connections = [streams for allowed, streams in self._open.values() if not allowed(gate)]
        for streams in connections:
            for stream in streams:
                cut(stream)
        requests = [one for one, judged in self.requests.items() if not _still(gate, one, *judged)]
        for request in requests:
            request.abort()
        return len(connections) + len(requests)


def _still(gate: Gate, inbound: Inbound, target: Target, verdict: Verdict) -> bool:
    """Say whether a request under way would be let through again (one that was approved, asked again)."""
    request = replace(gate.request(inbound.head, target), facts=verdict.facts)
    return gate.decide(request).effect in {ALLOW, verdict.effect}
