"""One HTTP/1.1 connection from the boundary: request after request, each judged on its own.

One request is in flight at a time; what a client pipelines waits. After anything malformed the
connection is closed, because where the next request would start is unknown.
"""

from ringfence.egress import http1, limits, refusal, second
from ringfence.egress.exchange import Exchange
from ringfence.egress.gate import PROXY, Origin, Target, denial
from ringfence.egress.http1 import MalformedError, RequestHead
from ringfence.egress.refusal import Refusal
from ringfence.egress.services import Services
from ringfence.egress.stream import GoneError, LateError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError
from ringfence.policy.model import ALLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Connector = Callable[[RequestHead, bytes], Awaitable[None]]  # takes over a connection at CONNECT


# Refusals after which the connection is still in step.
_HARMLESS = frozenset({refusal.DENIED, refusal.CREDENTIAL, refusal.UPSTREAM})


class Conversation:
    """Serves the requests of one connection."""

    def __init__(
        self, services: Services, client: AnyStream, origin: Origin, connector: "Connector | None" = None
    ) -> None:
        """`connector` is what CONNECT leads to; without it CONNECT is refused."""
        self._services = services
        self._client = client
        self._origin = origin
        self._connector = connector
        self._rest = b""  # read and not used yet
        self._begun = False  # the present request's body has been touched

    async def run(self) -> None:
        """Serve until the client or a fault ends it."""
        while True:
            try:
                head = await self._next_head()
            except MalformedError as error:
                return await self._refuse_whole(refusal.malformed(error.message, error.answer))
            except LateError:
                return self._late()
            if head is None:
                return self._client.close()
            if head.method == "CONNECT" and self._connector is not None:
                return await self._connector(head, self._rest)
            if not await self._serve(head):
                return await linger(self._client)

    async def _next_head(self) -> RequestHead | None:
        """Read the next request's head; None at the end of the connection."""
        data, seen = self._rest, 0
        self._client.expect(limits.HEAD_TIME if data else limits.IDLE_TIME)
        while not (end := http1.head_end(data, seen)):
            seen = len(data)
            more = await self._client.read()
            if not more:
                if data:
                    raise GoneError("the connection ended in the middle of a head")
                return None
            if not data:
                self._client.expect(limits.HEAD_TIME)
            data += more
        self._rest = data[end:]
        head = http1.parse_request(data[:end])
        second.agree(data[:end], head)
        return head

    async def _serve(self, head: RequestHead) -> bool:
        """Answer one request; returns whether the connection can take another."""
        self._begun = False
        try:
            outcome = await self._judged(head)
        except MalformedError as error:
            outcome = refusal.malformed(error.message, error.answer)
        if isinstance(outcome, bool):
            return outcome
        if outcome.kind not in {refusal.DENIED, refusal.UPSTREAM}:
            self._services.record.flood("refused", **self._told(head, outcome))
        return await self._refuse(head, outcome)

    async def _judged(self, head: RequestHead) -> Refusal | bool:
        gate, record = self._services.gate, self._services.record
        target = gate.target(head, self._origin)
        if isinstance(target, Refusal):
            if target.kind == refusal.DENIED:
                record.flood("refused", **self._told(head, target))
            return target
        verdict = gate.decide(target, head.method)
        raw = _text(head.host or b"")
        record.verdict(
            verdict,
            host=target.host,
            **({} if raw == target.host else {"raw_host": raw}),
            port=target.port,
            scheme=target.scheme,
            method=head.method,
            path=target.path.text + target.path.query,
            source=f"gateway {target.gateway}" if target.gateway else self._origin.kind,
        )
        if verdict.effect != ALLOW:
            return denial(verdict, target, head.method)
        if head.expect not in {b"", b"100-continue"}:
            return refusal.malformed("the only expectation served is 100-continue", 417)
        return await self._exchanged(head, target)

    async def _exchanged(self, head: RequestHead, target: Target) -> Refusal | bool:
        """Pick the credential and send an allowed request on."""
        bound = self._services.gate.credentials_for(target)
        chosen = await self._services.keys.choose(bound) if bound else None
        if bound and chosen is None:
            unbound = self._services.gate.unbound(head, target)
            if unbound is not None:
                return unbound
        if self._client.ended:
            raise GoneError("the client left before its request was sent")
        exchange = Exchange(self._services, self._client, head, target, chosen=chosen, rest=self._rest)
        self._begun = True
        self._rest = b""
        outcome = await exchange.run()
        self._rest = exchange.rest
        self._services.served.set()
        if isinstance(outcome, Refusal) and outcome.kind == refusal.DENIED:
            self._services.record.flood("refused", **self._told(head, outcome))
        return outcome

    def _told(self, head: RequestHead, outcome: Refusal) -> dict[str, object]:
        """Return what the record says about a refusal."""
        return {
            "reason": outcome.message,
            "status": outcome.status,
            "host": outcome.host or self._origin.host,
            "raw_host": _text(head.host or b""),
            "method": head.method,
            "target": _text(head.target),
            "source": self._origin.kind,
        }

    # --- refusing

    async def _refuse(self, head: RequestHead, outcome: Refusal) -> bool:
        """Tell the client; go on only where its request's body is known to be over."""
        again = not head.close and outcome.kind in _HARMLESS and self._skipped(head)
        self._client.write(refusal.render(outcome, close=not again, body=head.method != "HEAD"))
        await self._client.drain()
        return again

    def _skipped(self, head: RequestHead) -> bool:
        """Skip a refused request's body where all of it has arrived; otherwise nobody knows where it ends."""
        if head.framing == 0:
            return True
        if self._begun or head.framing < 0 or head.framing > len(self._rest):
            return False
        self._rest = self._rest[head.framing :]
        return True

    async def _refuse_whole(self, outcome: Refusal) -> None:
        """Tell about something that could not be read, and close."""
        self._services.record.flood(
            "refused",
            reason=outcome.message,
            status=outcome.status,
            host=self._origin.host,
            source=self._origin.kind,
        )
        self._client.write(refusal.render(outcome, close=True))
        await linger(self._client)

    def _late(self) -> None:
        """End a connection that took too long: with 408 where a head had begun, else silently."""
        if self._rest or self._origin.kind == PROXY:
            self._client.write(
                refusal.render(refusal.malformed("the request took too long", 408), close=True)
            )
        self._client.close()


async def linger(client: AnyStream) -> None:
    """Close so that the last answer arrives: end our direction, then read what is still coming for a while.

    Closing with unread bytes makes the kernel send a reset, which can overtake the answer (RFC 9112 §9.6).
    """
    try:
        await client.drain()
        client.write_eof()
        client.expect(limits.REFUSE_TIME)
        read = 0
        while read < limits.DRAIN and (more := await client.read()):
            read += len(more)
    except PeerError:
        pass
    client.close()


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
