"""Holding back a flood of refusals.

The agent can make the gate refuse as fast as it can ask; each refusal is a record, and a disk is
finite. So refusals, and only refusals, have a rate; what goes beyond is counted, and the count is
written as a `gap` record. What was let through is always on the record, one by one.
"""

import time

from ringfence.audit.log import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 2000  # refusals recorded at once
RATE = 100.0  # refusals a second in the long run
GAP_EVERY = 1.0  # seconds between two gap records while a flood lasts


class Dam:
    """Appends to a log like its writer does, with a limit on refusals."""

    def __init__(self, writer: Writer, clock: "Callable[[], float]" = time.monotonic) -> None:
        """Take over the writer; `close` closes it."""
        self._writer = writer
        self._clock = clock
        self._tokens = float(BURST)
        self._at = clock()
        self._held: dict[str, int] = {}
        self._gap_at = 0.0

    def append(self, kind: str, **fields: object) -> None:
        """Write one record, or count it."""
        refusal = is_refusal(kind, fields)
        if refusal and not self._admit():
            self._held[kind] = self._held.get(kind, 0) + 1
            self._flush_now_and_then()
            return
        if refusal:
            self._flush_now_and_then()
        else:
            self.flush()
        self._writer.append(kind, **fields)

    def _flush_now_and_then(self) -> None:
        if self._clock() - self._gap_at >= GAP_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the count of what was held back, if anything was."""
        if not self._held:
            return
        held, self._held = self._held, {}
        self._gap_at = self._clock()
        self._writer.append("gap", left_out=held, reason="too many refusals at once")

    def close(self) -> None:
        """Write what is left to tell and close the log."""
        try:
            self.flush()
        finally:
            self._writer.close()

    def _admit(self) -> bool:
        now = self._clock()
        self._tokens = min(float(BURST), self._tokens + (now - self._at) * RATE)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def is_refusal(kind: str, fields: "dict[str, object]") -> bool:
    """Tell whether a record is about something that did not pass."""
    if kind == "refused":
        return True
    return kind in ("dns", "verdict") and fields.get("verdict") in ("deny", "ask")
