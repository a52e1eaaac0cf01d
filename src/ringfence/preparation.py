"""From a request to a plan: the child begun, the policy read, this machine surveyed, everything decided.

The child builds its namespaces while the policy is read, so that neither waits for the other.
"""

import os

from ringfence.boundary import attempts, canaries, launch, wire
from ringfence.boundary.choice import CONTAINER, MICROVM, Choice, choose
from ringfence.boundary.launch import Child, Refused
from ringfence.boundary.model import Plan, Wire
from ringfence.boundary.plan import NOBODY, check_workspace, plan
from ringfence.boundary.project import NOWHERE, Place
from ringfence.boundary.survey import Survey, survey
from ringfence.errors import BoundaryError, HostError
from ringfence.handover import Canary, Publication
from ringfence.host import indexes
from ringfence.host.model import Host
from ringfence.policy import load
from ringfence.policy.model import Policy
from ringfence.policy.overrides import Overrides
from ringfence.value import Struct


class Request(Struct):
    """What somebody asked to run, and how."""

    argv: tuple[str, ...]
    workspace: str
    cwd: str
    overrides: Overrides = Overrides()
    publish: tuple[Publication, ...] = ()
    quiet: bool = False
    review: bool = False  # apply at the end what the policy lets through without a person
    discard: bool = False  # nothing of what changed in a copy is left
    session: str = ""  # one whose copy of the project is worked on again


class Prepared(Struct):
    """Everything decided, nothing started but the child that waits."""

    policy: Policy
    survey: Survey
    wire: Wire
    child: Child
    refused: str = ""  # why no overlay can be mounted here, in overlay mode
    choice: Choice = Choice(tier="sandbox")


def workspace_of(folder: str, home: str) -> str:
    """Return the project that `folder` belongs to: the nearest folder with `.git` below home, else itself."""
    here = folder
    while here not in {"/", home} and not home.startswith(here + "/"):
        if os.path.lexists(f"{here}/.git"):
            return here
        here = os.path.dirname(here)
    return folder


def prepare(request: Request, host: Host) -> Prepared:
    """Begin the child, and read policy and machine while it works. On error no child is left behind."""
    if host.system != "linux":
        raise HostError(f"the sandbox tier runs on Linux, not on {host.system}", hint="see docs/macos.md")
    check_workspace(request.workspace, host)
    child = launch.begin(owner=owner(request.workspace, host), networked=True)
    try:
        policy = load.effective(
            host,
            request.workspace,
            command=os.path.basename(request.argv[0]),
            overrides=request.overrides,
            indexes=indexes.reader(host),
        )
        choice = choose(policy, host, request.workspace)
        answers = survey(policy, host, request.workspace, request.argv)
        if choice.runtime.identities:
            child.abandon()
            child = _with_identities(request, host, choice)
    except BaseException:
        child.abandon()
        raise
    refused = child.built()
    if refused is None:
        why = attempts.refusal(child, request.workspace, host) if policy.workspace.mode == "overlay" else ""
        child = _for_tier(child, choice, request, host)
        return Prepared(
            policy=policy, survey=answers, wire=_private(), child=child, refused=why, choice=choice
        )
    if choice.tier != "sandbox":
        from ringfence.host import features

        what, hint = features.explain(refused.step, refused.errno)
        raise HostError(f"the {choice.tier} tier needs the private wire: {what}", hint=hint)
    fallback = launch.begin(owner=owner(request.workspace, host), networked=False)
    fallback.built()
    wire = _loopback(refused, host)
    why = wire.why if policy.workspace.mode == "overlay" else ""
    return Prepared(policy=policy, survey=answers, wire=wire, child=fallback, refused=why)


def _for_tier(child: Child, choice: Choice, request: Request, host: Host) -> Child:
    """Return what the session is started by; a container needs no child that becomes a boundary."""
    if choice.tier != CONTAINER:
        return child
    from ringfence.boundary.container import Contained

    return Contained(child, choice.runtime, owner(request.workspace, host))


def _with_identities(request: Request, host: Host, choice: Choice) -> Child:
    return launch.begin(
        owner=owner(request.workspace, host),
        networked=True,
        identities=choice.runtime.identities,
        tap=choice.tier == MICROVM,
    )


def decide(
    request: Request,
    host: Host,
    prepared: Prepared,
    *,
    authority: str = "",
    homes: str = "",
    place: Place = NOWHERE,
    real: bool = False,
    kept: tuple[tuple[str, str], ...] | None = None,
    laid: tuple[Canary, ...] | None = None,
) -> Plan:
    """Return the plan: `real` for a session that starts, else one to look at.

    `kept`: variables that the policy lets in, where they are not this process's own; `laid`: the canaries
    of a boundary that stands already.
    """
    kept = _kept(prepared.policy, host) if kept is None else kept
    if place == NOWHERE:
        place = Place(
            session="SESSION",
            folder=f"{host.state_dir}/sessions/SESSION",
            refused=prepared.refused,
            keep=f"{host.state_dir}/keep/WORKSPACE",
        )
    return plan(
        prepared.policy,
        host,
        prepared.survey,
        request.argv,
        cwd=request.cwd,
        wire=prepared.wire,
        authority=authority,
        homes=homes or f"{host.state_dir}/homes/WORKSPACE",
        publish=request.publish,
        kept=kept,
        place=place,
        canaries=canaries.lay(prepared.policy.watch, shown=not real) if laid is None else laid,
        choice=prepared.choice,
    )


def speaks(policy: Policy) -> bool:
    """Tell whether a policy lets anything out: only then a certificate authority is needed."""
    return bool(policy.egress.allow or policy.egress.ask or policy.gateways)


def owner(workspace: str, host: Host) -> int:
    """Return who root's agent becomes: the workspace's owner, or nobody where that is root itself."""
    if host.uid:
        return host.uid
    try:
        return os.stat(workspace).st_uid or NOBODY
    except OSError as error:
        raise BoundaryError(f"the workspace {workspace} cannot be used: {error.strerror}") from None


def _private() -> Wire:
    return Wire(kind="private", gate_address=wire.GATE4, proxy_port=wire.PROXY_PORT)


def _loopback(refused: Refused, host: Host) -> Wire:
    """Return the fallback, or raise when this machine cannot even hold that."""
    from ringfence.host import features

    what, hint = features.explain(refused.step, refused.errno)
    if not host.system_bwrap and not host.bwrap:
        raise HostError(what, hint=hint)
    return Wire(kind="loopback", gate_address="127.0.0.1", proxy_port=wire.PROXY_PORT, why=what, hint=hint)


def _kept(policy: Policy, host: Host) -> tuple[tuple[str, str], ...]:
    patterns = policy.environment.keep
    if not patterns:
        return ()
    from ringfence.host import probe

    exact = {name for name in patterns if not name.endswith("*")}
    prefixes = tuple(name[:-1] for name in patterns if name.endswith("*"))
    names = [name for name in host.set_variables if name in exact or (prefixes and name.startswith(prefixes))]
    return tuple(sorted(probe.settings(names).items()))
