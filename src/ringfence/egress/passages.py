"""What is passing through the gate for longer than one decision, and whether it still may.

A rule that is taken back holds at once: for the next request because that is judged anew, for what is
already under way because each passage says here how it would be judged again, and is closed when the
new answer is no (a permission must not outlive its rule in an open connection, THREATS.md §3.1).
"""

import contextlib

from ringfence.egress.gate import Gate
from ringfence.egress.tls import AnyStream
from ringfence.egress.tunnel import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Judge = Callable[[Gate], bool]


class Passages:
    """All passages of one session."""

    def __init__(self) -> None:
        self._open: dict[object, tuple[Judge, tuple[AnyStream, ...]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    @contextlib.contextmanager
    def hold(self, allowed: "Judge", *streams: AnyStream) -> "Iterator[None]":
        """Keep account of a passage while it lasts; `allowed` judges it under a new policy."""
        key = object()
        self._open[key] = (allowed, streams)
        try:
            yield
        finally:
            del self._open[key]

    def revoke(self, gate: Gate) -> int:
        """Close what a policy does not allow any more; returns how many passages that were."""
        gone = [streams for allowed, streams in self._open.values() if not allowed(gate)]
        for streams in gone:
            for stream in streams:
                cut(stream)
        return len(gone)
