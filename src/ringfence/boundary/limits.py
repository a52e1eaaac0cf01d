"""Resource limits, and how firmly each holds on this machine.

Whole-session limits need a cgroup: version 2 where this process's own group is writable for us, or
version 1 as root. Otherwise limits hold per process (rlimits, set inside by the entry program), and
memory is watched: the launcher sums the session's resident memory and ends the session above it.
The plan says which.
"""

import os

from ringfence.boundary.model import LimitPlan
from ringfence.policy.model import Limits, Workspace
from ringfence.value import Struct, replace

RLIMIT_FSIZE, RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_NOFILE = 1, 4, 6, 7
_V1_CONTROLLERS = ("memory", "pids", "cpu")
_V2_ROOT = "/sys/fs/cgroup"
_NPROC = {  # whose count it is that RLIMIT_NPROC holds
    "sandbox": "RLIMIT_NPROC of the session's user namespace",
    "gvisor": "RLIMIT_NPROC, which the sentry counts",
    "microvm": "RLIMIT_NPROC of the guest",
}
_CPU_PERIOD = 100_000  # microseconds, the kernel's default


def hierarchy() -> str:
    """Return "v2", "v1" or "": where a group with limits can be made."""
    if os.access(f"{_V2_ROOT}/cgroup.controllers", os.R_OK):
        own = _own_v2()
        usable = bool(own) and os.access(own, os.W_OK) and os.access(f"{own}/cgroup.procs", os.W_OK)
        return "v2" if usable else ""
    usable = all(os.access(f"{_V2_ROOT}/{name}", os.W_OK) for name in _V1_CONTROLLERS)
    return "v1" if usable and os.geteuid() == 0 else ""


def _own_v2() -> str:
    """Return the parent in which a group beside ours can be made ("no internal processes" rule)."""
    with open("/proc/self/cgroup") as file:
        for line in file:
            if line.startswith("0::"):
                return os.path.dirname(_V2_ROOT + line[3:].strip().rstrip("/")) or _V2_ROOT
    return ""


def needs_group(limits: Limits) -> bool:
    """Tell whether any limit asked for is one that only a cgroup holds for the whole session."""
    return limits.memory is not None or limits.cpus is not None


def plan(limits: Limits, cgroup: str, tier: str = "sandbox") -> tuple[LimitPlan, ...]:
    """Say how each limit of the policy is held."""
    group = f"cgroup {cgroup}"
    out = []

    def add(name: str, value: object, held: str, by: str) -> None:
        out.append(LimitPlan(name=name, value=str(value), held=held, by=by))

    if limits.memory is not None:
        held = ("enforced", group) if cgroup else ("watched", "the launcher, every 200 ms")
        if tier == "microvm":
            held = ("enforced", "the guest's memory, 256M at least" + (f"; {group}" if cgroup else ""))
        add("memory", limits.memory, *held)
    if limits.cpus is not None:
        held = ("enforced", group) if cgroup else ("enforced", "CPU affinity, rounded up to whole CPUs")
        if tier == "microvm" and not cgroup:
            held = ("enforced", "the guest's virtual CPUs, rounded up to whole ones")
        add("cpus", limits.cpus, *held)
    if limits.processes is not None:
        add("processes", limits.processes, "enforced", _NPROC.get(tier, _NPROC["sandbox"]))
    if limits.file_size is not None:
        add("file_size", limits.file_size, "per-process", "RLIMIT_FSIZE")
    if limits.open_files is not None:
        add("open_files", limits.open_files, "per-process", "RLIMIT_NOFILE")
    if limits.wall_time is not None:
        add("wall_time", limits.wall_time, "enforced", "the launcher")
    if limits.scratch is not None:
        add("scratch", limits.scratch, "enforced", "the size of each tmpfs")
    return tuple(out)


def watched(limits: Limits, plans: tuple[LimitPlan, ...]) -> int | None:
    """Return the memory that the launcher has to watch, where the plan says that nobody else holds it."""
    return limits.memory if any(one.name == "memory" and one.held == "watched" for one in plans) else None


def by_engine(plans: tuple[LimitPlan, ...]) -> tuple[LimitPlan, ...]:
    """Say the same of a container, whose engine holds what concerns all its processes together."""
    whole = {"memory", "cpus", "processes"}
    return tuple(
        replace(one, held="enforced", by="the engine's cgroup") if one.name in whole else one for one in plans
    )


def with_quota(workspace: Workspace, limits: Limits) -> Limits:
    """Return the limits with one on a file's size that no single file outgrows a copy's quota by."""
    quota = workspace.quota
    if quota is None or workspace.mode != "overlay":
        return limits
    return replace(limits, file_size=min(quota, limits.file_size or quota))


def of_copy(workspace: Workspace) -> tuple[LimitPlan, ...]:
    """Say how the quota on a session's copy is held."""
    if workspace.quota is None or workspace.mode != "overlay":
        return ()
    by = "the launcher, which glances 50 times a second; files by RLIMIT_FSIZE; not what was deleted open"
    return (LimitPlan(name="quota", value=str(workspace.quota), held="watched", by=by),)


def resource_limits(limits: Limits) -> tuple[tuple[int, int], ...]:
    """Return (resource, value) for setrlimit inside."""
    out = []
    if limits.processes is not None:
        out.append((RLIMIT_NPROC, limits.processes))
    if limits.file_size is not None:
        out.append((RLIMIT_FSIZE, limits.file_size))
    if limits.open_files is not None:
        out.append((RLIMIT_NOFILE, limits.open_files))
    return tuple(out)


class Group(Struct):
    """A cgroup made for one session: its folders, one for each controller in version 1."""

    folders: tuple[str, ...]
    version: str

    def add(self, pid: int) -> None:
        """Move a process into the group; what it forks later is in it too."""
        for folder in self.folders:
            _write(f"{folder}/cgroup.procs", str(pid))

    def kill(self) -> None:
        """Kill everything in the group at once (version 2, Linux 5.14)."""
        if self.version == "v2":
            try:
                _write(f"{self.folders[0]}/cgroup.kill", "1")
            except OSError:
                return

    def remove(self) -> None:
        """Remove the group, which must be empty; a few tries, since exits are not instant."""
        import time

        for folder in self.folders:
            for _ in range(50):
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                    continue
                break

    def out_of_memory(self) -> bool:
        """Tell whether the kernel killed for memory in this group."""
        names = {"v2": "memory.events", "v1": "memory.oom_control"}
        for folder in self.folders:
            try:
                with open(f"{folder}/{names[self.version]}") as file:
                    for line in file:
                        word, _, count = line.partition(" ")
                        if word == "oom_kill" and int(count) > 0:
                            return True
            except OSError:
                continue
        return False


def make_group(session: str, limits: Limits, version: str) -> Group:
    """Make the session's cgroup with its limits. Raises OSError."""
    return _make_v2(session, limits) if version == "v2" else _make_v1(session, limits)


def remove_leftover(session: str) -> None:
    """Remove the group of a session whose launcher was killed."""
    name = f"ringfence-{session}"
    folders = (
        [f"{_own_v2()}/{name}"]
        if hierarchy() == "v2"
        else [_v1_path(one, session) for one in ("memory", "cpu")]
    )
    Group(folders=tuple(one for one in folders if os.path.isdir(one)), version="v1").remove()


def _make_v2(session: str, limits: Limits) -> Group:
    folder = f"{_own_v2()}/ringfence-{session}"
    os.mkdir(folder)
    group = Group(folders=(folder,), version="v2")
    try:
        if limits.memory is not None:
            _write(f"{folder}/memory.max", str(limits.memory))
            _write(f"{folder}/memory.swap.max", "0", optional=True)
        if limits.cpus is not None:
            _write(f"{folder}/cpu.max", f"{int(limits.cpus * _CPU_PERIOD)} {_CPU_PERIOD}")
    except OSError:
        group.remove()
        raise
    return group


def _make_v1(session: str, limits: Limits) -> Group:
    folders = []
    try:
        if limits.memory is not None:
            folders.append(_v1_folder("memory", session))
            _write(f"{folders[-1]}/memory.limit_in_bytes", str(limits.memory))
            _write(f"{folders[-1]}/memory.memsw.limit_in_bytes", str(limits.memory), optional=True)
        if limits.cpus is not None:
            folders.append(_v1_folder("cpu", session))
            _write(f"{folders[-1]}/cpu.cfs_period_us", str(_CPU_PERIOD))
            _write(f"{folders[-1]}/cpu.cfs_quota_us", str(int(limits.cpus * _CPU_PERIOD)))
    except OSError:
        Group(folders=tuple(folders), version="v1").remove()
        raise
    return Group(folders=tuple(folders), version="v1")


def _v1_folder(controller: str, session: str) -> str:
    folder = _v1_path(controller, session)
    os.mkdir(folder)
    return folder


def _v1_path(controller: str, session: str) -> str:
    own = ""
    with open("/proc/self/cgroup") as file:
        for line in file:
            _number, names, path = line.strip().split(":", 2)
            if controller in names.split(","):
                own = path.rstrip("/")
    return f"{_V2_ROOT}/{controller}{own}/ringfence-{session}"


def _write(path: str, text: str, *, optional: bool = False) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        if optional:
            return
        raise
    try:
        os.write(fd, text.encode())
    except OSError:
        if not optional:
            raise
    finally:
        os.close(fd)
