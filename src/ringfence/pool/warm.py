"""A session that stands before its command is known: built, compared at the claim, run, or thrown away."""

import _socket
import gc
import os
import select
import struct
import time

from ringfence.boundary import folder, launch, records, waiting
from ringfence.boundary.choice import GVISOR, MICROVM
from ringfence.boundary.covers import bound
from ringfence.boundary.launch import Child
from ringfence.boundary.model import Plan
from ringfence.boundary.project import Place
from ringfence.boundary.supervise import Line, Outcome
from ringfence.boundary.survey import Survey, survey
from ringfence.boundary.terminal import Terminal
from ringfence.boundary.tiers.sandbox import execute
from ringfence.canonical import encode
from ringfence.credential import authority
from ringfence.errors import BoundaryError, HostError, RingfenceError
from ringfence.host import indexes, probe
from ringfence.host.model import Host
from ringfence.policy import load
from ringfence.pool.ask import Claim
from ringfence.preparation import Prepared, Request, decide
from ringfence.session import Session
from ringfence.value import replace
from ringfence.workspace import overlay, unclaimed
from ringfence.workspace.layers import COPY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STANDS = 60.0  # seconds until a boundary must wait for its command
_NOSIGNAL = 0x4000


class StaleError(RingfenceError):
    """The boundary is not what a start would build now."""


class UnfitError(RingfenceError):
    """The boundary is as it should be, and not for this claim."""


class Warm(Session):
    """One boundary of a pool."""

    waits = True

    def __init__(self, request: Request, host: Host, prepared: Prepared) -> None:
        self._made = time.monotonic()
        self._claimed = False
        self._line: Line | None = None
        self._tell: Callable[[str], None] = lambda _text: None
        self._streams: tuple[int, ...] = ()
        self._place: Place | None = None
        if prepared.choice.tier == MICROVM:
            raise HostError(
                "no virtual machine waits in a pool yet",
                hint='use `tier = ["gvisor"]`, "container" or "sandbox" for the pool, or start without it',
            )
        super().__init__(request, host, prepared)
        self._bound = bound(self._plan)

    @property
    def id(self) -> str:
        """The session's."""
        return self._folder.id

    @property
    def plan(self) -> Plan:
        """What it was built from, or is run by."""
        return self._plan

    @property
    def child(self) -> Child:
        """What ends when the boundary does."""
        return self._prepared.child

    # --- building ------------------------------------------------------------------------------

    def _record(self) -> None:
        """Record nothing yet: it is no session before somebody claims it."""
        unclaimed.mark(self._folder.path)

    def _take_copy(self) -> Place:
        self._place = super()._take_copy()
        if self._copy is not None and self._copy.layers.kind == COPY:
            raise HostError(
                f"the project is copied whole here ({self._prepared.refused}), and a copy made before its "
                "session begins would be old",
                hint="use another workspace mode for the pool, or start without it",
            )
        return self._place

    def stand(self) -> None:
        """Build the boundary, and return when it waits for its command."""
        try:
            child = self._prepared.child
            self._make_group(child.pid)
            self._start(child, Terminal())
            self._await()
        except BaseException:
            self.drop()
            raise

    def _await(self) -> None:
        child = self._prepared.child
        poll, end = select.poll(), os.pidfd_open(child.pid)
        for fd in (child.ready, end):
            poll.register(fd, select.POLLIN)
        found = dict(poll.poll(STANDS * 1000))
        os.close(end)
        if child.ready not in found or os.read(child.ready, 64) != waiting.WAITS:
            raise BoundaryError(
                "the boundary was not completed"
                if found
                else f"the boundary did not stand within {STANDS:g} s",
                hint="`ringfence doctor` says what this machine offers",
            )

    def rehearse(self) -> None:
        """Decide once for the pool's own command: what that touches is in this process's memory then."""
        found = self.check(self._own_claim())
        waiting.image(execute(found[1]), found[1])
        encode(found[1])

    def drop(self) -> None:
        """Throw away a boundary that nobody claimed: no session was."""
        launch.kill(self._prepared.child.pid)
        self._prepared.child.finish()
        if self._copy is not None:
            overlay.abandon(self._copy)
        self._give_back()
        folder.forget(self._folder)

    # --- the claim -----------------------------------------------------------------------------

    def check(self, claim: Claim, *, terminal: bool = False) -> tuple[Request, Plan, Survey]:
        """Decide for a claim as a cold start would now. Raises StaleError or UnfitError.

        `terminal`: one of its streams is one.
        """
        if terminal and self._plan.tier == GVISOR:
            raise UnfitError("gVisor takes a terminal in only when its boundary is built")
        inside = f"{claim.cwd}/"
        if not inside.startswith(self._request.workspace + "/") or "/../" in inside:
            raise UnfitError(f"{claim.cwd} is not in the pool's project {self._request.workspace}")
        self._check_policy(claim)
        found = self._decided(claim)
        why = self._unlike(found[1])
        if not why:
            return found
        own = self._own_claim()
        if claim.argv != own.argv and not self._unlike(self._decided(own)[1]):
            raise UnfitError(
                f"{claim.argv[0]} needs what the pool's boundaries do not show",
                hint="start a pool for it: ringfence pool serve -- COMMAND",
            )
        raise StaleError(why)

    def _own_claim(self) -> Claim:
        request = self._request
        return Claim(argv=request.argv, workspace=request.workspace, cwd=request.cwd)

    def _decided(self, claim: Claim) -> tuple[Request, Plan, Survey]:
        request = replace(
            self._request, argv=claim.argv, cwd=claim.cwd, discard=claim.discard, review=claim.review
        )
        answers = survey(self._plan.policy, self._host, request.workspace, claim.argv)
        variables, kept = self._variables(claim)
        fresh = decide(
            request,
            replace(self._host, variables=variables),
            replace(self._prepared, survey=answers),
            authority=self._authority.folder if self._authority else "",
            homes=self._homes,
            place=self._place or Place(),
            real=True,
            kept=kept,
            laid=self._plan.canaries,
        )
        return request, fresh, answers

    def _check_policy(self, claim: Claim) -> None:
        request = self._request
        own = self._digest(request.argv, request)
        if own != self._plan.policy.digest:
            raise StaleError("the policy has changed since the boundary was built")
        if claim.overrides is not None:
            request = replace(request, overrides=claim.overrides)
        same = os.path.basename(claim.argv[0]) == os.path.basename(self._request.argv[0])
        if (same and request is self._request) or self._digest(claim.argv, request) == own:
            return
        if claim.overrides is not None and claim.overrides != self._request.overrides:
            raise UnfitError(
                "the pool keeps boundaries of another policy", hint="give the pool the same options"
            )
        name = os.path.basename(claim.argv[0])
        raise UnfitError(
            f"the pool keeps boundaries for `{os.path.basename(self._request.argv[0])}`, and `{name}` gets "
            "another policy",
            hint=f"start a pool for it: ringfence pool serve --name {name} -- {name}; or name the presets "
            "with --use",
        )

    def _digest(self, argv: tuple[str, ...], request: Request) -> str:
        return load.effective(
            self._host,
            request.workspace,
            command=os.path.basename(argv[0]),
            overrides=request.overrides,
            indexes=indexes.reader(self._host),
        ).digest

    def _variables(self, claim: Claim) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """Split a claim's variables into harmless ones and those that the policy lets in."""
        harmless = probe.harmless(claim.variables)
        names = {name for name, _value in harmless}
        rest = tuple(pair for pair in claim.variables if pair[0] not in names)
        patterns = self._plan.policy.environment.keep
        refused = [name for name, _value in rest if not _kept(name, patterns)]
        if refused:
            raise UnfitError(
                f"the policy lets no variable {', '.join(sorted(refused))} in",
                hint='name it in the policy: [environment] keep = ["NAME"]',
            )
        return harmless, tuple(sorted(rest))

    def _unlike(self, fresh: Plan) -> str:
        """Say in what a plan is not what the boundary was built from, less what a claim brings."""
        built = replace(self._plan, argv=fresh.argv, cwd=fresh.cwd, environment=fresh.environment)
        path = dict(self._plan.environment).get("PATH")
        if built == fresh and path == dict(fresh.environment).get("PATH"):
            now = bound(fresh)
            replaced = next((one for one, found in now.items() if found != self._bound.get(one)), "")
            return f"{replaced} was replaced since the boundary was built" if replaced else ""
        if built.workspace != fresh.workspace:
            return "what is to be hidden or protected in the project has changed since the boundary was built"
        return "what the boundary would show has changed since it was built"

    def run_claimed(
        self,
        found: tuple[Request, Plan, Survey],
        streams: tuple[int, ...],
        line: Line,
        tell: "Callable[[str], None]",
    ) -> int:
        """Be the session of a claim that was checked; return its status."""
        self._request, self._plan, answers = found
        self._prepared = replace(self._prepared, survey=answers)
        self._line, self._tell, self._streams = line, tell, streams
        self._started, self._claimed = time.monotonic(), True
        unclaimed.claim(self._folder.path)
        if self._copy is not None:
            self._copy = unclaimed.begin_again(self._copy)
        try:
            super()._record()
        except BaseException:
            self.drop()
            raise
        return self.run() or (self.review() if self._request.review else 0)

    def _began(self) -> dict[str, object]:
        return {"pool": True, "waited": round(self._started - self._made, 3)}

    def _watch(self) -> "Outcome":
        child = self._prepared.child
        try:
            give(child.ready, waiting.image(execute(self._plan), self._plan), self._streams)
        except OSError as error:
            raise BoundaryError(f"the boundary that waited is gone: {error.strerror}") from None
        finally:
            for fd in self._streams:
                os.close(fd)
            self._streams = ()
        gc.enable()
        records.keep(self._folder, self._plan)  # the log says it all already; nobody waits for this now
        return self._supervise(Terminal(), self._line)

    def _give_back(self) -> None:
        if self._claimed and self._authority is not None:  # seen inside: no other session gets it
            authority.discard(self._authority)
            self._authority = None
        super()._give_back()

    def _say(self, text: str) -> None:
        if not self._request.quiet:
            self._tell(text)


def give(ready: int, image: bytes, streams: tuple[int, ...]) -> None:
    """Send a waiting entry program its command and its standard streams."""
    line = _socket.socket(1, 5, 0, fileno=ready)
    try:
        line.sendmsg([image], [(1, 1, struct.pack(f"={len(streams)}i", *streams))], _NOSIGNAL)
    finally:
        line.detach()


def _kept(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == one or (one.endswith("*") and name.startswith(one[:-1])) for one in patterns)
