"""One allowed request and its answer: sent upstream, streamed both ways, filtered, put on record.

The answer is read while the body is still being sent, so an early answer gets through. Each piece is
passed on as it comes; whoever reads slowly makes the other side wait. When one side goes, the other is
aborted at once: a closed event stream must stop costing tokens.
"""

import asyncio
import time

from ringfence.credential.inject import Outgoing, cookie
from ringfence.credential.secret import Secret
from ringfence.egress import coding, filters, refusal
from ringfence.egress.filters import Filter
from ringfence.egress.gate import Gate, Target, response_fields
from ringfence.egress.http1 import CHUNKED, Fields, MalformedError, ResponseHead
from ringfence.egress.injection import Signer
from ringfence.egress.inspect import Limited
from ringfence.egress.memo import AnswerMemo
from ringfence.egress.message import Inbound, Outbound
from ringfence.egress.passages import revoked
from ringfence.egress.presence import Presence
from ringfence.egress.refusal import Refusal, Refused
from ringfence.egress.scrub import DIALOGUE, Scrubber, scrub_fields, scrub_head
from ringfence.egress.services import Services
from ringfence.egress.stream import GoneError, LateError
from ringfence.egress.tunnel import splice
from ringfence.egress.upstream import AddressError, UnreachableError
from ringfence.errors import PeerError
from ringfence.policy.kinds import COOKIE
from ringfence.policy.model import Credential
from ringfence.verdict.request import Verdict

# Sent again on a new connection when the pooled one turned out to be closed (RFC 9110 §9.2.2).
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_REJECTED = frozenset({401, 403})  # the secret may be old


class Exchange:
    """One allowed request under way."""

    __slots__ = (
        *("_services", "_inbound", "_target", "_verdict", "_outgoing", "_gate", "_chosen", "_repeatable"),
        *(
            "_upward",
            "_down_chain",
            "_outbound",
            "_client_error",
            "_started",
            "notes",
            "status",
            "up",
            "down",
        ),
    )

    def __init__(
        self,
        services: Services,
        inbound: Inbound,
        *,
        target: Target,
        verdict: Verdict,
        outgoing: Outgoing,
        gate: Gate,
        chosen: tuple[Credential, Secret] | None,
    ) -> None:
        """`gate` is the one that allowed it."""
        self._services = services
        self._inbound = inbound
        self._target = target
        self._verdict = verdict
        self._outgoing = outgoing
        self._gate = gate
        self._chosen = chosen
        self._repeatable = outgoing.method in _REPEATABLE and outgoing.framing == 0
        self._upward: list[Filter] = []
        self._down_chain: list[Filter] = []
        self._outbound: Outbound | None = None  # until it is released
        self._client_error: PeerError | None = None  # why the request's body could not be passed on
        self._started = time.perf_counter()
        self.notes: dict[str, object] = {}  # for the record of the answer
        self.status = 0
        self.up = 0
        self.down = 0

    async def run(self) -> Refusal | None:
        """Answer the request; returns what to tell the agent instead where its upstream did not."""
        inbound, services = self._inbound, self._services
        if not inbound.done:
            inbound.arrived()  # what has come and is no body is refused before anything is dialled
        outbound = self._at_hand()
        if outbound is None:
            try:
                outbound = await self._take(fresh=False)
            except UnreachableError as error:
                return self._failed(error.answer, error.message)
            except AddressError as error:
                return Refusal(status=403, kind=refusal.DENIED, message=error.message, host=self._target.host)
        services.busy += 1
        services.passages.requests[inbound] = self._target, self._verdict
        try:
            gone = revoked(self._gate, services.gate, inbound, self._target, self._verdict)
            if gone is not None:
                return gone
            self._prepare()
            outcome = self._begun(outbound)
            if outcome is None:
                outcome = await (self._answer if inbound.done else self._both_ways)(outbound)
            if isinstance(outcome, GoneError) and outbound.reused and self._may_repeat():
                outbound.abort()
                outbound = await self._take(fresh=True)
                outcome = self._begun(outbound) or await self._answer(outbound)
            return None if outcome is None else self._settled(outcome)
        finally:
            services.busy -= 1
            del services.passages.requests[inbound]
            if self._outbound is not None:
                inbound.on_gone = None
                self._outbound.abort()
            self._tell()

    def _at_hand(self) -> Outbound | None:
        """Take a connection that waits for a request, where there is one: nothing has to be waited for."""
        if self._inbound.version == "2" and self._multiplexed:
            return None
        found = self._services.upstreams.at_hand(
            self._target, self._outgoing.connection, repeatable=self._repeatable
        )
        return None if found is None else self._taken(found)

    def _taken(self, outbound: Outbound) -> Outbound:
        self._outbound = outbound
        self._inbound.on_gone = outbound.abort
        return outbound

    @property
    def _multiplexed(self) -> bool:
        """Whether the request goes by HTTP/2 where the upstream speaks it."""
        return self._inbound.version == "2" and not self._inbound.head.upgrade

    async def _take(self, *, fresh: bool) -> Outbound:
        with Presence(self._inbound, lambda: self._inbound.ended):
            outbound = await self._services.upstreams.take(
                self._target,
                self._outgoing.connection,
                repeatable=self._repeatable,
                fresh=fresh,
                multiplexed=self._multiplexed,
            )
        return self._taken(outbound)

    def _prepare(self) -> None:
        """Make the filters for the request's body, and ask for it."""
        services, head = self._services, self._inbound.head
        if services.upward_filters:
            self._upward = services.upward(head, self._target, self._verdict, self.notes)
            if not filters.keep_length(self._upward) and self._outgoing.framing:
                self._outgoing.framing = CHUNKED
        if self._outgoing.chunks is not None:
            self._upward.append(Signer(self._outgoing.chunks, self._target.host))
        if self._verdict.limit is not None:
            self._upward.insert(0, Limited(self._verdict.limit, self._target.host))
        if head.expect:
            self._inbound.proceed()

    def _may_repeat(self) -> bool:
        """Say whether a request can be sent again: nothing of an answer came, and it has no body."""
        return self._repeatable and not self.status and not self._inbound.ended

    def _begun(self, outbound: Outbound) -> PeerError | None:
        """Send the request on one connection, as far as it has arrived; returns what ended it at once."""
        try:
            self._send(outbound)
            if not self._inbound.done:
                self._send_arrived(outbound)
        except GoneError as error:
            return error
        except Refused as error:
            self._client_error = error
            return error
        return None

    async def _both_ways(self, outbound: Outbound) -> PeerError | None:
        """Pass the answer on while the rest of the body is sent; returns what ended it too soon."""
        async with asyncio.TaskGroup() as group:
            upload = group.create_task(self._upload(outbound))
            outcome = await self._answer(outbound)
            upload.cancel()
        return outcome

    def _settled(self, outcome: PeerError) -> Refusal:
        """Turn what went wrong into what to tell the agent, if anything can still be told."""
        if self._inbound.answered:
            raise outcome
        error = self._client_error
        if error is not None:
            if isinstance(error, MalformedError):
                return refusal.malformed(error.message, error.answer)
            if isinstance(error, LateError):
                return refusal.malformed("the request's body took too long", 408)
            outcome = error
            if not isinstance(error, Refused):
                raise error
        if isinstance(outcome, Refused):
            return outcome.refusal
        if isinstance(outcome, LateError):
            return self._failed(504, f"{self._target.host} took too long to answer")
        return self._failed(502, f"{self._target.host}: {outcome}")

    def _failed(self, status: int, message: str) -> Refusal:
        return Refusal(status=status, kind=refusal.UPSTREAM, message=message, host=self._target.host)

    # --- up

    def _send(self, outbound: Outbound) -> None:
        """Send the head; with no body that is all."""
        inbound, outgoing = self._inbound, self._outgoing
        head = inbound.head
        outbound.send(
            outgoing.method,
            outgoing.path + outgoing.query,
            outgoing.fields,
            outgoing.framing,
            upgrade=head.upgrade if head.upgrade == b"websocket" else b"",
            trailers=head.trailers,
            written=outgoing.written,
        )
        if inbound.done:
            self._end(outbound)

    def _send_arrived(self, outbound: Outbound) -> None:
        """Send as much of the body as has arrived."""
        inbound = self._inbound
        while not inbound.done and inbound.arrived():
            outbound.write(self._filtered(inbound.take()))
        if inbound.done:
            self._end(outbound)

    def _filtered(self, piece: bytes) -> bytes:
        """Return what of a piece of the request's body is passed on."""
        if self._upward:
            piece = filters.feed(self._upward, piece)
        self.up += len(piece)
        return piece

    def _end(self, outbound: Outbound) -> None:
        """End the request's body."""
        if self._upward:
            last = filters.finish(self._upward)
            self.up += len(last)
            outbound.write(last)
        inbound = self._inbound
        passed = bool(inbound.trailers) and inbound.head.trailers
        outbound.finish(self._sent_trailers(inbound.trailers) if passed else ())

    def _sent_trailers(self, found: Fields) -> Fields:
        """Return what of a request's trailers is passed on."""
        services = self._services
        passed = services.gate.trailers(found, self._target)
        refused = services.controls.trailing(passed, self._target)
        if refused is not None:
            raise Refused(refused)
        return passed

    async def _upload(self, outbound: Outbound) -> None:
        """Pass the rest of the body on. A client that fails takes the upstream's request with it."""
        inbound = self._inbound
        try:
            await outbound.drain()
            while not inbound.done:
                try:
                    piece = self._filtered(await inbound.read())
                except PeerError as error:
                    self._client_error = error
                    raise
                outbound.write(piece)
                await outbound.drain()
            self._end(outbound)
        except Refused as error:
            self._client_error = error
            outbound.abort()
        except PeerError:
            outbound.abort()

    # --- down

    async def _answer(self, outbound: Outbound) -> PeerError | None:
        """Pass the answer on; errors come back as values so that a body being sent can be ended first."""
        try:
            head = await outbound.head()
            self.status = head.status
            if head.status in _REJECTED:
                self._note_rejected(head.status)
            if head.status == 101:
                await self._switch(outbound, head)
            else:
                await self._pass_on(outbound, head)
        except PeerError as error:
            return error
        return None

    async def _pass_on(self, outbound: Outbound, head: ResponseHead) -> None:
        inbound = self._inbound
        head, fields, written = self._returned(head, outbound.memo)
        chain = self._down_chain = self._downward(head)
        if chain and (not written or self._services.downward_filters):
            passed = fields
            head, fields = self._opened(head, fields, chain)
            written = written if fields is passed else b""
        inbound.answer(head, fields, written)
        while not outbound.done:
            if outbound.arrived():
                piece = outbound.take()
            else:
                await inbound.drain()
                piece = await outbound.read()
            if chain:
                piece = (filters.last if outbound.done else filters.feed)(chain, piece)
            self.down += len(piece)
            inbound.write(piece)
        inbound.finish(self._trailers(outbound) if outbound.trailers else ())
        outbound.release()
        self._outbound = None
        inbound.on_gone = None
        if inbound.congested:
            await inbound.drain()

    def _returned(self, head: ResponseHead, memo: AnswerMemo | None) -> tuple[ResponseHead, Fields, bytes]:
        """Return the head as the agent sees it, and its fields; also as lines, where that is known."""
        chosen = self._chosen
        if chosen is not None and chosen[0].kind == COOKIE:
            memo = None
        values = () if chosen is None else self._services.keys.values
        known = None if memo is None else memo.returned(head, values)
        if known is not None:
            return head, *known
        seen, fields = head, response_fields(head)
        if chosen is not None:
            if chosen[0].kind == COOKIE:
                fields = cookie.returned(fields, chosen[0])
            seen, fields = scrub_head(head, fields, values)
        if memo is not None and seen is head:
            memo.keep(head, values, fields)
        return seen, fields, b""

    def _trailers(self, outbound: Outbound) -> Fields:
        found = self._services.gate.trailers(outbound.trailers, self._target)
        return found if self._chosen is None else scrub_fields(found, self._services.keys.values)

    def _downward(self, head: ResponseHead) -> list[Filter]:
        """Return the filters for the answer's body: secrets go first, so that no other filter sees one."""
        services = self._services
        chain: list[Filter] = []
        if self._chosen is not None:
            keys = services.keys
            chain.append(Scrubber(keys.values, DIALOGUE if head.status == 101 else 1, keys.finder))
        if services.downward_filters:
            chain += services.downward(self._inbound.head, self._target, self._verdict, self.notes, head)
        return chain

    def _opened(self, head: ResponseHead, fields: Fields, chain: list[Filter]) -> tuple[ResponseHead, Fields]:
        """Undo the content coding where a filter has to read the body, and frame it anew."""
        for one in chain:
            if one.needs_plain:
                head, fields, decoded = coding.opened(head, fields)
                if decoded is not None:
                    chain.insert(0, decoded)
                break
        return (head if filters.keep_length(chain) else filters.unframed(head)), fields

    def _note_rejected(self, status: int) -> None:
        if self._chosen is not None:
            self._services.keys.rejected(self._chosen[0], status)

    async def _switch(self, outbound: Outbound, head: ResponseHead) -> None:
        """Become a tunnel after a real 101 (WebSocket, RFC 6455 §4)."""
        head, fields, _ = self._returned(head, None)
        self._inbound.on_gone = None
        client, upstream = self._inbound.tunnel(head, fields), outbound.tunnel()
        chain = self._down_chain = self._downward(head)
        self.up, self.down = await splice(client, upstream, self._upward, chain, self._cut)
        upstream.close()
        self._outbound = None

    def _cut(self, outcome: Refusal) -> None:
        """Take note of what ended a dialogue."""
        self.notes["refused"] = outcome.message

    def _tell(self) -> None:
        for one in self._upward:
            one.close()
        for one in self._down_chain:
            one.close()
        self._services.record.response(
            host=self._target.host,
            status=self.status,
            up=self.up,
            down=self.down,
            seconds=time.perf_counter() - self._started,
            notes=self.notes,
        )
