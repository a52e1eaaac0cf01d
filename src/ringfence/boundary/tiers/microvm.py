"""The microvm tier: the same root file system and wire, under a Linux of its own in a virtual machine. Pure.

Our child builds the mounts as for the sandbox tier; a file server (virtiofsd) shows exactly that root to the
guest, live, and nothing else can be named through it. The network's inner end is a tap in the gate's
namespace, so the guest's only interface leads to the gate. The guest is a kernel, busybox, a first program
(`guest/first.py`) and one script (`guest/init.sh`): no disk image has to be made, and what the plan says is
visible is visible.

QEMU and the file server run in a jail of bubblewrap's: in process, network and mount namespaces of their own,
as an unprivileged identity, seeing the new root, the system's libraries and nothing else.

With KVM the guest runs at the machine's speed; without it QEMU translates every instruction (TCG), which
costs a factor of ten and more in computing, and a second at the start. The plan says which.
"""

import os

from ringfence.boundary import cpio, limits, notify, seccomp, stub, wire
from ringfence.boundary.guest import first
from ringfence.boundary.model import Plan
from ringfence.boundary.plan import ENTRY
from ringfence.boundary.stub import Call, Data, Step
from ringfence.boundary.tiers import sandbox
from ringfence.boundary.tiers.invocation import Invocation
from ringfence.host.model import Runtime

PORTS = ("rf.say", "rf.ctl", "rf.in", "rf.out", "rf.err")  # as `guest.keeper` counts them
FIRST_PORT, TAP = 40, 4
_MEMORY = 2 << 30  # bytes, where the policy names no limit
# On several threads QEMU before 8.1 may run what a guest kernel has just patched away: it then dies of an
# `Oops: int3`, once in a hundred starts (Red Hat bug 2216496).
TRANSLATED = "tcg,thread=single"
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def render(plan: Plan, *, arch: str, bwrap: str, runtime: Runtime, terminal: bool) -> Invocation:
    """Turn a plan into an invocation."""
    return Invocation(
        bwrap=bwrap,
        options=_options(runtime),
        entry=stub.assemble(arch, _entry_steps(plan, arch)),
        filter=b"",
        mounts=plan.mounts,
        hidden=tuple(one.path for one in plan.workspace.hidden),
        cpus=0,
        texts=(),
        command=(
            "/machine/busybox",
            "sh",
            "/machine/jail",
            _server(runtime),
            *_qemu(plan, runtime, terminal=terminal),
        ),
        files=(("initrd", _initrd(plan, arch, runtime)), ("jail", _script("jail.sh"))),
        brought=tuple((name, runtime.tools[name]) for name in ("busybox", "kernel")),
        ports=len(PORTS) + 1,
    )


def _script(name: str) -> bytes:
    """Return a script of this package: as constant as the code."""
    with open(f"{_HERE}/guest/{name}", "rb") as file:
        return file.read()


def _initrd(plan: Plan, arch: str, runtime: Runtime) -> bytes:
    programs = {
        "init": stub.assemble(arch, first.steps(plan.policy.limits.scratch)),
        "script": _script("init.sh"),
        "bin/busybox": runtime.contents["busybox"],
    }
    return cpio.archive(programs, first.entries())


def _entry_steps(plan: Plan, arch: str) -> tuple[Step, ...]:
    """Return what is done in the guest, as its root, before the command: it becomes the agent there."""
    uid, gid = plan.uid, plan.gid
    failure = "the guest could not give up root"
    return (
        Call(
            name="chdir",
            arguments=(Data(content=os.fsencode(plan.cwd) + b"\0"),),
            failure="no working directory",
        ),
        *(sandbox.limit(kind, value) for kind, value in limits.resource_limits(sandbox.limits_of(plan))),
        # the guest's shell starts what it waits for with these ignored
        *(Call(name="rt_sigaction", arguments=(number, Data(content=bytes(32)), 0, 8)) for number in (2, 3)),
        Call(name="setgroups", arguments=(0, 0), failure=failure),
        Call(name="setresgid", arguments=(gid, gid, gid), failure=failure),
        Call(name="setresuid", arguments=(uid, uid, uid), failure=failure),
        *notify.install(seccomp.assemble(arch, sandbox.filter_options(plan))),
        sandbox.execute(plan),
    )


def _options(runtime: Runtime) -> tuple[str, ...]:
    return (
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--hostname", "ringfence", "--die-with-parent",
        "--tmpfs", "/", "--dev", "/dev", "--proc", "/proc",
        *(("--dev-bind", "/dev/kvm", "/dev/kvm") if runtime.version == "kvm" else ()),
        "--ro-bind", "/usr", "/usr",
        *(word for name, to in runtime.links for word in ("--symlink", to, f"/{name}")),
        "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
        "--bind", "{root}", "/boundary", "--remount-ro", "/boundary",
        "--ro-bind", "{files}", "/machine",
        "--tmpfs", "/run", "--tmpfs", "/tmp",  # noqa: S108 - QEMU's own
        "--chdir", "/",
    )  # fmt: skip


def _server(runtime: Runtime) -> str:
    program = runtime.tools["virtiofsd"]
    if program.startswith("/usr/lib/qemu/"):  # the C version, of Debian 12
        return f"{program} --socket-path=/run/fs.sock -o source=/boundary -o sandbox=chroot -o cache=auto"
    return f"{program} --socket-path=/run/fs.sock --shared-dir=/boundary --sandbox=chroot --cache=auto"


def _qemu(plan: Plan, runtime: Runtime, *, terminal: bool) -> tuple[str, ...]:
    kvm = runtime.version == "kvm"
    memory = plan.policy.limits.memory or _MEMORY
    size = f"{max(256, memory >> 20)}M"
    cpus = max(1, -int(-(plan.policy.limits.cpus or min(4, runtime.cpus)) // 1))
    console = "stdio,id=console,signal=off" if terminal else f"socket,id=console,fd={FIRST_PORT + len(PORTS)}"
    return (
        runtime.path, "-M", "microvm,acpi=off,rtc=on,isa-serial=off,memory-backend=memory",
        "-accel", "kvm" if kvm else TRANSLATED, "-cpu", "host" if kvm else "max", "-smp", str(cpus),
        "-m", size, "-object", f"memory-backend-memfd,id=memory,size={size},share=on",
        "-global", "virtio-mmio.force-legacy=false",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-kernel", "/machine/kernel", "-initrd", "/machine/initrd",
        "-append", _append(plan, terminal=terminal),
        "-chardev", "socket,id=files,path=/run/fs.sock",
        "-device", "vhost-user-fs-device,chardev=files,tag=root",
        "-device", "virtio-serial-device",
        "-chardev", console, "-device", "virtconsole,chardev=console",
        *(word for number, name in enumerate(PORTS) for word in _port(number, name)),
        "-netdev", f"tap,id=wire,fd={TAP}",
        "-device", f"virtio-net-device,netdev=wire,mac={wire.INSIDE_MAC_TEXT}",
        "-device", "virtio-rng-device",
    )  # fmt: skip


def _port(number: int, name: str) -> tuple[str, ...]:
    chardev = f"socket,id=port{number},fd={FIRST_PORT + number}"
    return "-chardev", chardev, "-device", f"virtserialport,chardev=port{number},name={name}"


def _append(plan: Plan, *, terminal: bool) -> str:
    return " ".join(
        (
            "console=hvc0 quiet loglevel=1 reboot=t panic=-1 mitigations=off random.trust_cpu=on",
            "lsm=landlock dummy.numdummies=0",
            f"rf.uid={plan.uid} rf.enter={ENTRY}",
            *(("rf.tty",) if terminal else ()),
        )
    )
