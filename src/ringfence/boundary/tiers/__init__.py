"""One tier a file: from a plan to what starts it."""

from ringfence.boundary.model import Plan
from ringfence.boundary.tiers.invocation import Invocation
from ringfence.host.model import Runtime


def render(
    plan: Plan, arch: str, *, bwrap: str, abi: int, runtime: Runtime, terminal: bool, waits: bool = False
) -> Invocation:
    """Turn a plan into what the child does. `terminal`: the command gets one; `waits`: it comes later."""
    if plan.tier == "gvisor":
        from ringfence.boundary.tiers import gvisor

        return gvisor.render(plan, arch=arch, bwrap=bwrap, runsc=runtime.path, terminal=terminal, waits=waits)
    if plan.tier == "microvm":
        from ringfence.boundary.tiers import microvm

        return microvm.render(plan, arch=arch, bwrap=bwrap, runtime=runtime, terminal=terminal)
    from ringfence.boundary.tiers import sandbox

    return sandbox.render(plan, arch=arch, bwrap=bwrap, abi=abi, waits=waits)
