"""What the gate puts on record, and how much of it when an agent tries to flood the log.

Requests that were allowed are always recorded, one by one. Refusals cost the agent nothing, so they are
recorded in full up to a rate; beyond it they are counted, and the count becomes a record of its own. A
record that cannot be written stops the gate: nothing passes unseen.

A verdict is written before its request is sent, together with those of all requests that are sent at the same
time: what leaves waits for `settle` (`stream.Registry`). How a request ended may be written a little later.
"""

import asyncio

from ringfence.audit.event import MAX_FIELD, spelled
from ringfence.audit.log import Writer
from ringfence.canonical import text
from ringfence.egress import limits
from ringfence.egress.refusal import rule_name
from ringfence.policy.model import ALLOW
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.egress.tally import Tally


FLUSH = 0.1  # seconds that a record may wait to be written where nothing else is written or sent


class Record:
    """The session's log, as the gate writes it."""

    def __init__(
        self, writer: Writer, on_failure: "Callable[[Exception], None]", tally: "Tally | None" = None
    ) -> None:
        """`tally` counts what is put on record."""
        self._tally = tally
        self._writer = writer
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._allowance = float(limits.REFUSALS_BURST)
        self._counted_at = self._loop.time()
        self._left_out = 0
        self._flushing = False
        self._urgent = False  # a verdict waits to be written
        self._failed = False

    def verdict(self, verdict: Verdict, **fields: object) -> None:
        """Record one decision; a rule is named by where it comes from and its host."""
        if verdict.effect != ALLOW and not self._room():
            return
        if verdict.reason:
            fields["reason"] = verdict.reason
        fields["effect"] = verdict.effect
        fields["rule"] = rule_name(verdict.rule)
        self._write("verdict", fields)

    def request(
        self,
        verdict: Verdict,
        *,
        credential: str,
        host: str,
        method: str,
        path: str,
        port: int,
        raw_host: str,
        scheme: str,
        source: str,
    ) -> tuple[str, str] | None:
        """Record the decision on one request; returns what is spelled before and behind a usual one's path.

        As `verdict` does it, but for a usual one the text is put together here.
        """
        if verdict.effect != ALLOW or verdict.reason or len(path) > MAX_FIELD or len(raw_host) > MAX_FIELD:
            fields: dict[str, object] = {"credential": credential, "raw_host": raw_host}
            fields = {name: value for name, value in fields.items() if value}
            self.verdict(
                verdict,
                host=host,
                method=method,
                path=path,
                port=port,
                scheme=scheme,
                source=source,
                **fields,
            )
            return None
        before = (
            f',"credential":{text(credential)}' if credential else ""
        ) + f',"effect":"{verdict.effect}","host":{text(host)},"method":{text(method)},"path":'
        behind = (
            f',"port":{port}'
            + (f',"raw_host":{text(raw_host)}' if raw_host else "")
            + f',"rule":{text(rule_name(verdict.rule))},"scheme":"{scheme}","source":{text(source)}'
        )
        self.again(before, path, behind)
        return before, behind

    def again(self, before: str, path: str, behind: str) -> None:
        """Record the decision on one request more that differs in its path at most from a usual one."""
        if self._tally is not None:
            self._tally.event("verdict", {"effect": ALLOW})
        self._urgent = True
        self._later("verdict", f"{before}{text(path)}{behind}")

    def event(self, kind: str, **fields: object) -> None:
        """Record something that happened to an allowed request."""
        self._write(kind, fields)

    def response(
        self, *, host: str, status: int, up: int, down: int, seconds: float, notes: dict[str, object]
    ) -> None:
        """Record how a request ended. It is written with the next record, or a moment later."""
        whole, tenth = divmod(int(seconds * 10_000), 10)
        if notes:
            ms = whole + tenth / 10
            own = spelled({"host": host, "status": status, "up": up, "down": down, "ms": ms, **notes})
        else:
            ms_text = f"{whole}.{tenth}" if tenth else whole
            own = f',"down":{down},"host":{text(host)},"ms":{ms_text},"status":{status},"up":{up}'
        if self._tally is not None:
            self._tally.event("response", {"status": status, "up": up, "down": down})
        self._later("response", own)

    def settle(self) -> bool:
        """Write the verdicts that wait; False where they cannot be written: nothing may leave then."""
        if self._urgent:
            self._write_waiting()
        return not self._failed

    def _in_time(self) -> None:
        """Write what waits where nothing was sent meanwhile."""
        self._flushing = False
        self._write_waiting()

    def _write_waiting(self) -> None:
        if self._failed:
            return
        self._urgent = False
        try:
            self._writer.flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, the gate stops
            self._failed = True
            self._on_failure(error)

    def flood(self, kind: str, **fields: object) -> None:
        """Record something that an agent can cause at will."""
        if self._room():
            self._write(kind, fields)

    def close(self) -> None:
        """Write what was left out and let go of the log."""
        self._tell_gap()
        self._writer.close()

    def _room(self) -> bool:
        """Take one from the allowance for refusals, or count what is left out."""
        now = self._loop.time()
        grown = self._allowance + (now - self._counted_at) * limits.REFUSALS_RATE
        self._allowance, self._counted_at = min(grown, float(limits.REFUSALS_BURST)), now
        if self._allowance < 1:
            self._left_out += 1
            return False
        self._allowance -= 1
        self._tell_gap()
        return True

    def _tell_gap(self) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._write("gap", {"left_out": count, "reason": "too many refusals to record each"})

    def _write(self, kind: str, fields: dict[str, object]) -> None:
        if self._tally is not None:
            self._tally.event(kind, fields)
        self._write_spelled(kind, spelled(fields))

    def _write_spelled(self, kind: str, own: str) -> None:
        try:
            self._writer.append_spelled(kind, own)
        except Exception as error:
            self._failed = True
            self._on_failure(error)
            raise

    def _later(self, kind: str, own: str) -> None:
        """Have a record written with the next one, or a moment later."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_later(FLUSH, self._in_time)
        try:
            self._writer.append_spelled(kind, own, later=True)
        except Exception as error:
            self._failed = True
            self._on_failure(error)
            raise
