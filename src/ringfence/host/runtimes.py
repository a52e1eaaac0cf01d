"""Runtimes of other tiers on this machine: which there are, and what keeps them from being used.

A runtime is looked for on the operator's PATH and in the system's folders, never in the workspace. What a
program says of itself is asked once for each file, and kept in the cache.
"""

import os
import stat

from ringfence import cache
from ringfence.errors import BoundaryError
from ringfence.host.model import Host, Runtime
from ringfence.value import replace

_FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin")


def find(program: str, host: Host, workspace: str) -> str:
    """Return the path of a program, or nothing. One in the workspace does not count."""
    for folder in (*host.path, *_FOLDERS):
        found = f"{folder}/{program}"
        if not folder.startswith("/") or cache.inside(found, workspace):
            continue
        try:
            mode = os.stat(found).st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and os.access(found, os.X_OK):
            return os.path.realpath(found)
    return ""


def said(path: str, option: str, host: Host, workspace: str) -> str:
    """Return what `path option` prints, its first 4 KB; kept for as long as the file is the same."""
    folder = cache.usable(host.cache_dir, workspace)
    name = cache.key(b"said", os.fsencode(path), option.encode(), cache.stamp(path))
    kept = cache.load(folder, name)
    if isinstance(kept, str):
        return kept
    reader, writer = os.pipe2(os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1)]
    pid = os.posix_spawn(path, [path, option], {"PATH": "/usr/bin:/bin"}, file_actions=actions)
    os.close(writer)
    with open(reader, "rb") as stream:
        text = stream.read(4096).decode("utf-8", "replace")
    if os.waitpid(pid, 0)[1] == 0:
        cache.store(folder, name, text)
    return text


def gvisor(host: Host, workspace: str) -> Runtime:
    """Return the runsc of this machine."""
    path = find("runsc", host, workspace)
    if not path:
        mend = "install gVisor's runsc and have it on PATH: https://gvisor.dev/docs/user_guide/install"
        return Runtime(refused="runsc was not found", mend=mend)
    version = said(path, "--version", host, workspace).split("\n")[0].rpartition(" ")[2]
    if _date(version) < _OLDEST_RUNSC:
        mend = "install a release of March 2024 or later"
        return Runtime(path=path, version=version, refused=f"runsc {version} is too old", mend=mend)
    if not host.uid:
        return Runtime(path=path, version=version)
    identities = subordinate(host)
    if not identities:
        return Runtime(
            path=path,
            version=version,
            refused=f"{host.user} has no subordinate uids, which runsc needs to be run by an ordinary user",
            mend=_subordinates_mend(host),
        )
    return Runtime(path=path, version=version, identities=identities)


def container(host: Host, workspace: str, engine: str = "", image: str = "", runtime: str = "") -> Runtime:
    """Return the container engine of this machine; `engine`, `image` and `runtime` as a policy wants them."""
    if runtime not in _RUNTIMES:
        return Runtime(
            refused=f"what the runtime {runtime} makes cannot be entered and furnished",
            mend=f"name one of {', '.join(filter(None, _RUNTIMES))}, or none; for runsc use the gvisor tier",
        )
    from ringfence.host import probe

    named = engine or ("docker" if probe.settings(("DOCKER_HOST",)) else "")
    found = [
        of(host, workspace, runtime)
        for kind, of in (("docker", _docker), ("podman", _podman))
        if named in {"", kind}
    ]
    chosen = next((one for one in found if not one.refused), None)
    if chosen is None:
        there = [one for one in found if one.path] or found
        return replace(there[0], refused="; ".join(one.refused for one in there))
    return _with_image(chosen, image) if image else chosen


_RUNTIMES = ("", "runc", "crun", "youki")  # that make namespaces of this kernel


def _docker(host: Host, workspace: str, runtime: str) -> Runtime:
    path = find("docker", host, workspace)
    if not path:
        return Runtime(
            refused="Docker was not found", mend="apt-get install podman uidmap, or docker.io as root"
        )
    if host.uid:
        return Runtime(
            path=path,
            refused="only root may enter what Docker's daemon makes",
            mend="install Podman, which makes containers of your own: apt-get install podman uidmap",
        )
    from ringfence.host import engine, probe

    address = probe.settings(("DOCKER_HOST",)).get("DOCKER_HOST", "")
    socket = engine.socket_of(address)
    if not socket:
        return Runtime(
            path=path,
            refused=f"DOCKER_HOST={address} is not a Unix socket of this machine",
            mend="unset DOCKER_HOST, or name one: DOCKER_HOST=unix:///var/run/docker.sock",
        )
    refused = engine.running(socket)
    if refused:
        return Runtime(path=path, refused=refused, mend="start it: systemctl start docker")
    tools = {"engine": "docker", "socket": socket, "runtime": runtime}
    return Runtime(path=path, version="docker", tools=tools)


def _podman(host: Host, workspace: str, runtime: str) -> Runtime:
    path = find("podman", host, workspace)
    if not path:
        return Runtime(refused="Podman was not found", mend="apt-get install podman uidmap")
    if host.uid and not subordinate(host):
        return Runtime(
            path=path, refused=f"{host.user} has no subordinate uids", mend=_subordinates_mend(host)
        )
    from ringfence.host import podman

    init = podman.init()
    if not init:
        return Runtime(
            path=path,
            refused="Podman has no init to put into a container",
            mend="apt-get install catatonit",
        )
    limits = "engine" if podman.holds_limits() else ""
    tools = {"engine": "podman", "runtime": runtime, "init": init, "limits": limits}
    return Runtime(path=path, version="podman", tools=tools)


def engine_of(runtime: Runtime) -> "Docker | Podman":
    """Return the engine that a runtime stands for."""
    from ringfence.host.engine import Docker
    from ringfence.host.podman import Podman

    if runtime.tools["engine"] == Podman.kind:
        return Podman(runtime.path, runtime.tools["runtime"])
    return Docker(runtime.path, runtime.tools["socket"])


def _with_image(found: Runtime, name: str) -> Runtime:
    """Say which image a name stands for now. Nothing is fetched: somebody chose what is there."""
    engine = engine_of(found)
    try:
        image = engine.find(name)
    except BoundaryError as error:
        return replace(found, refused=str(error), mend=error.hint)
    if image is None:
        mend = f"{engine.kind} pull {name}"
        return replace(found, refused=f"{engine.kind} has no image {name}", mend=mend)
    if image.volumes and engine.kind == "docker":
        return replace(
            found,
            refused=f"the image {name} declares writable folders: {', '.join(image.volumes)}",
            mend='take one without `VOLUME`, or `engine = "podman"`, which can leave them out',
        )
    variables = "\0".join(image.variables)
    return replace(found, tools={**found.tools, "image": image.id, "name": name, "variables": variables})


def _subordinates_mend(host: Host) -> str:
    return (
        f"apt-get install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {host.user}"
    )


_OLDEST_RUNSC = 20240301
NOBODY = 65534


def _date(version: str) -> int:
    """Return the date in a runsc version: `release-20240729.0`, `0.0~20240729.0`."""
    digits = "".join(char if char.isdigit() else " " for char in version).split()
    return max((int(one) for one in digits if len(one) == 8), default=0)


def subordinate(host: Host) -> tuple[int, ...]:
    """Return two uids that /etc/subuid gives this user, where /etc/subgid gives the same numbers."""
    if not all(os.access(f"/usr/bin/{name}", os.X_OK) for name in ("newuidmap", "newgidmap")):
        return ()
    ranges = [_ranges(f"/etc/{name}", host) for name in ("subuid", "subgid")]
    for start, count in ranges[0]:
        if count >= 2 and any(low <= start and start + 2 <= low + many for low, many in ranges[1]):
            return start, start + 1
    return ()


def _ranges(file: str, host: Host) -> list[tuple[int, int]]:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            rows = [line.strip().split(":") for line in stream]
    except OSError:
        return []
    return [
        (int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[0] in {host.user, str(host.uid)} and row[1].isdigit() and row[2].isdigit()
    ]


def microvm(host: Host, workspace: str) -> Runtime:
    """Return the QEMU of this machine, with the kernel and the programs that a virtual machine takes."""
    path = find(
        "qemu-system-x86_64" if host.arch == "x86_64" else f"qemu-system-{host.arch}", host, workspace
    )
    if not path:
        return Runtime(
            refused="QEMU was not found", mend="apt-get install qemu-system-x86 qemu-system-common"
        )
    tools = {
        "busybox": find("busybox", host, workspace),
        "virtiofsd": _first("/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"),
        "kernel": _first(f"{host.state_dir}/images/kernel"),
    }
    missing = [name for name, file in tools.items() if not file]
    if missing:
        mend = "apt-get install busybox-static qemu-system-common virtiofsd; ringfence image build --vm"
        return Runtime(path=path, refused=f"{' and '.join(missing)} not found", mend=mend)
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return Runtime(path=path, refused="/dev/net/tun cannot be opened", mend="chmod 0666 /dev/net/tun")
    identities = subordinate(host) if host.uid else (NOBODY - 1, NOBODY - 2)
    if not identities:
        return Runtime(
            path=path, refused=f"{host.user} has no subordinate uids", mend=_subordinates_mend(host)
        )
    return Runtime(
        path=path,
        version="kvm" if kvm() else "tcg",
        tools=tools,
        identities=identities,
        contents={"busybox": _content(tools["busybox"])},
        links=_links(),
        cpus=os.cpu_count() or 1,
    )


def _links() -> tuple[tuple[str, str], ...]:
    """Return the folders at the top of this machine that are links, as where /usr holds everything."""
    names = [name for name in ("bin", "lib", "lib64", "sbin") if os.path.islink(f"/{name}")]
    return tuple((name, os.readlink(f"/{name}")) for name in names)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def kvm() -> bool:
    """Tell whether guests run on the processor itself: an openable /dev/kvm alone proves nothing."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = file.read(1 << 14)
    except OSError:
        return False
    return (" vmx" in flags or " svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def _first(*paths: str) -> str:
    return next((path for path in paths if os.path.isfile(path)), "")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.host.engine import Docker
    from ringfence.host.podman import Podman
