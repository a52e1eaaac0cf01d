"""One tier a file: from a plan to what starts it."""

from ringfence.boundary.model import Plan
from ringfence.boundary.tiers.invocation import Invocation
from ringfence.host.model import Runtime


def render(
    plan: Plan,
    arch: str,
    *,
    bwrap: str,
    abi: int,
    runtime: Runtime,
    terminals: tuple[int, ...],
    waits: bool = False,
) -> Invocation:
    """Turn a plan into what the child does.

    `terminals`: the command's streams that are some; `waits`: the command comes later.
    """
    if plan.tier == "gvisor":
        from ringfence.boundary.tiers import gvisor

        return gvisor.render(
            plan, arch=arch, bwrap=bwrap, runsc=runtime.path, terminals=terminals, waits=waits
        )
    if plan.tier == "microvm":
        from ringfence.boundary.tiers import microvm

        return microvm.render(plan, arch=arch, bwrap=bwrap, runtime=runtime, terminal=bool(terminals))
    from ringfence.boundary.tiers import sandbox

    return sandbox.render(plan, arch=arch, bwrap=bwrap, abi=abi, waits=waits)
