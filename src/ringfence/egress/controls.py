"""What an allowed request still has to pass: budgets, the watch on values, the model's cost.

A rule says where requests may go; these say how much may go there, and what never may. Everything here is
made from the policy once, and where the policy asks for none of it, nothing is in the way of a request.
"""

import asyncio

from ringfence.credential.inject import Outgoing
from ringfence.credential.sources.file import stamp
from ringfence.egress import coding, masked, usage
from ringfence.egress.background import Background
from ringfence.egress.budget import DOWN, UP, Budgets
from ringfence.egress.filters import Filter
from ringfence.egress.gate import Target
from ringfence.egress.http1 import Fields, RequestHead, ResponseHead
from ringfence.egress.record import Record
from ringfence.egress.refusal import Refusal
from ringfence.egress.services import Services
from ringfence.egress.spend import Ledger, Spend
from ringfence.egress.usage import UsageReader
from ringfence.egress.watch import Hit, Sent, Watch
from ringfence.handover import Handover
from ringfence.subject import canonical_host
from ringfence.verdict.request import Verdict
from ringfence.workspace import detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.egress.filters import Notes, Upward


_LOOK_EVERY = 2.0  # seconds between two looks at what was found in files
_EXTENSIONS = b"sec-websocket-extensions"


class Controls:
    """The controls of one session."""

    def __init__(self, handover: Handover, record: Record, end: "Callable[[], None]") -> None:
        """`end` ends the session: a canary has shown up."""
        self._handover = handover
        self._record = record
        self._end = end
        self.budgets = Budgets(handover.budgets)
        ledger = Ledger(handover.ledger_dir or f"{handover.state_dir}/model")
        self.spend = Spend(handover.model, ledger, lambda text: record.event("note", text=text))
        self.watch: Watch | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._idle = not (self.budgets or self.spend)
        watches = handover.watch.masked != "off"
        self._found = (
            handover.content if watches else ""
        )  # what looking into files finds, more and more of it
        loop = asyncio.get_running_loop()
        if handover.canaries or ((handover.masked or self._found) and watches):
            self._preparing = loop.create_task(self._prepare())
        self._looking = loop.create_task(self._look_again()) if self._found else None

    def install(self, services: Services) -> None:
        """Put the filters in that the policy asks for."""
        services.variety.limit(self._handover.watch)
        if self._preparing is not None or self._found:
            services.upward_filters.append(self._watched)
        if self.budgets:
            services.upward_filters.append(self._metered_up)
            services.downward_filters.append(self._metered_down)
        if self.spend:
            services.upward_filters.append(self._at_once(services))
            services.downward_filters.append(self._counted)

    @property
    def idle(self) -> bool:
        """Whether the policy asks for none of this: nothing is in the way of a request."""
        return self._idle and self._preparing is None and not self.watch

    async def admit(self, head: RequestHead, target: Target) -> Refusal | None:
        """Look at a request that a rule allows, before a credential is put in; count it where it passes."""
        if self._preparing is not None:
            await asyncio.shield(self._preparing)
        if self.watch:
            found = self.watch.head(
                Sent(host=target.host, path=target.path.text, query=target.path.query, fields=head.fields)
            )
            if found is not None:
                return found
        if self.spend:
            refused = self._priced(head, target)
            if refused is not None:
                return refused
        return self.budgets.admit(target.host, _size(head, target)) if self.budgets else None

    def trailing(self, fields: Fields, target: Target) -> Refusal | None:
        """Look at a request's trailers, as at its head."""
        if not self.watch:
            return None
        return self.watch.head(Sent(host=target.host, path=target.path.text, query="", fields=fields))

    def readable(self, outgoing: Outgoing, target: Target, *, secret: bool, upgrade: bool) -> None:
        """Ask only for answers that can be looked into, where one will be: it could echo a secret."""
        if secret or (self.spend and usage.is_model(outgoing.method, target.path)):
            outgoing.fields = coding.acceptable(outgoing.fields)
        if upgrade and (secret or self.watch):  # compressed frames could not be looked into
            outgoing.fields = [one for one in outgoing.fields if one[0].lower() != _EXTENSIONS]

    def _priced(self, head: RequestHead, target: Target) -> Refusal | None:
        path = target.path
        if usage.is_batch(head.method, path):
            return self.spend.unseen(target.host, "batches and work in the background")
        if head.upgrade and usage.is_socket(path):
            return self.spend.unseen(target.host, "conversations with a model by WebSocket")
        return self.spend.stop(target.host) if usage.is_model(head.method, path) else None

    # --- the watch

    async def _prepare(self) -> None:
        """Read the masked files, away from the event loop."""
        handover = self._handover
        self.watch = await asyncio.to_thread(
            lambda: Watch(
                handover.watch,
                handover.canaries,
                self._values(),
                alarm=self._alarm,
                bound=frozenset(
                    canonical_host(one.host) for one in handover.credentials if one.host[:2] != "*."
                ),
            )
        )
        self._preparing = None

    def _values(self) -> "Iterator[tuple[str, bytes]]":
        handover = self._handover
        yield from masked.values(handover.masked)
        if self._found:
            yield from detect.values(self._found, handover.workspace, handover.unmask)

    async def _look_again(self) -> None:
        """Watch for the values of files in which a key is found while the session runs."""
        known = stamp(self._found)
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = stamp(self._found)
            if now != known:
                known = now
                await self._prepare()

    def _alarm(self, hit: Hit, outcome: str) -> None:
        self._record.event("alarm", found=hit.name, outcome=outcome)
        if outcome == "ended":
            asyncio.get_running_loop().call_soon(self._end)

    # --- filters

    def _watched(
        self, head: RequestHead, target: Target, _verdict: Verdict, _notes: "Notes"
    ) -> Filter | None:
        if not self.watch:
            return None
        if head.upgrade == b"websocket":
            return self.watch.frames(target.host)
        if head.framing == 0:
            return None
        coded = b", ".join(content for name, content in head.fields if name.lower() == b"content-encoding")
        return self.watch.body(target.host, coded)

    def _at_once(self, services: Services) -> "Upward":
        """Refuse what a model is to do later."""

        def make(head: RequestHead, target: Target, _verdict: Verdict, _notes: "Notes") -> Filter | None:
            member = usage.later(head.method, target.path)
            if not member or head.framing == 0:
                return None
            refused = self.spend.unseen(target.host, f"requests with `{member}`")
            return Background(member, refused, services)

        return make

    def _metered_up(
        self, _head: RequestHead, target: Target, _verdict: Verdict, _notes: "Notes"
    ) -> Filter | None:
        return self.budgets.meter(UP, target.host)

    def _metered_down(
        self, _head: RequestHead, target: Target, _verdict: Verdict, _notes: "Notes", _answer: ResponseHead
    ) -> Filter | None:
        return self.budgets.meter(DOWN, target.host)

    def _counted(
        self, head: RequestHead, target: Target, _verdict: Verdict, notes: "Notes", answer: ResponseHead
    ) -> Filter | None:
        if not 200 <= answer.status < 300 or not usage.is_model(head.method, target.path):
            return None
        sent = max(head.framing, 0)

        def done(reader: UsageReader) -> None:
            notes.update(self.spend.add(reader.settle(sent)))

        kind = next((content for name, content in answer.fields if name.lower() == b"content-type"), b"")
        return UsageReader(kind, done)


def _size(head: RequestHead, target: Target) -> int:
    """Return how many bytes of the agent's go out in a request's head: a query carries as well as a body."""
    fields = sum(len(name) + len(content) for name, content in head.fields)
    return len(target.path.text) + len(target.path.query) + fields
