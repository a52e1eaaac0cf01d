"""What each tier adds to the bare technology's own start: `true` in a session, and by the bare tool.

    python benchmarks/tiers.py [--rounds N] [--tier TIER …] [--json] [--check]

- sandbox: beside a bare interpreter, as in `start.py`;
- container: beside `docker run` with the same flags of an image that holds nothing but busybox;
- gvisor: beside `runsc run` of the same configuration on a root that holds nothing but busybox;
- microvm: beside QEMU with the same machine and kernel, and a first program that turns it off again.

The bare ones build no network, no view of the project and no log. Run by root; a Docker engine is started for
it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile

from measure import BARE, RINGFENCE, ROOT, Budgets, Case, interleave, over, stage, table

sys.path[:0] = [os.path.join(ROOT, "src"), os.path.join(ROOT, "tests", "containment")]

LIMITS = {"container": 1.2, "gvisor": 1.3, "microvm": 1.3}  # times the bare start
SANDBOX = 45.0  # ms over a bare interpreter, as in start.py
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TIERS = ("sandbox", *LIMITS)
UID = 65534
_WORDS = (
    "console=hvc0 quiet loglevel=1 reboot=t panic=-1 mitigations=off random.trust_cpu=on lsm=landlock "
    "dummy.numdummies=0"
)
_BUSYBOX = "/usr/bin/busybox"


def main() -> int:
    """Measure and print; with --check exit 1 over a budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tier", action="append", choices=TIERS)
    parser.add_argument("--json", action="store_true", help="only the ratios, as JSON")
    parser.add_argument("--check", action="store_true", help="exit 1 over a budget")
    options = parser.parse_args()
    if options.json:
        print(json.dumps({tier: ratio(*measured(tier, options.rounds)) for tier in options.tier or TIERS}))
        return 0
    budgets, rows = Budgets(), []
    for tier in options.tier or TIERS:
        ours, bare = measured(tier, options.rounds)
        rows.append((tier, ours.median, ours.best, bare.median, bare.best, round(ratio(ours, bare), 2)))
        what = f"{tier}: ringfence run -- true"
        if tier == "sandbox":
            budgets.hold(f"{what}, over bare python", over(ours, bare), SANDBOX, "ms")
        else:
            budgets.hold(f"{what}, of the bare {bare.name}", ratio(ours, bare), LIMITS[tier], "x")
    print()
    table(("", "ours, ms", "best", "bare, ms", "best", "ratio"), rows)
    return 1 if options.check and budgets.broken else 0


def ratio(ours: Case, bare: Case) -> float:
    """Return the median of the ratios within each round."""
    return statistics.median(one / other for one, other in zip(ours.times, bare.times, strict=True))


def measured(tier: str, rounds: int) -> tuple[Case, Case]:
    """Return our case and the bare one, measured in interleaved rounds."""
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        environment = stage(folder)
        project = os.path.join(folder, "home", "project")
        os.makedirs(project)
        command = [*RINGFENCE, "run", "--tier", tier, "--discard", "--", "true"]
        ours = Case(f"ringfence, {tier}", command, project, environment)
        bare, close = _BARE[tier](folder, environment)
        try:
            interleave([ours, bare], rounds, warm=1)
        finally:
            close()
    return ours, bare


def _nothing() -> None:
    """Close nothing."""


def _sandbox(folder: str, environment: dict[str, str]) -> tuple[Case, "Callable[[], None]"]:
    return Case("python", BARE, folder, environment), _nothing


def _container(folder: str, environment: dict[str, str]) -> tuple[Case, "Callable[[], None]"]:
    """Beside `docker run` with the flags that the tier asks the engine for."""
    from docking import Engine

    from ringfence.boundary import seccomp_oci
    from ringfence.boundary.seccomp import Options

    engine = Engine()
    environment.update(engine.variables, DOCKER_CONFIG=engine.folder)
    archive = f"{folder}/image.tar"
    with tarfile.open(archive, "w") as out:
        out.add(_BUSYBOX, "bin/busybox")
        for name in ("run", "run/ringfence"):
            place = tarfile.TarInfo(name)
            place.type, place.mode = tarfile.DIRTYPE, 0o755
            out.addfile(place)
    engine.docker("import", archive, "bare:latest")
    with open(f"{folder}/seccomp.json", "w", encoding="utf-8") as file:
        json.dump(seccomp_oci.profile(os.uname().machine, Options()), file)
    os.mkdir(f"{folder}/inside")
    command = [
        "docker", "run", "--rm", "--interactive", "--network=none", "--cap-drop=ALL", "--read-only", "--init",
        "--ipc=private", "--cgroupns=private", "--log-driver=none", f"--user={UID}:{UID}",
        "--hostname=ringfence",
        "--security-opt=no-new-privileges", "--security-opt=label=disable",
        f"--security-opt=seccomp={folder}/seccomp.json", "--shm-size=64m", "--no-healthcheck",
        f"--mount=type=bind,source={folder}/inside,target=/run/ringfence,readonly",
        "bare:latest", "/bin/busybox", "true",
    ]  # fmt: skip
    return Case("docker run", command, folder, environment), engine.close


def _gvisor(folder: str, environment: dict[str, str]) -> tuple[Case, "Callable[[], None]"]:
    """Beside `runsc run` of a configuration that says the same of process, limits and mounts."""
    bundle = f"{folder}/bundle"
    os.makedirs(f"{bundle}/rootfs/bin")
    for name in ("proc", "dev", "run"):
        os.mkdir(f"{bundle}/rootfs/{name}")
    shutil.copy(_BUSYBOX, f"{bundle}/rootfs/bin/busybox")
    sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
    configuration = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": UID, "gid": UID}, "args": ["/bin/busybox", "true"], "env": [],
            "cwd": "/",
            "capabilities": {name: [] for name in sets}, "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}],
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "ringfence",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]},
    }  # fmt: skip
    with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
        json.dump(configuration, file)
    command = [
        "runsc", f"--root={folder}/runsc", "--network=none", "--ignore-cgroups", "--overlay2=none",
        "--host-uds=none", "--host-fifo=none", "--platform=systrap", "run", f"--bundle={bundle}", "bare",
    ]  # fmt: skip
    return Case("runsc run", command, folder, environment), _nothing


def _microvm(folder: str, environment: dict[str, str]) -> tuple[Case, "Callable[[], None]"]:
    """Beside QEMU with the same machine, without files, network and ports."""
    from ringfence.boundary import cpio
    from ringfence.boundary.tiers import microvm
    from ringfence.host import probe, runtimes
    from ringfence.value import replace

    subprocess.run([*RINGFENCE, "image", "build", "--vm"], env=environment, check=True, capture_output=True)
    host = replace(probe.host(), state_dir=f"{environment['HOME']}/.local/state/ringfence")
    runtime = runtimes.microvm(host, folder)
    if runtime.refused:
        sys.exit(f"error: {runtime.refused}; {runtime.mend}")
    init = b"#!/bin/busybox sh\nexec /bin/busybox reboot -f\n"
    with open(f"{folder}/initrd", "wb") as file:
        file.write(cpio.archive({"init": init, "bin/busybox": runtime.contents["busybox"]}))
    kvm = runtime.version == "kvm"
    command = [
        runtime.path, "-M", "microvm,acpi=off,rtc=on,isa-serial=off,memory-backend=memory",
        "-accel", "kvm" if kvm else microvm.TRANSLATED, "-cpu", "host" if kvm else "max",
        "-smp", str(min(4, runtime.cpus)),
        "-m", "2048M", "-object", "memory-backend-memfd,id=memory,size=2048M,share=on",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-kernel", runtime.tools["kernel"], "-initrd", f"{folder}/initrd",
        "-append", _WORDS,
        "-device", "virtio-rng-device",
    ]  # fmt: skip
    return Case("qemu", command, folder, environment), _nothing


_BARE = {"sandbox": _sandbox, "container": _container, "gvisor": _gvisor, "microvm": _microvm}


if __name__ == "__main__":
    sys.exit(main())
