"""The container tier: the same root file system and wire in a container of the machine's engine. Pure.

The engine makes a container of an image in which there is nothing but empty folders and links, with none of
its own network and none of the host's folders but one: that of the entry program, which connects to the
launcher and waits. The launcher's helper then enters the container's namespaces and puts there what the plan
says, by the code of the other tiers: the wire into its network, the system, the project and the masks into
its mounts. The engine's daemon never sees a path of the project, and what it made is compared with what was
asked for (`differences`) before anything starts.
"""

from ringfence.boundary import landlock, notify, seccomp, seccomp_oci
from ringfence.boundary.environment import INSIDE
from ringfence.boundary.limits import RLIMIT_CORE, RLIMIT_NPROC, resource_limits
from ringfence.boundary.model import Mount, Plan
from ringfence.boundary.plan import ENTRY
from ringfence.boundary.stub import Call, Data, Slot, Step
from ringfence.boundary.tiers import sandbox
from ringfence.canonical import encode
from ringfence.host.engine import LABEL
from ringfence.policy.model import Limits
from ringfence.value import Struct, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DOOR = f"{INSIDE}/door"  # the launcher's socket, inside
_CHANNEL = Slot(offset=512)
_SCRATCH = 1 << 30  # bytes in a tmpfs where the policy names no limit
_SHARED = 64 << 20
_TOP = "rw,noexec,nosuid,nodev,size=65536,mode=755"


class Box(Struct):
    """What the engine is asked for, and what the helper puts into it."""

    configuration: "dict[str, Any]"  # of the container, in the engine's words; without its image
    folders: tuple[str, ...]  # at the top of the image
    links: tuple[tuple[str, str], ...]  # (name, to) at the top of the image
    entry: bytes
    mounts: tuple[Mount, ...]
    hidden: tuple[str, ...]
    covered: tuple[str, ...]
    podman: "dict[str, Any]" = {}  # noqa: RUF012 - never changed; what only Podman is told
    image: bool = False  # below what is put there lie the files of an image
    profile: str = ""  # the system-call filter, as JSON
    cpus: int = 0  # that its processes may run on; 0: all, or as many as the engine says


class Engine(Struct):
    """What a box has to know of the engine that it is for."""

    limits: bool = True  # it holds memory, CPUs and processes of a container in a cgroup
    keeps_id: bool = False  # the container's user namespace maps the operator to themselves
    init: str = ""  # program on the host that becomes the first process
    ulimits: "tuple[tuple[str, int], ...]" = ()  # (name, value), where its own are refused
    runtime: str = ""


def render(
    plan: Plan,
    engine: Engine,
    *,
    arch: str,
    abi: int,
    session: str,
    folder: str,
    terminal: bool,
    waits: bool = False,
) -> Box:
    """Turn a plan into a box. `folder` holds the entry program on the host."""
    mounts = tuple(_limited(mount, plan) for mount in plan.mounts)
    links = {
        one.target[1:]: one.source for one in mounts if one.kind == "symlink" and one.target.count("/") == 1
    }
    shown = [one for one in mounts if one.kind not in {"stand-in", "over"}]
    profile = encode(seccomp_oci.profile(arch, sandbox.filter_options(plan)))
    tops = {one.target.split("/")[1] for one in shown} - links.keys()
    folders = tuple(sorted(tops | {"run"}))
    made = _configuration(plan, engine, profile, session=session, folder=folder, terminal=terminal)
    if plan.image:  # which may lack them; what lies in them is put there by the helper
        made["HostConfig"]["Tmpfs"] = {f"/{name}": _TOP for name in folders}
    return Box(
        configuration=made,
        podman={
            "Init": engine.init,
            "KeepId": engine.keeps_id,
            "Ulimits": [{"Name": name, "Soft": value, "Hard": value} for name, value in engine.ulimits],
        },
        profile=profile,
        cpus=0 if engine.limits else sandbox.cpus(plan),
        folders=folders,
        links=tuple(sorted(links.items())),
        image=bool(plan.image),
        entry=_entry(plan, arch, abi, each=not engine.limits, waits=waits),
        mounts=mounts,
        hidden=tuple(one.path for one in plan.workspace.hidden),
        covered=plan.covered,
    )


def _limited(mount: Mount, plan: Plan) -> Mount:
    if mount.kind != "tmpfs" or mount.target == plan.workspace.root:
        return mount
    return replace(mount, noexec=True, size=mount.size or _SCRATCH)


def _configuration(
    plan: Plan, engine: Engine, profile: str, *, session: str, folder: str, terminal: bool
) -> "dict[str, Any]":
    limits = plan.policy.limits
    wanted = limits if engine.limits else Limits(processes=None)
    return {
        "Hostname": "ringfence",
        "User": f"{plan.uid}:{plan.gid}",
        "Entrypoint": [ENTRY],
        "Cmd": [],
        "Env": [],
        "WorkingDir": "/",
        "Tty": terminal,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": False,
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {LABEL: session},
        "HostConfig": {
            "AutoRemove": True,
            "CapAdd": [],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges", "label=disable", f"seccomp={profile}"],
            "ReadonlyRootfs": True,
            "Privileged": False,
            "NetworkMode": "none",
            "IpcMode": "private",
            "PidMode": "",
            "UTSMode": "",
            "CgroupnsMode": "private",
            "Init": True,
            "LogConfig": {"Type": "none", "Config": {}},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "Devices": [],
            "Binds": [],
            "Mounts": [{"Type": "bind", "Source": folder, "Target": INSIDE, "ReadOnly": True}],
            "Tmpfs": {},
            **({"Runtime": engine.runtime} if engine.runtime else {}),
            "ShmSize": limits.scratch or _SHARED,
            "Memory": wanted.memory or 0,
            "MemorySwap": wanted.memory or 0,
            "NanoCpus": int((wanted.cpus or 0) * 1_000_000_000),
            "PidsLimit": wanted.processes or 0,
        },
    }


def differences(asked: "dict[str, Any]", image: str, made: "dict[str, Any]") -> tuple[str, ...]:
    """Say in what a container, as the engine describes it, is not the one asked for; nothing where it is."""
    wanted = {key: value for key, value in asked.items() if key != "HostConfig"}
    out = [] if made.get("Image") == image else [f"Image is {made.get('Image')}"]
    out += _unlike(wanted, made.get("Config", {}), "Config")
    out += _unlike(asked["HostConfig"], made.get("HostConfig", {}), "HostConfig")
    shown = [
        (one.get("Type"), one.get("Source"), one.get("Destination"), one.get("RW"))
        for one in made.get("Mounts", ())
    ]
    mounts = [(one["Type"], one["Source"], one["Target"], False) for one in asked["HostConfig"]["Mounts"]]
    return tuple(out if shown == mounts else [*out, f"Mounts is {shown}"])


def _unlike(wanted: "dict[str, Any]", made: "dict[str, Any]", where: str) -> list[str]:
    """Compare: an empty thing may be told as nothing at all."""
    return [
        f"{where}.{key} is {str(made.get(key))[:200]}"
        for key, value in wanted.items()
        if (made.get(key) or None) != (value or None)
    ]


def _entry(plan: Plan, arch: str, abi: int, *, each: bool, waits: bool) -> bytes:
    """Return what is done inside: nothing, until the launcher's helper has furnished the container.

    Where the launcher goes away first, the read ends, and what is written next finds nobody: the command is
    not started. `each`: no engine counts processes, so the kernel does, in the container's user namespace.
    """
    door = b"\x01\0" + _DOOR.encode() + b"\0"
    gone = "the launcher is gone"
    first = (
        Call(name="socket", arguments=(1, 5, 0), result=_CHANNEL, failure=gone),
        Call(name="connect", arguments=(_CHANNEL, Data(content=door), len(door)), failure=gone),
        Call(name="read", arguments=(_CHANNEL, Slot(offset=520, address=True), 1), failure=gone),
    )
    steps = _entry_steps(plan, arch, abi, each=each, into=() if waits else (_change_folder(plan),))
    return sandbox.entry_program(plan, arch, steps, _CHANNEL if waits else None, first)


def _change_folder(plan: Plan) -> Step:
    folder = Data(content=plan.cwd.encode("utf-8", "surrogateescape") + b"\0")
    return Call(name="chdir", arguments=(folder,), failure="the working directory is not there")


def _entry_steps(plan: Plan, arch: str, abi: int, *, each: bool, into: tuple[Step, ...]) -> tuple[Step, ...]:
    gone = "the launcher is gone"
    limits = resource_limits(sandbox.limits_of(plan))
    return (
        *(notify.steps(arch, _CHANNEL) if plan.programs else ()),
        Call(name="write", arguments=(_CHANNEL, Data(content=b"R"), 1), failure=gone),
        Call(
            name="rt_sigprocmask", arguments=(2, Data(content=bytes(8)), 0, 8)
        ),  # some inits leave one behind
        Call(name="close_range", arguments=(3, 0xFFFFFFFF, 0), failure="cannot close inherited descriptors"),
        *into,
        sandbox.limit(RLIMIT_CORE, 1),  # no core file, and no program that takes one
        *(sandbox.limit(kind, value) for kind, value in limits if each or kind != RLIMIT_NPROC),
        *notify.install(seccomp.assemble(arch, sandbox.filter_options(plan))),
        *landlock.steps(abi, sandbox.landlock_rules(plan)),
        sandbox.execute(plan),
    )
