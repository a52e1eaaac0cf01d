"""Container engines on the launcher's side: whichever it is, the container is made and compared the same way."""

import os

from ringfence.boundary import ustar
from ringfence.boundary.tiers import container, podman
from ringfence.boundary.tiers.container import Box
from ringfence.errors import BoundaryError
from ringfence.host.engine import Docker
from ringfence.host.model import Runtime
from ringfence.host.podman import Podman

Engine = Docker | Podman
FILTER = "filter.json"  # in a session's folder: the system-call filter, for an engine that reads a file


def of(runtime: Runtime) -> Engine:
    """Return the engine that a runtime stands for."""
    if runtime.tools["engine"] == Podman.kind:
        return Podman(runtime.path, runtime.tools["runtime"])
    return Docker(runtime.path, runtime.tools["socket"])


def known(runtime: Runtime) -> container.Engine:
    """Return what a box has to know of it."""
    tools = runtime.tools
    if tools["engine"] != Podman.kind:
        return container.Engine(runtime=tools["runtime"])
    return container.Engine(
        limits=tools["limits"] == "engine",
        keeps_id=bool(os.geteuid()),
        init=tools["init"],
        ulimits=_ulimits(),
    )


def _ulimits() -> tuple[tuple[str, int], ...]:
    """Return the limits that Podman could not raise for a container, as it stands itself.

    Its own are beyond what a container or a login session may have; and of processes it first lowers its own
    to as many as the kernel counts.
    """
    import resource

    with open("/proc/sys/kernel/pid_max") as file:
        most = {"nofile": 1 << 20, "nproc": int(file.read())}
    hard = {"nofile": resource.getrlimit(7)[1], "nproc": resource.getrlimit(6)[1]}
    return tuple((name, min(most[name], value) if value >= 0 else most[name]) for name, value in hard.items())


def noted(note: str) -> Engine:
    """Return the engine that a session's folder names."""
    kind, _, place = note.partition(" ")
    return Podman(place) if kind == Podman.kind else Docker("", place)


def create(engine: Engine, name: str, box: Box, image: str, folder: str) -> None:
    """Make the container; refuse one that is not what was asked for."""
    asked = box.configuration
    if isinstance(engine, Docker):
        engine.create(name, {**asked, "Image": image})
        unlike = container.differences(asked, image, engine.inspect(name))
        source = "daemon.json"
    else:
        engine.create(name, podman.words(asked, box.podman, image, f"{folder}/{FILTER}"))
        unlike = podman.differences(asked, box.podman, image, engine.inspect(name))
        source = "containers.conf"
    if unlike:
        raise BoundaryError(
            f"the engine made another container than the plan's: {'; '.join(unlike)}",
            hint=f"the engine's own configuration ({source}) may add to every container",
        )


def empty(engine: Engine, folders: tuple[str, ...], links: tuple[tuple[str, str], ...]) -> str:
    """Return the digest of the image of empty folders, which is made where it is not there yet."""
    from ringfence.canonical import sha256

    archive = ustar.archive(tuple(sorted({*folders, "proc", "sys", "dev", "etc", "run"})), links)
    digest = sha256(archive)
    name = f"{'localhost/' if engine.kind == Podman.kind else ''}ringfence:{digest[:16]}"
    found = engine.find(name)
    if found is None:
        engine.load(name, archive)
        found = engine.find(name)
    if found is None or found.layers != (f"sha256:{digest}",) or found.volumes:
        raise BoundaryError(
            f"the image {name} is not the one that ringfence made",
            hint=f"remove it: {engine.kind} rmi {name}",
        )
    return found.id
