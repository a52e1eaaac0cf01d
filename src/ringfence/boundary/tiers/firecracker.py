"""A plan as Firecracker's machine configuration, and its jailer's command line. Pure.

The machine has no network card: a program inside reaches the gate by vsock, and nothing else (guarantee of the
design, not of a rule that is kept up). Firecracker turns a guest's connection to port P of the host into one to
the Unix socket `v.sock_P` in the jail, so the gate, the streams of the command and the control channel are
sockets that the launcher listens at before the machine starts (see `boundary.hybrid`).

All paths are as the jailed Firecracker sees them: relative to its root, `BASE/firecracker/ID/root`. The jailer
follows links there (CVE-2026-1386), so BASE has to be a folder that only root can change; `refusal` says whether.

Sessions are not started by this yet, so no policy can choose it. What is here is checked against
Firecracker's published interface, and has not run: that needs KVM.
"""

import stat

from ringfence.boundary.model import Plan
from ringfence.host.model import Runtime
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CID = 3  # the first that is not the hypervisor's, the host's own or reserved
SOCKET = "v.sock"
GATE, STREAMS = 3128, (40, 41, 42, 43, 44)  # ports of the host, in the order of `guest.keeper`'s
CONFIGURATION, KERNEL, INITRD, ROOT, WORKSPACE = "vm.json", "kernel", "initrd", "root.img", "workspace.img"
_MEMORY = 2 << 30  # bytes, where the policy names no limit
_LEAST, _MOST_CPUS = 128, 32
_FILES = 256  # descriptors of the jailed process: drives, sockets, the memory


class Jail(Struct):
    """Where and as whom the jailer runs Firecracker."""

    base: str  # the folder above all jails
    session: str
    uid: int
    gid: int
    version: int = 2  # of the host's control groups


def configuration(plan: Plan, runtime: Runtime) -> "dict[str, Any]":
    """Return the machine, in the words of `--config-file`."""
    drives = [_drive("root", ROOT, writable=False)]
    if plan.workspace.mode != "scratch":
        drives.append(_drive("workspace", WORKSPACE, writable=plan.workspace.mode != "readonly"))
    return {
        "boot-source": {"kernel_image_path": KERNEL, "initrd_path": INITRD, "boot_args": _boot(plan)},
        "drives": drives,
        "machine-config": {
            "vcpu_count": _cpus(plan, runtime),
            "mem_size_mib": max(_LEAST, (plan.policy.limits.memory or _MEMORY) >> 20),
            "smt": False,
            "track_dirty_pages": False,
            "huge_pages": "None",
        },
        "vsock": {"guest_cid": CID, "uds_path": SOCKET},
        "entropy": {},
    }


def _drive(name: str, path: str, *, writable: bool) -> "dict[str, Any]":
    return {
        "drive_id": name,
        "path_on_host": path,
        "is_root_device": False,  # the first program mounts it itself
        "is_read_only": not writable,
        "cache_type": "Unsafe",
        "io_engine": "Sync",
    }


def _cpus(plan: Plan, runtime: Runtime) -> int:
    """Return one, or an even number: others are refused."""
    wanted = max(1, -int(-(plan.policy.limits.cpus or min(4, runtime.cpus)) // 1))
    return 1 if wanted == 1 else min(_MOST_CPUS, wanted + wanted % 2)


def _boot(plan: Plan) -> str:
    from ringfence.boundary.plan import ENTRY

    words = ("console=ttyS0 quiet loglevel=1 reboot=k panic=-1 pci=off", "random.trust_cpu=on lsm=landlock")
    return " ".join((*words, f"rf.uid={plan.uid} rf.enter={ENTRY} rf.gate={GATE}"))


def jailer(plan: Plan, runtime: Runtime, jail: Jail) -> tuple[str, ...]:
    """Return the command line that runs Firecracker: chrooted, without privileges, in namespaces of its own."""
    if len(jail.session) > 64 or not jail.session.replace("-", "").isalnum():
        raise ValueError(f"{jail.session} is no name for a jail")
    memory = plan.policy.limits.memory
    # the guest's memory, and room for Firecracker itself
    group = (f"memory.max={memory + (64 << 20)}",) if memory and jail.version == 2 else ()
    return (
        runtime.tools["jailer"], "--id", jail.session, "--exec-file", runtime.path,
        "--uid", str(jail.uid), "--gid", str(jail.gid), "--chroot-base-dir", jail.base,
        "--cgroup-version", str(jail.version), *(word for one in group for word in ("--cgroup", one)),
        "--resource-limit", f"no-file={_FILES}", "--new-pid-ns",
        "--", "--no-api", "--config-file", CONFIGURATION,
    )  # fmt: skip


def refusal(base: str, states: "tuple[tuple[str, Any], ...]") -> str:
    """Return why jails must not lie below `base`, given (folder, lstat of it) of it and all above; or nothing."""
    for folder, state in states:
        if not stat.S_ISDIR(state.st_mode):
            return f"{folder}, on the way to {base}, is no folder"
        if state.st_uid:
            return f"{folder}, on the way to {base}, is not root's"
        if state.st_mode & 0o022 and not state.st_mode & stat.S_ISVTX:
            return f"{folder}, on the way to {base}, can be written by others than root"
    return ""
