"""Which guarantees a session holds, and for one it does not: why, and what would mend it.

GUARANTEES.md lists them all. Most hold in every session of the sandbox tier; here are the ones that
depend on the machine or the policy.
"""

from ringfence.boundary.model import Guarantee, LimitPlan, Wire, WorkspacePlan
from ringfence.policy.model import Policy
from ringfence.verdict.execution import denied

# What a policy can give up by naming it under `accept`, and the guarantee that it costs
ACCEPTABLE = {
    "no-landlock": "P9",  # a kernel without Landlock
    "debuggers": "P3",  # ptrace and process_vm_* among the session's own processes: strace, gdb
    "no-program-rules": "P11",  # a kernel that does not let the launcher decide on programs as they start
    "namespaces": "P3",  # user namespaces inside: a browser's own sandbox
}

_OWN_KERNELS = ("gvisor", "microvm")


def assess(
    policy: Policy,
    workspace: WorkspacePlan,
    limits: tuple[LimitPlan, ...],
    wire: Wire,
    *,
    landlock: int,
    programs: str,
    tier: str = "sandbox",
) -> tuple[Guarantee, ...]:
    """Return the guarantees that depend on this session's policy and machine."""
    return (
        _wire(wire),
        _unseen(policy),
        _credentials_hidden(workspace),
        _set_aside(workspace),
        _filter(policy),
        _landlock(landlock, tier),
        _limits(limits),
        *_programs(policy, programs),
    )


def _wire(wire: Wire) -> Guarantee:
    text = "every TCP connection ends at the gate, with or without proxy variables"
    if wire.kind == "private":
        return Guarantee(id="N2", text=text, held=True)
    return Guarantee(
        id="N2",
        text=text,
        held=False,
        why=f"{wire.why}; programs that ignore proxy variables get no network at all. "
        "`ringfence doctor` says how to mend it",
    )


def _unseen(policy: Policy) -> Guarantee:
    text = "method and path rules hold for every request"
    if not policy.egress.splice:
        return Guarantee(id="N8", text=text, held=True)
    hosts = ", ".join(policy.egress.splice)
    return Guarantee(
        id="N8",
        text=text,
        held=False,
        why=f"`splice` passes TLS to {hosts} through unseen: methods, paths and the Host header "
        "are not judged there",
    )


def _credentials_hidden(workspace: WorkspacePlan) -> Guarantee:
    text = "credential files are hidden wherever they are visible"
    if workspace.mode not in {"direct", "overlay"} or workspace.copy == "copy":
        return Guarantee(id="F3", text=text, held=True)
    return Guarantee(
        id="F3",
        text=text,
        held=True,
        why=f"in {workspace.mode} mode this covers files that exist at the start; "
        "one that you create during the session is visible",
    )


def _set_aside(workspace: WorkspacePlan) -> Guarantee:
    text = "files that the host would run or obey cannot be written"
    if workspace.mode != "direct":
        return Guarantee(id="F6", text=text, held=True)
    return Guarantee(
        id="F6",
        text=text,
        held=True,
        why="in direct mode one that did not exist at the start can be created, and is moved away "
        "when the session ends; until then tools of yours in this folder would see it",
    )


def _filter(policy: Policy) -> Guarantee:
    text = "system calls that lead out of a boundary are refused"
    loosened = [name for name in policy.accept if ACCEPTABLE.get(name) == "P3"]
    if not loosened:
        return Guarantee(id="P3", text=text, held=True)
    return Guarantee(
        id="P3", text=text, held=False, why=f"`accept` opens the filter for {', '.join(loosened)}"
    )


def _landlock(abi: int, tier: str) -> Guarantee:
    text = "Landlock holds the file rules a second time"
    if tier in _OWN_KERNELS:
        why = f"the {tier} tier sets no Landlock rules: its file server alone holds what is read-only"
        return Guarantee(id="P9", text=text, held=False, why=why)
    if abi:
        return Guarantee(id="P9", text=text, held=True, why=f"ABI {abi}")
    return Guarantee(id="P9", text=text, held=False, why="this kernel has no Landlock")


def _limits(limits: tuple[LimitPlan, ...]) -> Guarantee:
    text = "limits hold for the session as a whole"
    weak = [one.name for one in limits if one.held != "enforced"]
    if not weak:
        return Guarantee(id="L1", text=text, held=True)
    return Guarantee(
        id="L1", text=text, held=False, why=f"held per process or by sampling only: {', '.join(weak)}"
    )


def _programs(policy: Policy, refused: str) -> tuple[Guarantee, ...]:
    """Tell of deny rules for programs, where there are any; `refused` is why they cannot be held."""
    if not denied(policy):
        return ()
    text = "a program that a deny rule names does not start, whoever starts it"
    if refused:
        return (Guarantee(id="P11", text=text, held=False, why=refused),)
    if "debuggers" not in policy.accept:
        return (Guarantee(id="P11", text=text, held=True),)
    why = (
        '`accept = ["debuggers"]`: a program that another one inside traces is judged before it starts only, '
        "and a second thread could change its arguments meanwhile"
    )
    return (Guarantee(id="P11", text=text, held=False, why=why),)
