"""Judges one request, whatever protocol it came in, and has it sent where it may go.

The order is the point: where it goes, whether it may, with which credential, on record, and only then
anything upstream. One verdict is recorded for each request, whole, before its first byte is sent.
"""

import time

from ringfence.approval import Question
from ringfence.audit.event import MAX_FIELD
from ringfence.credential.inject import Outgoing
from ringfence.egress import injection, limits, refusal, shown
from ringfence.egress.exchange import Exchange
from ringfence.egress.gate import Origin, Target, denial
from ringfence.egress.http1 import MalformedError
from ringfence.egress.injection import Chosen
from ringfence.egress.inspect import Inspection
from ringfence.egress.memo import Memo, Way, same_place
from ringfence.egress.message import Inbound
from ringfence.egress.passages import revoked
from ringfence.egress.refusal import Refusal, Refused
from ringfence.egress.services import Services
from ringfence.egress.stream import GoneError
from ringfence.errors import PeerError
from ringfence.policy.model import ALLOW, ASK, DENY
from ringfence.value import replace
from ringfence.verdict import suggest
from ringfence.verdict.request import INSPECT, Request, Verdict

_EXPECTED = frozenset({b"", b"100-continue"})


async def serve(services: Services, inbound: Inbound, origin: Origin) -> None:
    """Answer one request: with its upstream's answer, with a refusal, or by cutting it off."""
    case = Case(services, inbound, origin)
    try:
        exchange = case.at_once()
        outcome = await case.judged() if exchange is None else case.ended(await exchange.run())
        if outcome is not None:
            case.outcome = outcome
            inbound.refuse(outcome)
            await inbound.drain()
    except MalformedError as error:
        await _malformed(case, error)
    except Refused as error:
        case.refused(error.refusal)
        inbound.abort()
    except PeerError as error:
        inbound.abort(error)
    finally:
        services.held -= case.held if case.choice is None else case.held + case.choice.held
        if services.access is not None:
            services.access.request(case)


async def _malformed(case: "Case", error: MalformedError) -> None:
    """Refuse what turned out not to be a request, where an answer is still possible."""
    outcome = case.refused(refusal.malformed(error.message, error.answer))
    if case.inbound.answered:
        return case.inbound.abort()
    try:
        case.inbound.refuse(outcome)
        await case.inbound.drain()
    except PeerError:
        case.inbound.abort()
    return None


def _place(target: Target) -> tuple[str, str, int, str]:
    return target.scheme, target.host, target.port, target.path.text


def _unexpected() -> Refusal:
    return refusal.malformed("the only expectation served is 100-continue", 417)


class Case:
    """One request on its way through the gate."""

    __slots__ = (
        *("began", "choice", "credential", "exchange", "gate", "held", "inbound", "memo"),
        *("origin", "outcome", "services", "target", "verdict"),
    )

    def __init__(self, services: Services, inbound: Inbound, origin: Origin) -> None:
        self.services = services
        self.inbound = inbound
        self.origin = origin
        self.gate = services.gate  # by whose rules all of it is judged, whatever comes meanwhile
        self.memo = None if inbound.memo is None else inbound.memo.about(inbound.head, self.gate)
        self.held = 0  # bytes of the body that were read to decide
        self.choice: injection.Choice | None = None
        # What there is to tell when it has ended:
        self.began = time.perf_counter()
        self.target: Target | None = None
        self.verdict: Verdict | None = None
        self.credential = ""
        self.exchange: Exchange | None = None
        self.outcome: Refusal | None = None  # the answer that was ours

    def at_once(self) -> Exchange | None:
        """Return the exchange of a request that goes the last one's way; None: all there is has to be done.

        Nothing is left out that its request line, its length or the time have a say in. The host's name needs
        no counting: where the way leads it was counted, under the same rules, and a name is counted once.
        """
        memo, services, inbound = self.memo, self.services, self.inbound
        way = None if memo is None else memo.way
        if memo is None or way is None or inbound.ended or inbound.head.upgrade or not services.controls.idle:
            return None
        found = memo.found or self._found_in_part(memo)
        if isinstance(found, Refusal) or found[2].effect != ALLOW or not way.leads(found[0]):
            return None
        target, _, verdict = found
        if way.credential is not None and services.keys.at_hand(way.credential) is not way.secret:
            return None
        if services.stubs and _place(target) in services.stubs:
            return None
        outgoing = way.outgoing(inbound.head, target)
        if target is not way.target and self._checked(outgoing) is not None:
            return None
        self._record(target, verdict, outgoing.connection)
        return self._exchange(target, verdict, outgoing, way.chosen)

    async def judged(self) -> Refusal | None:
        """Return what the agent is told instead of an upstream's answer, or None where it got that."""
        found = self._found()
        if isinstance(found, Refusal):
            return self.refused(found)
        target, request, verdict = found
        if verdict.effect != DENY:  # counted each time, whatever is remembered of the head
            beyond = self.services.variety.admit(target.host, self.gate.rules)
            if beyond is not None:
                return self.refused(beyond)
        if verdict.effect == ALLOW:
            return await self._allowed(target, verdict)
        if verdict.effect == INSPECT:
            request = await self._inspected(request, verdict)
            verdict = replace(self.gate.decide(request), facts=request.facts)
        if verdict.effect == ASK and self.services.asking.open:
            return await self._asked(target, verdict, request)
        if verdict.effect != ALLOW:
            self._record(target, verdict)
            return denial(verdict, target, request)
        return await self._allowed(target, verdict)

    def _found(self) -> tuple[Target, Request, Verdict] | Refusal:
        """Find out where a request goes and whether it may, as far as its head says."""
        memo, gate, head = self.memo, self.gate, self.inbound.head
        if memo is None:
            target = gate.target(head, self.origin)
            if isinstance(target, Refusal):
                return target
            request = gate.request(head, target)
            return target, request, gate.decide(request)
        return memo.found or self._found_in_part(memo)

    def _found_in_part(self, memo: Memo) -> tuple[Target, Request, Verdict] | Refusal:
        """Find out what is not remembered of a head, and remember it."""
        gate, head = self.gate, self.inbound.head
        target = memo.target or gate.target(head, self.origin, memo.place)
        if isinstance(target, Refusal):
            return target
        if memo.place is None:
            memo.place = gate.named(head, self.origin)
        request = gate.request(head, target, memo.shown)
        verdict = memo.verdict
        if verdict is None:
            verdict = gate.decide(request)
            if target.host not in memo.sized:
                memo.sized = {target.host: gate.rules.sized(target.host)}
            memo.verdict = None if memo.sized[target.host] else verdict
        memo.target, memo.found = target, (target, request, verdict)
        return memo.found

    async def _asked(self, target: Target, verdict: Verdict, request: Request) -> Refusal | None:
        """Hold a request until somebody answers for it."""
        self._record(target, verdict)
        asking = self.services.asking
        if not asking.granted(target.scheme, target.host, target.port):
            if self.inbound.head.expect not in _EXPECTED:
                return self.refused(_unexpected())
            question = await self._question(target, verdict, request)
            answer = await asking.while_there(self.inbound, question)
            if not answer.allowed:
                return denial(replace(verdict, reason=answer.reason), target, request)
        return await self._allowed(target, replace(verdict, effect=ALLOW))

    async def _question(self, target: Target, verdict: Verdict, request: Request) -> Question:
        """Return what a person is asked, once what is shown of the body has arrived."""
        services, head, wanted = self.services, self.inbound.head, suggest.rule(request)
        upgrade = ("a WebSocket",) if head.upgrade else ()
        secrets = services.keys.values
        body = await shown.body(self.inbound, self, services, secrets)
        return Question(
            number=0,
            session="",
            method=head.method,
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            path=target.path.text + target.path.query,
            rule=refusal.rule_name(verdict.rule),
            reason=verdict.reason,
            credentials=tuple(one.name for one in services.gate.credentials_for(target)),
            length=body.length,
            what=tuple(wanted.get("git") or wanted.get("graphql") or upgrade),
            lines=suggest.lines(wanted),
            headers=shown.fields(services.gate.outgoing(head, target).fields, secrets),
            body=body.text,
            beginning=body.beginning,
            digest=body.digest,
        )

    async def _allowed(self, target: Target, verdict: Verdict) -> Refusal | None:
        """Choose the credential for a request that may pass, put the verdict on record, and send it."""
        services, head = self.services, self.inbound.head
        if head.expect not in _EXPECTED:
            self._record(target, verdict)
            return self.refused(_unexpected())
        if services.stubs and await self._stubbed(target, verdict):
            return None
        choice = self.choice = injection.choice(services.gate, target, self._remembered())
        if choice is not None and not injection.at_hand(services.keys, choice):
            await injection.fetch(services.keys, choice)
        self._record(target, verdict, "" if choice is None else choice.name)
        refused = None if choice is None else injection.unbound(choice, head, target)
        if refused is None:
            refused = revoked(self.gate, services.gate, self.inbound, target, verdict)
        if refused is None and not services.controls.idle:
            refused = await services.controls.admit(head, target)
        if refused is not None:
            return self.refused(refused)
        outgoing = self._outgoing(target)
        if choice is not None:
            if injection.in_head(choice):
                refused = injection.put_in_head(services, outgoing, choice)
            else:
                refused = await injection.put_in(services, self.inbound, outgoing, choice)
        return await self._sent(target, verdict, outgoing, refused)

    def _remembered(self) -> Memo | None:
        """Return what is known of the head, unless another policy holds since it was judged."""
        return self.memo if self.services.gate is self.gate else None

    def _outgoing(self, target: Target) -> Outgoing:
        """Return the request as it goes upstream, but for its credential."""
        services, head, choice = self.services, self.inbound.head, self.choice
        secret = choice is not None and choice.chosen is not None
        plain = services.controls.idle and not head.upgrade  # the head alone decides
        memo = self._remembered() if plain else None
        known = None if memo is None else memo.fields
        if known is not None and known[0] is secret and known[1] is services.gate.removals(target):
            return services.gate.outgoing(head, target, [*known[2]])
        outgoing = services.gate.outgoing(head, target)
        services.controls.readable(outgoing, target, secret=secret, upgrade=bool(head.upgrade))
        if memo is not None:
            memo.fields = secret, outgoing.removed, [*outgoing.fields]
        return outgoing

    async def _stubbed(self, target: Target, verdict: Verdict) -> bool:
        """Answer for a token endpoint whose tokens the gate gets itself: they never come inside."""
        stub = self.services.stubs.get(_place(target))
        if stub is None or self.inbound.head.method != "POST":
            return False
        self._record(target, verdict, f"{stub.name} (a token that opens nothing)")
        await stub.answer(self.inbound)
        return True

    async def _inspected(self, request: Request, verdict: Verdict) -> Request:
        """Return a request with the facts of its body on which the verdict hangs; the body stays whole."""
        inbound = self.inbound
        if inbound.head.expect not in _EXPECTED:
            raise MalformedError(_unexpected().message, answer=_unexpected().status)
        inspection = Inspection(request, verdict.needs)
        inbound.proceed()
        while not inspection.enough:
            piece = await inbound.read()
            self.held += len(piece)
            self.services.held += len(piece)
            if self.services.held > limits.HELD_BODIES:
                raise MalformedError("too many bodies are looked into at the moment", answer=503)
            inspection.feed(piece)
        inbound.unread(inspection.taken)
        return replace(request, facts=inspection.facts())

    async def _sent(
        self, target: Target, verdict: Verdict, outgoing: Outgoing, refused: Refusal | None
    ) -> Refusal | None:
        """Send an allowed request on and pass its answer back, where nothing refuses it."""
        choice = self.choice
        refused = refused or self._checked(outgoing)
        if refused is not None:
            return self.refused(refused)
        if self.inbound.ended:
            raise GoneError("the agent left before its request was sent")
        self._keep(target, outgoing)
        chosen = None if choice is None else choice.chosen
        return self.ended(await self._exchange(target, verdict, outgoing, chosen).run())

    def _checked(self, outgoing: Outgoing) -> Refusal | None:
        """Look at the head that is about to be sent."""
        for check in self.services.head_checks:
            refused = check(outgoing)
            if refused is not None:
                return refused
        return None

    def _keep(self, target: Target, outgoing: Outgoing) -> None:
        """Remember how the fields travel on, where nothing but them has a say in it."""
        memo, choice, head = self._remembered(), self.choice, self.inbound.head
        if memo is None or head.upgrade or head.expect or not self.services.controls.idle:
            return
        if choice is None or injection.in_one_field(choice):
            memo.way = Way(target, outgoing, None if choice is None else choice.main)

    def _exchange(
        self, target: Target, verdict: Verdict, outgoing: Outgoing, chosen: Chosen | None
    ) -> Exchange:
        self.exchange = Exchange(
            self.services,
            self.inbound,
            target=target,
            verdict=verdict,
            outgoing=outgoing,
            gate=self.gate,
            chosen=chosen,
        )
        return self.exchange

    def ended(self, outcome: Refusal | None) -> Refusal | None:
        """Take note of how an exchange ended; returns what there is to tell the agent."""
        if not self.services.answered:
            self.services.answered = True
            self.services.served.set()
        return outcome if outcome is None or outcome.kind == refusal.UPSTREAM else self.refused(outcome)

    def _record(self, target: Target, verdict: Verdict, credential: str = "") -> None:
        """Put the verdict on record."""
        self.target, self.verdict, self.credential = target, verdict, credential
        memo, head = self.memo, self.inbound.head
        path = target.path.text + target.path.query
        known = None if memo is None or len(path) > MAX_FIELD else memo.record
        if (
            known is not None
            and (known[0] is verdict and known[1] == credential and known[2] == head.method)
            and same_place(known[3], target)
        ):
            return self.services.record.again(known[4], path, known[5])
        raw = target.host if head.host is None else head.host.decode("latin-1")
        spelled = self.services.record.request(
            verdict,
            credential=credential,
            host=target.host,
            method=head.method,
            path=path,
            port=target.port,
            raw_host="" if raw == target.host else raw,
            scheme=target.scheme,
            source=f"gateway {target.gateway}" if target.gateway else self.origin.kind,
        )
        if memo is not None and spelled:
            memo.record = verdict, credential, head.method, target, *spelled
        return None

    def refused(self, outcome: Refusal) -> Refusal:
        """Put a refusal on record that no verdict tells of, and return it."""
        head, origin = self.inbound.head, self.origin
        self.outcome = outcome
        self.services.record.flood(
            "refused",
            reason=outcome.message,
            status=outcome.status,
            host=outcome.host or origin.host,
            raw_host=(head.host or b"").decode("latin-1"),
            method=head.method,
            target=head.target.decode("latin-1"),
            source=origin.kind,
        )
        return outcome
