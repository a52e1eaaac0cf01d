"""The sandbox tier on Linux: from a plan to what the child executes. Pure.

Two layers build the boundary. Our child makes the file system (mounts, with any number of masks) and
the private wire in namespaces of its own; bubblewrap then adds the process namespaces, gives up all
capabilities, loads the system-call filter and starts the entry program, which applies limits and
Landlock and executes the command. Where our child may not use namespaces (AppArmor on Ubuntu, a
container's filter), bubblewrap makes the mounts too, from the same list, as options.
"""

import struct

from ringfence.boundary import landlock, limits, notify, seccomp, stub
from ringfence.boundary.model import Mount, Plan
from ringfence.boundary.plan import ENTRY
from ringfence.boundary.project import MASKED_FILE, MASKED_FOLDER
from ringfence.boundary.stub import Call, Data, Execute, Pointers, Slot, Step
from ringfence.boundary.tiers.invocation import Invocation
from ringfence.errors import BoundaryError
from ringfence.policy.model import Limits
from ringfence.value import replace

_BWRAP_MOST_MOUNTS = 2500  # bubblewrap takes 9,000 arguments
_AF_INET, _SOCK_STREAM, _SOL_SOCKET, _SCM_RIGHTS = 2, 1, 1, 1
_READY_FD = 3  # inside: the entry program says here that the boundary stands


def render(plan: Plan, *, arch: str, bwrap: str, abi: int, waits: bool = False) -> Invocation:
    """Turn a plan into an invocation."""
    private = plan.wire.kind == "private"
    entry = entry_program(plan, arch, _entry_steps(plan, arch, abi=abi), _READY_FD if waits else None)
    common = Invocation(
        bwrap=bwrap,
        options=(),
        entry=entry,
        filter=seccomp.assemble(arch, filter_options(plan)),
        mounts=plan.mounts,
        hidden=tuple(one.path for one in plan.workspace.hidden),
        cpus=cpus(plan),
        texts=(),
    )
    if private:
        return replace(common, options=_options(plan))
    binds, texts = _as_options(plan, entry)
    return replace(common, options=_options(plan, binds), mounts=(), texts=texts)


def filter_options(plan: Plan) -> seccomp.Options:
    """Return what the policy opens in the system-call filter, and what a limit closes."""
    accepted = plan.policy.accept
    return seccomp.Options(
        debuggers="debuggers" in accepted,
        namespaces="namespaces" in accepted,
        keep_cpus=cpus(plan) > 0,
        keep_quota=any(one.name == "quota" for one in plan.limits),
    )


def cpus(plan: Plan) -> int:
    """Return to how many CPUs the session is kept by affinity; 0 where a cgroup does it, or nobody."""
    by = {one.name: one.by for one in plan.limits}.get("cpus", "cgroup")
    wanted = plan.policy.limits.cpus
    if wanted is None or by.startswith("cgroup"):
        return 0
    return max(1, -int(-wanted // 1))


def _options(plan: Plan, binds: tuple[str, ...] = ()) -> tuple[str, ...]:
    own_network = () if plan.wire.kind == "private" else ("--unshare-net",)
    root = binds or ("--bind", "{root}", "/")
    size = plan.policy.limits.scratch
    return (
        "--unshare-user", "--uid", str(plan.uid), "--gid", str(plan.gid),
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", *own_network,
        "--hostname", "ringfence", "--die-with-parent", "--cap-drop", "ALL",
        *root,
        "--proc", "/proc", *(word for path in plan.covered for word in ("--ro-bind", "/dev/null", path)),
        "--dev", "/dev",
        *(("--size", str(size)) if size else ()), "--tmpfs", "/dev/shm",  # noqa: S108 - the private one inside
        "--remount-ro", "/dev", "--remount-ro", "/",
        "--seccomp", "{seccomp}",
        "--chdir", plan.cwd,
    )  # fmt: skip


def _as_options(plan: Plan, entry: bytes) -> tuple[tuple[str, ...], tuple[tuple[str, bytes], ...]]:
    """Express the mounts as bubblewrap's options; contents travel by descriptor, `{text:N}`."""
    options: list[str] = ["--tmpfs", "/"]
    texts: list[tuple[str, bytes]] = []

    def data(target: str, content: bytes, mode: int) -> None:
        options.extend(("--perms", f"{mode:04o}", "--ro-bind-data", f"{{text:{len(texts)}}}", target))
        texts.append((target, content))

    data(ENTRY, entry, 0o555)
    contents = {mount.target: mount.text for mount in plan.mounts if mount.kind == "text"}
    for mount in plan.mounts:
        _one_option(mount, options, data, contents)
        if mount.kind == "masked":
            copies = {one.target: one.text for one in plan.mounts if one.kind == "stand-in" and one.text}
            for target, text in copies.items():
                data(target, text.encode("utf-8", "surrogateescape"), 0o444)
            for hidden in (one for one in plan.workspace.hidden if one.path not in copies):
                if hidden.directory:
                    _hide_folder(hidden.path, options)
                else:
                    data(hidden.path, contents[MASKED_FILE].encode(), 0o444)
    if len(options) > 3 * _BWRAP_MOST_MOUNTS:
        raise BoundaryError(
            f"{len(options) // 3} mounts are needed, more than bubblewrap takes at once",
            hint="run `ringfence doctor`: with the private wire there is no such limit; or narrow `mask`",
        )
    return tuple(options), tuple(texts)


def _one_option(mount: Mount, options: list[str], data: "_Data", contents: dict[str, str]) -> None:
    if mount.kind in {"ro", "masked"}:
        options += ["--ro-bind", mount.source, mount.target]
    elif mount.kind in {"rw", "pin"}:
        options += ["--bind", mount.source, mount.target]
    elif mount.kind == "tmpfs":
        options += ["--perms", f"{mount.mode:04o}", *(("--size", str(mount.size)) if mount.size else ())]
        options += ["--tmpfs", mount.target]
    elif mount.kind == "symlink":
        options += ["--symlink", mount.source, mount.target]
    elif mount.kind == "text":
        data(mount.target, mount.text.encode("utf-8", "surrogateescape"), 0o444)
    elif mount.kind == "directory":
        options += ["--perms", f"{mount.mode:04o}", "--dir", mount.target]
    elif mount.kind == "mask":
        if mount.source == MASKED_FOLDER:
            _hide_folder(mount.target, options)
        else:
            data(mount.target, contents[mount.source].encode("utf-8", "surrogateescape"), 0o444)


def _hide_folder(path: str, options: list[str]) -> None:
    options += ["--perms", "0555", "--tmpfs", path, "--remount-ro", path]


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Data = Callable[[str, bytes, int], None]


# --- the entry program ---------------------------------------------------------------------------


def entry_program(
    plan: Plan,
    arch: str,
    steps: tuple[Step, ...],
    waits_at: int | Slot | None,
    first: tuple[Step, ...] = (),
) -> bytes:
    """Return the entry program; where it `waits_at` a descriptor, one that receives its command."""
    if waits_at is None:
        return stub.assemble(arch, (*first, *steps))
    from ringfence.boundary import waiting

    said = Call(name="write", arguments=(waits_at, Data(content=waiting.WAITS), 1), failure="nobody waits")
    received = (*first, said, *waiting.steps(waits_at), *waiting.change_folder())
    return stub.assemble(arch, (*received, *steps[:-1], waiting.execute(plan)), writable=waiting.WRITABLE)


def _entry_steps(plan: Plan, arch: str, *, abi: int) -> tuple[Step, ...]:
    return (
        *_listen_inside(plan),
        *(notify.steps(arch, _READY_FD) if plan.programs else ()),
        *say_ready(),
        Call(name="close_range", arguments=(3, 0xFFFFFFFF, 0), failure="cannot close inherited descriptors"),
        *(limit(resource, value) for resource, value in limits.resource_limits(limits_of(plan))),
        *landlock.steps(abi, landlock_rules(plan)),
        execute(plan),
    )


def limits_of(plan: Plan) -> Limits:
    """Return the limits that hold for each process inside."""
    return limits.with_quota(plan.policy.workspace, plan.policy.limits)


def say_ready() -> tuple[Step, ...]:
    """Return the steps that tell the launcher that the boundary stands."""
    return (Call(name="write", arguments=(_READY_FD, Data(content=b"R"), 1), failure="the launcher is gone"),)


def _listen_inside(plan: Plan) -> tuple[Step, ...]:
    """Make the fallback's listener on the boundary's own loopback, and pass it out to the gate."""
    if plan.wire.kind != "loopback":
        return ()
    sock = Slot(offset=64)
    address = (
        struct.pack("<H", _AF_INET)
        + struct.pack(">H", plan.wire.proxy_port)
        + bytes((127, 0, 0, 1))
        + bytes(8)
    )
    control = Slot(offset=128, address=True)  # struct cmsghdr {len, level, type} and the descriptor
    payload = Pointers(words=(Data(content=b"L"), 1))
    header = Pointers(words=(0, 0, payload, 1, control, 24, 0))
    failure = "the boundary's listener could not be made"
    return (
        Call(name="socket", arguments=(_AF_INET, _SOCK_STREAM, 0), result=sock, failure=failure),
        Call(name="bind", arguments=(sock, Data(content=address), 16), failure=failure),
        Call(name="listen", arguments=(sock, 512), failure=failure),
        stub.Store(slot=Slot(offset=128), value=20),
        stub.Store(slot=Slot(offset=136), value=_SOL_SOCKET | _SCM_RIGHTS << 32),
        stub.Copy(source=sock, target=Slot(offset=144)),
        Call(name="sendmsg", arguments=(_READY_FD, header, 0), failure=failure),
        Call(name="close", arguments=(sock,)),
    )


def limit(resource: int, value: int) -> Call:
    """Return the step that sets a resource limit."""
    pair = Data(content=struct.pack("<QQ", value, value))
    return Call(name="prlimit64", arguments=(0, resource, pair, 0), failure=f"cannot set limit {resource}")


def landlock_rules(plan: Plan) -> tuple[tuple[str, int, bool], ...]:
    """Return what the plan lets be read and written, once more for Landlock."""
    rules: list[tuple[str, int, bool]] = [
        ("/", landlock.READ if plan.image else landlock.LIST, True),
        ("/proc", landlock.READ | landlock.FILE_WRITE, True),
        ("/dev", landlock.DEVICE, True),
        ("/dev/shm", landlock.WRITE, True),  # noqa: S108 - the private one inside
        ("/run/ringfence", landlock.READ, True),
        ("/etc", landlock.READ, True),
    ]
    for mount in plan.mounts:
        if mount.kind in {"ro", "masked"} and not _covered(mount.target, rules):
            rules.append((mount.target, landlock.READ, mount.directory))
        elif mount.kind in {"rw", "tmpfs", "overlay"}:
            rules.append((mount.target, landlock.WRITE, mount.directory))
    return tuple(rules)


def _covered(target: str, rules: list[tuple[str, int, bool]]) -> bool:
    """Tell whether a rule for a folder above already lets the target be read."""
    return any(
        rights & landlock.READ == landlock.READ and target.startswith(path + "/") for path, rights, _ in rules
    )


def execute(plan: Plan) -> Execute:
    """Return the last step: the command takes the entry program's place."""
    name = plan.argv[0]
    shown = name.encode("unicode_escape", "backslashreplace").decode()
    path = dict(plan.environment).get("PATH", "")
    paths = (name,) if "/" in name else tuple(f"{entry}/{name}" for entry in path.split(":"))
    return Execute(
        paths=tuple(map(_bytes, paths)),
        argv=tuple(map(_bytes, plan.argv)),
        environment=tuple(_bytes(f"{key}={value}") for key, value in plan.environment),
        not_found=f"{shown}: command not found inside the boundary\n\n"
        "hint: `ringfence plan` lists what is visible; "
        "`--read DIR` shows a folder, and it must be on PATH",
        not_executable=f"{shown}: cannot be executed inside the boundary "
        "(not executable, or of another format)",
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
