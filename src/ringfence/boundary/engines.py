"""Container engines on the launcher's side: with each, a container is made and compared in the same way."""

import os

from ringfence.boundary.tiers import container, podman
from ringfence.boundary.tiers.container import Box
from ringfence.errors import BoundaryError
from ringfence.host.engine import Docker, Image
from ringfence.host.model import Runtime
from ringfence.host.podman import Podman

Engine = Docker | Podman
FILTER = "filter.json"  # in a session's folder: the system-call filter, for an engine that reads a file


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


def create(engine: Engine, name: str, box: Box, image: Image, folder: str) -> None:
    """Make the container; refuse one that is not what was asked for."""
    labels = {**dict(image.labels), **box.configuration["Labels"]}
    asked = {**box.configuration, "Env": list(image.variables), "Labels": labels}
    if isinstance(engine, Docker):
        engine.create(name, {**asked, "Image": image.id})
        unlike = container.differences(asked, image.id, engine.inspect(name))
        source = "daemon.json"
    else:
        engine.create(name, podman.words(asked, box.podman, image.id, f"{folder}/{FILTER}"))
        unlike = podman.differences(asked, box.podman, image.id, engine.inspect(name))
        source = "containers.conf"
    if unlike:
        raise BoundaryError(
            f"the engine made another container than the plan's: {'; '.join(unlike)}",
            hint=f"the engine's own configuration ({source}) may add to every container",
        )


def empty(engine: Engine, folders: tuple[str, ...], links: tuple[tuple[str, str], ...]) -> Image:
    """Return the image of empty folders, which is made where it is not there yet."""
    from ringfence.canonical import sha256

    archive = _archive(folders, links)
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
    return found


def named(engine: Engine, name: str, pinned: str) -> Image:
    """Return the image that a policy names; refuse one that is not the plan's any more."""
    found = engine.find(name)
    if found is None or found.id != pinned:
        now = f"{found.id[:19]} now" if found else "gone"
        raise BoundaryError(
            f"the image {name} is {now}, and the plan was made for {pinned[:19]}",
            hint="start again; to have the same one each time, name it by its digest",
        )
    return found


def _archive(folders: tuple[str, ...], links: tuple[tuple[str, str], ...]) -> bytes:
    """Return a tar archive. `tarfile` would cost the launcher 8 ms, each time the digest is needed."""
    names = sorted({*folders, "proc", "sys", "dev", "etc", "run"})
    entries = [_entry(f"{name}/", b"5", 0o755) for name in names]
    entries += [_entry(name, b"2", 0o777, to) for name, to in links]
    return b"".join(entries) + bytes(1024)


def _entry(name: str, kind: bytes, mode: int, to: str = "") -> bytes:
    """Return one header of the POSIX format (ustar): of a folder or a link of root's, from 1970."""
    fields = (
        os.fsencode(name).ljust(100, b"\0"),
        b"%07o\0" % mode, b"%07o\0" % 0, b"%07o\0" % 0, b"%011o\0" % 0, b"%011o\0" % 0,
        b" " * 8, kind, os.fsencode(to).ljust(100, b"\0"), b"ustar\0" + b"00",
    )  # fmt: skip
    header = bytearray(b"".join(fields).ljust(512, b"\0"))
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
