"""What is passing through the gate for longer than one decision, and whether it still may.

A rule that is taken back holds at once: for the next request because that is judged anew, for what is
already under way because each passage says here how it would be judged again, and is closed when the
new answer is no (a permission must not outlive its rule in an open connection, THREATS.md §3.1).
"""

import contextlib

from ringfence.egress.gate import Gate, Target
from ringfence.egress.message import Inbound
from ringfence.egress.refusal import DENIED, Refusal
from ringfence.egress.tls import AnyStream
from ringfence.egress.tunnel import cut
from ringfence.policy.model import ALLOW, ASK
from ringfence.value import replace
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Judge = Callable[[Gate], bool]


class Passages:
    """All passages of one session."""

    def __init__(self) -> None:
        self._tunnels: dict[object, tuple[Judge, tuple[AnyStream, ...]]] = {}
        self._connections: dict[object, tuple[Judge, tuple[AnyStream, ...]]] = {}
        self.requests: dict[Inbound, tuple[Target, Verdict]] = {}  # under way, and how they were judged

    @property
    def under_way(self) -> int:
        """How many requests and tunnels there are; a connection that waits for a request is neither."""
        return len(self._tunnels) + len(self.requests)

    def tunnel(self, allowed: "Judge", *streams: AnyStream) -> "contextlib.AbstractContextManager[None]":
        """Keep account of a tunnel while it lasts; `allowed` judges it under a new policy."""
        return _held(self._tunnels, allowed, streams)

    def connection(self, allowed: "Judge", *streams: AnyStream) -> "contextlib.AbstractContextManager[None]":
        """Keep account of a connection whose requests are judged one by one."""
        return _held(self._connections, allowed, streams)

    def revoke(self, gate: Gate) -> int:
        """Close what a policy does not allow any more; returns how many passages that were."""
        held = (*self._tunnels.values(), *self._connections.values())
        connections = [streams for allowed, streams in held if not allowed(gate)]
        for streams in connections:
            for stream in streams:
                cut(stream)
        requests = [one for one, judged in self.requests.items() if not _still(gate, one, *judged)]
        for request in requests:
            request.abort()
        return len(connections) + len(requests)


@contextlib.contextmanager
def _held(
    held: "dict[object, tuple[Judge, tuple[AnyStream, ...]]]",
    allowed: "Judge",
    streams: tuple[AnyStream, ...],
) -> "Iterator[None]":
    key = object()
    held[key] = (allowed, streams)
    try:
        yield
    finally:
        del held[key]


def revoked(judged: Gate, now: Gate, inbound: Inbound, target: Target, verdict: Verdict) -> Refusal | None:
    """Return why a request may not go on that waited (for an answer, its body, its upstream) meanwhile."""
    if now is judged or _still(now, inbound, target, verdict):
        return None
    return Refusal(
        status=403,
        kind=DENIED,
        message="the policy changed while the request waited, and does not allow it any more",
        host=target.host,
    )


def _still(gate: Gate, inbound: Inbound, target: Target, verdict: Verdict) -> bool:
    """Say whether a request under way would be let through again, or was approved under this rule."""
    again = gate.decide(replace(gate.request(inbound.head, target), facts=verdict.facts))
    return again.effect == ALLOW or (again.effect == ASK and again.rule == verdict.rule)
