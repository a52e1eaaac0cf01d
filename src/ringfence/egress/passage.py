"""A connection that nobody looks into: asked for, counted and, where a budget ends, cut."""

import time

from ringfence.approval import Question
from ringfence.egress import refusal
from ringfence.egress.budget import DOWN, UP
from ringfence.egress.refusal import Refusal
from ringfence.egress.services import Services
from ringfence.egress.tls import AnyStream
from ringfence.egress.tunnel import splice
from ringfence.policy.model import ALLOW, ASK, DENY
from ringfence.value import replace
from ringfence.verdict.request import Verdict


class Passage:
    """One such connection from the boundary."""

    def __init__(self, services: Services, client: AnyStream, scheme: str, host: str, port: int) -> None:
        self._services = services
        self._client = client
        self._scheme = scheme
        self._host = host
        self._port = port
        self._began = time.perf_counter()
        self._verdict = Verdict(effect=DENY)

    async def refused(self, verdict: Verdict) -> Refusal | None:
        """Return why it may not pass after all, having asked where a rule says so."""
        self._verdict = verdict
        outcome = None
        if verdict.effect != DENY:
            outcome = self._services.variety.admit(self._host, self._services.gate.rules)
        outcome = outcome or await self._denied(verdict)
        if outcome is None:
            outcome = self._services.controls.budgets.admit(self._host)
        if outcome is not None and verdict.effect != DENY:
            self._tell(outcome)
        if outcome is not None:
            self._tell_ended(status=outcome.status)
        return outcome

    async def _denied(self, verdict: Verdict) -> Refusal | None:
        what = f"{self._host}:{self._port}"
        reason = verdict.reason
        if verdict.effect == ASK:
            answer = await self._services.asking.while_there(
                self._client,
                Question(
                    number=0,
                    session="",
                    method="connect",
                    scheme=self._scheme,
                    host=self._host,
                    port=self._port,
                    path="",
                    rule=refusal.rule_name(verdict.rule),
                    reason=reason,
                    length=-1,
                ),
            )
            if answer.allowed:
                # What was asked is recorded like a refusal, of which floods are only counted: this never is.
                allowed = replace(verdict, effect=ALLOW)
                self._services.record.verdict(
                    allowed, host=self._host, port=self._port, method=self._scheme, source="approval"
                )
                return None
            reason = answer.reason
        elif verdict.effect != DENY:
            return None
        return Refusal(
            status=403, kind=refusal.DENIED, message=f"{what} was refused: {reason}", host=self._host
        )

    async def splice(self, upstream: AnyStream) -> tuple[int, int]:
        """Pass bytes both ways; returns how many."""
        budgets = self._services.controls.budgets
        up, down = (budgets.meter(way, self._host) for way in (UP, DOWN))
        passed = await splice(
            self._client, upstream, [up] if up else (), [down] if down else (), refused=self._tell
        )
        self._tell_ended(up=passed[0], down=passed[1])
        return passed

    def _tell_ended(self, *, status: int = 0, up: int = 0, down: int = 0) -> None:
        if self._services.access is not None:
            self._services.access.connection(
                self._verdict,
                scheme=self._scheme,
                host=self._host,
                port=self._port,
                status=status,
                up=up,
                down=down,
                began=self._began,
            )

    def _tell(self, outcome: Refusal) -> None:
        self._services.record.flood(
            "refused", reason=outcome.message, host=self._host, port=self._port, scheme=self._scheme
        )
