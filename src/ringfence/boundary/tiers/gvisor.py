"""The gVisor tier: the same root file system and wire, under a kernel of its own (runsc). Pure.

Our child builds mounts and network as for the sandbox tier, and bubblewrap starts, instead of the
command, runsc on a bundle made from the plan. runsc's sentry answers the command's system calls itself; of
the host's kernel only the sentry makes calls, few of them, under runsc's own filter. bubblewrap's part is
to hold runsc: it sees the new root, the bundle and nothing else of the host, in process namespaces that
end with the session.

Three things are peculiar:

- runsc reads `/proc/sys/net/core/rmem_default` to tell the host's network from a new one. Since Linux 6.11 it
  is there in both (google/gvisor#10704), so runsc sees a `/proc/sys` that holds only what it needs.
- The sentry takes the addresses of `eth0` over and removes them: the namespace serves one run.
- Host sockets and fifos stay closed (`--host-uds=none`, `--host-fifo=none`): a socket file is a file.
"""

from ringfence.boundary import notify, oci, reaper, seccomp
from ringfence.boundary.model import Plan
from ringfence.boundary.stub import Step
from ringfence.boundary.tiers import sandbox
from ringfence.boundary.tiers.invocation import Invocation

_ROOT, _BUNDLE = "/boundary", "/bundle"
_MMAP_MIN_ADDR = "65536"


def render(
    plan: Plan, *, arch: str, bwrap: str, runsc: str, terminals: tuple[int, ...], waits: bool = False
) -> Invocation:
    """Turn a plan into an invocation. `terminals`: the standard streams that are some."""
    shared = plan.workspace.mode == "direct" or bool(plan.policy.files.write)  # the host may change files too
    return Invocation(
        bwrap=bwrap,
        options=_options(runsc),
        entry=sandbox.entry_program(plan, arch, _entry_steps(plan, arch, terminals), 3 if waits else None),
        filter=b"",
        mounts=plan.mounts,
        hidden=tuple(one.path for one in plan.workspace.hidden),
        cpus=sandbox.cpus(plan),
        texts=(("mmap_min_addr", _MMAP_MIN_ADDR.encode()),),
        command=_command(shared=shared),
        files=(
            (
                "config.json",
                oci.configuration(plan, root=_ROOT, network="/proc/self/ns/net", terminal=bool(terminals)),
            ),
        ),
        keeps_root=True,
        raw=True,
    )


def _entry_steps(plan: Plan, arch: str, terminals: tuple[int, ...]) -> tuple[Step, ...]:
    """Return what is done inside, where no descriptor comes in but the one that speaks to the launcher.

    The sentry refuses or answers itself what the filter refuses; with the filter programs find the same
    kernel in every tier, and a bug in the sentry is as hard to reach as one in Linux.
    """
    before = (
        *sandbox.say_ready(),
        *notify.install(seccomp.assemble(arch, sandbox.filter_options(plan))),
    )
    return reaper.staying(before, sandbox.execute(plan), terminals)


def _options(runsc: str) -> tuple[str, ...]:
    return (
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--hostname", "ringfence", "--die-with-parent",
        "--tmpfs", "/", "--dev", "/dev", "--proc", "/proc",
        "--tmpfs", "/proc/sys", "--dir", "/proc/sys/vm",
        "--perms", "0444", "--ro-bind-data", "{text:0}", "/proc/sys/vm/mmap_min_addr",
        "--bind", "{root}", _ROOT, "--remount-ro", _ROOT,
        "--ro-bind", "{files}", _BUNDLE,
        "--ro-bind", runsc, "/runsc",
        "--tmpfs", "/run", "--tmpfs", "/tmp",  # noqa: S108 - runsc's own
        "--chdir", "/",
    )  # fmt: skip


def _command(*, shared: bool) -> tuple[str, ...]:
    return (
        "/runsc", "--root=/run/runsc", "--network=sandbox", "--ignore-cgroups", "--overlay2=none",
        "--host-uds=none", "--host-fifo=none", "--platform=systrap",
        f"--file-access={'shared' if shared else 'exclusive'}",
        "run", f"--bundle={_BUNDLE}", "--pass-fd=3:3", "boundary",
    )  # fmt: skip
