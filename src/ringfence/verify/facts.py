"""What the attacks are told about the machine and the plan: names and inode numbers, never contents.

An attack that does not know where the operator's keys lie would prove little. So the battery looks
outside, where it may, and the attacks try to get at exactly that.
"""

import glob
import os

from ringfence import preparation
from ringfence.boundary.choice import CONTAINER
from ringfence.boundary.model import Plan
from ringfence.host.model import Host
from ringfence.preparation import Request
from ringfence.workspace import tables

_NAMESPACES = ("pid", "ipc", "uts", "cgroup", "net", "mnt", "user")
_OWN_KERNELS = {"gvisor", "microvm"}  # whose session has a kernel that is not the host's
_FIRST_ORDINARY_UID, _NOBODY = 1000, 60000


def read_plan(request: Request, host: Host) -> Plan:
    """Return what a session for this request is to be. Nothing of it is started."""
    prepared = preparation.prepare(request, host)
    try:
        speaks = preparation.speaks(prepared.policy)
        return preparation.decide(request, host, prepared, authority=_authority(host) if speaks else "")
    finally:
        prepared.child.abandon()


def _authority(host: Host) -> str:
    """Return where a session's public certificates lie, for the plan alone."""
    return f"{host.state_dir}/sessions/SESSION/authority"


def gather(plan: Plan, host: Host) -> dict[str, object]:
    """Return the facts for one plan on this machine."""
    root = plan.workspace.root
    visible = _bound(plan)
    own = [host.state_dir, host.config_dir, host.cache_dir]
    return {
        "tier": plan.tier,
        "own_kernel": plan.tier in _OWN_KERNELS,
        "boot": _boot(),
        "root": root,
        "home": plan.home,
        "environment": [name for name, _ in plan.environment],
        "placeholders": [name for one in plan.policy.credentials for name in one.environment],
        "limits": _limits(plan),
        "gate": [plan.wire.gate_address, plan.wire.proxy_port] if plan.wire.kind != "none" else None,
        "writable": [one.target for one in plan.mounts if one.kind in {"rw", "overlay"}],
        "scratch": [one.target for one in plan.mounts if one.kind == "tmpfs"],
        "bound": [one.target for one in plan.mounts if one.kind in {"ro", "rw"}],
        "copied": bool(plan.workspace.copy),
        "layers": [
            host.state_dir,
            f"{host.state_dir}/sessions",
            f"{host.state_dir}/keep",
            "/run/ringfence/lower1",
        ],
        "protected": [] if plan.workspace.copy else sorted({*plan.workspace.protected, *_obeyed(root)}),
        "existing": [os.path.join(root, name) for name in os.listdir(root)],
        "credentials": _identified(
            [*(one.path for one in plan.workspace.hidden), *_masked(plan), *_keys(host.home, visible)]
        ),
        "invisible": _identified(_home_entries(host.home, visible)),
        "state_dir": host.state_dir,
        "memory": plan.policy.limits.memory,
        "allowed": sorted({rule.host for rule in plan.policy.egress.allow if _is_name(rule.host)})[:3],
        "engine": _engine(plan),
        "engine_scratch": [one.target for one in plan.mounts if one.kind == "tmpfs"],
        "policy_files": _policy_files(plan, host, root),
        "own_folders": own,
        "own_identities": {one["path"]: [one["device"], one["inode"]] for one in _identified(own)},
        "authority": _authorities(host.state_dir),
        "private_paths": _private(plan, host),
        "users": _users(host.user),
        "host_pids": [os.getpid(), os.getppid()],
        "namespaces": _namespaces(plan),
        **_listening(),
    }


def _is_name(host: str) -> bool:
    return "." in host and not any(char in host for char in "*/:[]") and not host[-1].isdigit()


def _engine(plan: Plan) -> str:
    """Return the socket of the container engine that makes the session."""
    if plan.tier != CONTAINER:
        return ""
    from ringfence.host import engine, probe

    return engine.socket_of(probe.settings(("DOCKER_HOST",)).get("DOCKER_HOST", ""))


def _boot() -> str:
    """Return what tells this kernel's run from every other kernel's."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _private(plan: Plan, host: Host) -> list[str]:
    """Return paths that no table inside may name. A bind of something below one of them names it."""
    sources = [one.source for one in plan.mounts if one.kind in {"ro", "rw"}]
    paths = (os.path.join(host.state_dir, "sessions"), host.config_dir)
    return [path for path in paths if not any(source.startswith(path + "/") for source in sources)]


def _namespaces(plan: Plan) -> dict[str, str]:
    """Name the host's namespaces, of which the session has its own.

    In the fallback, where bubblewrap makes them all, without the clock's; so in a container, and there root's
    engine makes no user namespace either: who has no capabilities in the host's has none to gain by one.
    """
    kinds: tuple[str, ...] = (*_NAMESPACES, "time") if plan.wire.kind == "private" else _NAMESPACES
    if plan.tier == CONTAINER:
        lacking = {"time"} if os.geteuid() else {"time", "user"}
        kinds = tuple(kind for kind in kinds if kind not in lacking)
    return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}


def _bound(plan: Plan) -> tuple[str, ...]:
    return tuple(
        one.source for one in plan.mounts if one.kind in {"ro", "rw", "masked", "overlay"} and one.source
    )


def _masked(plan: Plan) -> list[str]:
    return [one.target for one in plan.mounts if one.kind == "mask"]


def _limits(plan: Plan) -> list[dict[str, object]]:
    """Join what the policy asks for, in numbers, with how firmly the plan says it holds."""
    held = {one.name: one.held for one in plan.limits}
    asked = plan.policy.limits.__dict__
    return [
        {"name": name, "value": value, "held": held.get(name, "none")}
        for name, value in asked.items()
        if value
    ]


def _obeyed(root: str) -> set[str]:
    """Find what git on the host obeys in the project, whatever the plan says of it."""
    below = glob.escape(f"{root}/.git")
    deeper = ("modules/*/config", "modules/*/hooks", "modules/*/*/config", "worktrees/*/commondir")
    names = (*tables.PROTECTED_IN_GIT, *deeper, "worktrees/*/config.worktree")
    return {path for name in names for path in glob.glob(f"{below}/{name}")}


def _identified(paths: list[str]) -> list[dict[str, object]]:
    found = []
    for path in dict.fromkeys(paths):
        try:
            status = os.stat(path)
        except OSError:
            continue
        identity = {"device": status.st_dev, "inode": status.st_ino}
        found.append({"path": path, **identity, "size": status.st_size, "changed": status.st_mtime_ns})
    return found


def _keys(home: str, visible: tuple[str, ...]) -> list[str]:
    """Return the usual places of keys in a home directory, those inside a visible folder included."""
    names = [
        *tables.CREDENTIAL_FILES,
        *tables.CREDENTIAL_FOLDERS,
        *(f"{parent}/{name}" for parent, name in tables.CREDENTIAL_PAIRS),
    ]
    paths = [os.path.join(home, name) for name in names] + glob.glob(f"{glob.escape(home)}/.env*")
    return sorted(path for path in paths if path not in visible)


def _home_entries(home: str, visible: tuple[str, ...]) -> list[str]:
    """Return what lies in the home directory and is not bound into the boundary."""
    try:
        names = os.listdir(home)
    except OSError:
        return []
    paths = [os.path.join(home, name) for name in names]
    return sorted(
        path
        for path in paths
        if not any(path == one or path.startswith(one.rstrip("/") + "/") for one in visible)
    )


def _policy_files(plan: Plan, host: Host, root: str) -> list[str]:
    """Return the files of the policy, less those in a copied project: what is written there is reviewed."""
    named = [file for _, file in plan.policy.origins]
    usual = [
        host.managed_policy,
        os.path.join(host.config_dir, "policy.toml"),
        os.path.join(root, "ringfence.toml"),
    ]
    copied = f"{root}/" if plan.workspace.copy else "\0"
    files = [path for path in dict.fromkeys([*named, *usual]) if path.startswith("/")]
    return [path for path in files if not path.startswith(copied)]


def _authorities(state_dir: str) -> list[str]:
    sessions = sorted(glob.glob(f"{glob.escape(state_dir)}/sessions/*/authority"))[-5:]
    return [*sessions, os.path.join(state_dir, "authority", "ready"), os.path.join(state_dir, "authority")]


def _users(own: str) -> list[str]:
    import pwd

    rows = [one for one in pwd.getpwall() if _FIRST_ORDINARY_UID <= one.pw_uid < _NOBODY]
    return [one.pw_name for one in rows if one.pw_name != own]


def _listening() -> dict[str, object]:
    """Return every Unix socket that something on the host listens at."""
    paths, abstract = set(), set()
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        for line in list(file)[1:]:
            fields = line.rstrip("\n").split(None, 7)
            name = fields[7] if len(fields) > 7 else ""
            accepting = int(fields[3], 16) & 0x10000  # __SO_ACCEPTCON
            if name.startswith("@") and accepting:
                abstract.add(name[1:])
            elif name.startswith("/") and accepting:
                paths.add(name)
    return {"sockets": sorted(paths)[:300], "abstract": sorted(abstract)[:300]}
