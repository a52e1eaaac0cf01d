"""One boundary's life: from a request to an exit status, everything it needs made, used and removed.

What `preparation` decided is carried out: the session's folder, its authority and first records, then
bubblewrap; the session is watched to its end, and all that was made for it is taken away.
"""

import os
import sys
import time

from ringfence.boundary import launch, limits
from ringfence.boundary.launch import Child, Refused
from ringfence.boundary.model import Plan
from ringfence.boundary.plan import usable_credentials
from ringfence.boundary.project import Place
from ringfence.boundary.survey import cache_file, names_of
from ringfence.errors import BoundaryError, HostError, RingfenceError
from ringfence.host.model import Host
from ringfence.preparation import Prepared, Request, decide, owner, prepare, speaks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.boundary.detector import Looking
    from ringfence.boundary.folder import Folder
    from ringfence.boundary.programs import Guarding
    from ringfence.boundary.supervise import Glance, Line, Outcome, Supervisor
    from ringfence.boundary.terminal import Terminal
    from ringfence.credential.authority import Authority
    from ringfence.workspace.aside import Moved
    from ringfence.workspace.overlay import Held


def run(request: Request, host: Host) -> int:
    """Run a command inside a boundary; return the status for the shell."""
    _tidy_up(request, host)
    launch.forbid_cores()  # before the child is forked; one that only looks at a plan keeps its own limit
    prepared = prepare(request, host)
    try:
        session = Session(request, host, prepared)
    except BaseException:
        prepared.child.abandon()
        raise
    return session.run() or (session.review() if request.review else 0)


def _tidy_up(request: Request, host: Host) -> None:
    """Do what launchers that were killed could not; before the survey, since it moves files away."""
    from ringfence.boundary import folder

    for killed, moved in folder.sweep(host):
        if not request.quiet:
            sys.stderr.write(f"ringfence: session {killed} was killed before it could tidy up\n")
            sys.stderr.write(moved.text + "\n")


class Session:
    """What one running session holds, to be given back in order."""

    waits = False  # for its command: see `ringfence.pool`

    def __init__(self, request: Request, host: Host, prepared: Prepared) -> None:
        from ringfence.boundary import folder

        self._request, self._host, self._prepared = request, host, prepared
        self._started = time.monotonic()
        self._control = -1
        self._vend: int | None = None
        self._group: limits.Group | None = None
        self._reason = ""  # why it did not end by itself
        self._authority: Authority | None = None
        self._supervisor: Supervisor | None = None
        self._copy: Held | None = None
        self._looking: Looking | None = None
        self._guarding: Guarding | None = None
        self._folder: Folder = folder.create(host)
        try:
            self._plan = self._decide()
            self._glance = self._looked_at()
            self._record()
        except BaseException:
            if self._copy is not None:
                from ringfence.workspace import overlay

                overlay.abandon(self._copy)
            self._give_back()
            folder.forget(self._folder)
            raise

    def _decide(self) -> Plan:
        from ringfence.boundary import folder

        policy = self._prepared.policy
        homes = ""
        if policy.files.state:
            agent = owner(self._request.workspace, self._host)
            homes = folder.home_for(self._host, self._request.workspace, policy.files.state, agent)
        self._homes = homes
        where = ""
        if speaks(self._prepared.policy):
            self._authority = self._claim()
            where = self._authority.folder
        place = self._take_copy()
        return decide(
            self._request, self._host, self._prepared, authority=where, homes=homes, place=place, real=True
        )

    def _take_copy(self) -> Place:
        """Take a copy of the project into use, in overlay mode; say where it is."""
        request, host, policy = self._request, self._host, self._prepared.policy
        if policy.workspace.mode != "overlay" and not request.session:
            return Place()
        from ringfence.boundary import copies

        copies.check_asked(policy, request.session, review=request.review)
        survey, refused = self._prepared.survey, self._prepared.refused
        agent = owner(request.workspace, host)
        if request.session:
            self._copy = copies.continued(host, request.session, request.workspace, refused)
        else:
            self._copy = copies.take(self._folder, policy, survey, agent, refused)
        copies.add_repository(self._copy, survey, agent)
        return copies.place_of(host, self._copy, refused, survey, agent)

    def _claim(self) -> "Authority":
        from ringfence.credential import authority

        ready = f"{self._host.state_dir}/authority/ready"
        found = authority.claim(ready, self._folder.path)
        if found is None:
            launch.mint_authority(ready)
            found = authority.claim(ready, self._folder.path)
        if found is None:
            raise BoundaryError(
                f"no certificate authority could be taken from {ready}", hint="run `ringfence doctor`"
            )
        return found

    def _record(self) -> None:
        try:
            self._open_log()
        except OSError as error:
            raise HostError(
                f"the session's log {self._folder.log} cannot be written: {error.strerror}",
                hint="free some space, or name another state folder with RINGFENCE_STATE_DIR",
            ) from None

    def _open_log(self) -> None:
        from ringfence.boundary import records

        made = self._plan
        records.begin(self._folder, made, self._host, **self._began())
        if not self.waits:
            records.keep(self._folder, made)
        if made.workspace.mode == "direct":
            from ringfence.workspace import aside

            aside.remember(
                self._folder.protected,
                made.workspace.root,
                self._prepared.survey.identities,
                names_of(made.policy),
            )

    def _began(self) -> dict[str, object]:
        """Return what else is to be recorded of the start."""
        return {}

    # --- the run -------------------------------------------------------------------------------

    def run(self) -> int:
        """Start, watch, end."""
        outcome: Outcome | None = None
        for note in self._plan.policy.notes:
            self._say(f"ringfence: {note}")
        try:
            outcome = self._watch()
        finally:
            self._end(outcome)
        return self._verdict(outcome)

    def review(self) -> int:
        """Apply what the policy lets through without a person."""
        from ringfence import deeds

        return deeds.review(self._host, self._copy, self._plan.policy, self._say)

    def _watch(self) -> "Outcome":
        import ringfence.boundary.supervise  # noqa: F401 - no moment between start and watch is lost to that
        from ringfence.boundary.terminal import Terminal

        child = self._prepared.child
        self._make_group(child.pid)
        terminal = Terminal()
        try:
            if not self._host.uid:
                terminal.belong_to(owner(self._request.workspace, self._host))
            self._start(child, terminal)
        except BaseException:
            terminal.restore()
            raise
        return self._supervise(terminal)

    def _supervise(self, terminal: "Terminal", line: "Line | None" = None) -> "Outcome":
        from ringfence.boundary.supervise import Supervisor, Watch

        made, child = self._plan, self._prepared.child
        watch = Watch(
            pid=child.pid,
            inside=child.inside,
            tier=made.tier,
            ready=child.ready,
            listeners=(*child.listeners, *(() if child.dns is None else (child.dns,))),
            terminal=terminal,
            wall_time=made.policy.limits.wall_time,
            memory=None if self._group else limits.watched(made.policy.limits, made.limits),
            group=self._group,
            early=bool(made.publish) or (made.policy.egress.start == "early" and speaks(made.policy)),
            glance=self._glance,
            on_stood=self._note_boundary,
            on_programs=self._guard,
            later=self._look,
            line=line,
        )
        self._supervisor = Supervisor(watch, self._start_gate)
        return self._supervisor.run()

    def _look(self) -> None:
        from ringfence.boundary.detector import Looking

        self._looking = Looking(self._plan, self._host)

    def _looked_at(self) -> "Glance | None":
        """Return what is looked at all the time, as it is before any mount is made."""
        if self._copy is None:
            from ringfence.boundary.covers import Covers

            return Covers(self._plan)
        from ringfence.boundary import copies

        return copies.quota_of(self._copy, self._plan.policy)

    def _guard(self, listener: int) -> None:
        from ringfence.boundary.programs import Guarding

        self._guarding = Guarding(self._plan, self._folder.path)
        self._guarding.start(listener)

    def _note_boundary(self, pids: tuple[int, ...]) -> None:
        if self._copy is not None:
            from ringfence.workspace import overlay

            overlay.note_boundary(self._copy, pids)

    def _start(self, child: Child, terminal: "Terminal") -> None:
        from ringfence.boundary import starting

        self._vend, refused = starting.start(
            child,
            self._plan,
            self._host,
            self._folder,
            terminal,
            abi=self._prepared.survey.landlock,
            runtime=self._prepared.choice.runtime,
            waits=self.waits,
        )
        if refused is not None:
            raise self._failure(refused)

    def _failure(self, refused: Refused) -> RingfenceError:
        hint = "`ringfence doctor` says what this machine offers"
        if self._copy is not None and refused.what == self._plan.workspace.root:
            from ringfence.boundary import attempts

            attempts.take_back(refused.what, self._host)
            hint = "start again: it is tried anew then, and the project copied where it is refused"
        where = f" at {refused.what}" if refused.what else ""
        return BoundaryError(
            f"the boundary could not be built ({refused.step}{where}): {refused.text}", hint=hint
        )

    def _make_group(self, pid: int) -> None:
        wanted = self._plan.policy.limits
        cgroup = self._prepared.survey.cgroup
        if not cgroup or not limits.needs_group(wanted) or self._plan.tier == "container":
            return
        self._group = limits.make_group(self._folder.id, wanted, cgroup)
        self._group.add(pid)

    # --- the gate ------------------------------------------------------------------------------

    def _start_gate(self, inside: int | None) -> int:
        from ringfence.boundary import gatehouse

        listeners = self._prepared.child.listeners if inside is None else (inside,)
        kind = "proxy" if inside is not None else self._prepared.child.kind
        pid, self._control = gatehouse.start(
            self._plan,
            self._host,
            self._folder,
            authority=self._authority.folder if self._authority else "",
            listeners=listeners,
            kind=kind,
            dns=self._prepared.child.dns,
            credentials=usable_credentials(self._plan.policy, self._host, self._plan.workspace.root),
            vend=self._vend,
        )
        self._prepared.child.release()
        for fd in (inside, self._vend):
            if fd is not None:
                os.close(fd)
        return pid

    # --- the end -------------------------------------------------------------------------------

    def _end(self, outcome: "Outcome | None") -> None:
        """Stop what runs, set aside what must not stay, close the log, remove what was ours."""
        if self._supervisor is not None and self._supervisor.gate:
            from ringfence.boundary.supervise import stop_gate

            stop_gate(self._supervisor.gate, self._control)
        for line in self._looking.end() if self._looking else ():
            self._say(line)
        if outcome is None:
            launch.kill(self._prepared.child.pid)
        self._prepared.child.finish()
        self._reason = self._why(outcome)
        try:
            self._close_log(outcome)
        finally:
            self._give_back()

    def _why(self, outcome: "Outcome | None") -> str:
        if outcome is None:
            return "the boundary was not completed"
        if self._group is not None and self._group.out_of_memory():  # asked while the group still exists
            return "the kernel ended it for using more memory than the policy allows"
        return outcome.reason

    def _close_log(self, outcome: "Outcome | None") -> None:
        from ringfence.audit import heads
        from ringfence.audit.log import Writer
        from ringfence.boundary import reserve

        reserve.make_room(self._host.state_dir)
        if self._guarding is not None:
            self._guarding.end()
        changed = self._end_copy()
        set_aside = self._set_aside()  # done and told also where the log cannot be written
        for moved in set_aside:
            self._say(moved.text)
        with Writer.resume(self._folder.log) as log:
            for moved in set_aside:
                log.append("set-aside", path=moved.path, to=moved.to, problem=moved.problem)
            refused = self._guarding.record(log) if self._guarding is not None else ""
            log.append(
                "end",
                status=outcome.status if outcome else 125,
                reason=self._reason,
                policy_digest=self._plan.policy.digest,
                seconds=round(time.monotonic() - self._started, 3),
                **changed,
            )
            heads.append(self._host.state_dir, self._folder.id, log.seq - 1, log.head)
        if refused:
            self._say(refused)

    def _end_copy(self) -> dict[str, int]:
        """Leave the copy for review; tell what is in it."""
        if self._copy is None:
            return {}
        from ringfence.boundary import copies
        from ringfence.workspace import overlay

        used = overlay.end(self._copy, discard=self._request.discard)
        text = copies.changed_text(self._plan.workspace, used)
        if text:
            self._say(text)
        return {"changed": used.entries if used is not None else 0}

    def _set_aside(self) -> "tuple[Moved, ...]":
        if self._plan.workspace.mode != "direct" or not self._prepared.survey.writable:
            return ()
        from ringfence.workspace import aside

        return aside.set_aside(
            self._plan.workspace.root,
            self._prepared.survey.identities,
            names_of(self._plan.policy),
            f"{self._folder.path}/set-aside",
            cache_file(self._plan.workspace.root, self._host),
        )

    def _give_back(self) -> None:
        from ringfence.boundary import folder
        from ringfence.credential import authority

        if self._authority is not None:
            if self._supervisor is None or not self._supervisor.gate:
                authority.give_back(self._authority, f"{self._host.state_dir}/authority/ready")
            else:
                authority.discard(self._authority)
            self._authority = None
        if self._group is not None:
            self._group.remove()
            self._group = None
        folder.finish(self._folder)

    def _verdict(self, outcome: "Outcome") -> int:
        if not outcome.stood and not outcome.reason:
            raise self._not_completed(outcome.status)
        if self._reason:
            self._say(f"ringfence: session ended: {self._reason}")
        if self._supervisor is not None and self._supervisor.gate_died and not self._reason:
            self._say(f"ringfence: the gate ended before the session; see `ringfence log {self._folder.id}`")
        if self._supervisor is not None and self._supervisor.gate:
            from ringfence.boundary import telling

            for text in (telling.complaints(self._folder), telling.refusals(self._folder)):
                if text:
                    self._say(text)
        return outcome.status

    def _not_completed(self, status: int) -> BoundaryError:
        where = self._plan.wire
        if where.kind == "loopback":
            return BoundaryError(f"{where.why}; bubblewrap was refused as well, see above", hint=where.hint)
        return BoundaryError(
            f"the boundary was not completed: bubblewrap ended with status {status}",
            hint="its own message stands above; `ringfence doctor` says what this machine offers",
        )

    def _say(self, text: str) -> None:
        if not self._request.quiet:
            sys.stderr.write(text + "\n")
