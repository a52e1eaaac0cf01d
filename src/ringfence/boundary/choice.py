"""Which tier a session gets: the first of the policy's list that this machine holds, none below its last."""

from ringfence.errors import HostError
from ringfence.host.model import Host, Runtime
from ringfence.policy.model import Container, Policy
from ringfence.value import Struct

SANDBOX, CONTAINER, GVISOR, MICROVM = "sandbox", "container", "gvisor", "microvm"
ANY = Container()
OTHERS = (CONTAINER, GVISOR, MICROVM)  # that need more of a machine than its kernel


class Choice(Struct):
    """The tier, and what was passed over for it."""

    tier: str
    runtime: Runtime = Runtime()
    passed: tuple[tuple[str, str], ...] = ()  # (tier, why it cannot be had here)


SANDBOX_TIER = Choice(tier=SANDBOX)


def runtime_of(tier: str, host: Host, workspace: str, wanted: Container = ANY) -> Runtime:
    """Return what a tier needs of this machine; of the sandbox tier the launcher finds out by building it."""
    if tier == CONTAINER:
        from ringfence.host import runtimes

        return runtimes.container(host, workspace, wanted.engine, wanted.image, wanted.runtime)
    if tier == GVISOR:
        from ringfence.host import runtimes

        return runtimes.gvisor(host, workspace)
    if tier == MICROVM:
        from ringfence.host import runtimes

        return runtimes.microvm(host, workspace)
    return Runtime()


def held_here(host: Host, workspace: str) -> tuple[tuple[str, Runtime], ...]:
    """Return every tier with what it finds here: those that can be had, and those that cannot, with why."""
    return tuple((tier, runtime_of(tier, host, workspace)) for tier in (SANDBOX, *OTHERS))


def choose(policy: Policy, host: Host, workspace: str) -> Choice:
    """Return the first tier that this machine holds. Raises HostError where there is none."""
    passed: list[tuple[str, str]] = []
    mend = ""
    for tier in policy.tier:
        found = runtime_of(tier, host, workspace, policy.container)
        if not found.refused:
            return Choice(tier=tier, runtime=found, passed=tuple(passed))
        passed.append((tier, found.refused))
        mend = mend or found.mend
    what = "; ".join(f"{tier}: {why}" for tier, why in passed)
    raise HostError(f"no tier that the policy names can be had here ({what})", hint=mend)
