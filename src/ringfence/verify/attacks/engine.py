"""S25: what a container engine gives to its containers unless it is told otherwise.

Inside: no privilege, no writable system, nothing executable in scratch space, limits in force, no engine's
socket. The battery asks the engine itself, while the session runs, what it made.
"""

import os
import shutil
import stat

from ringfence.verify.prelude import NO_CHANGE, NO_FILE, NotPossibleHere, Tally, in_child, read_text

_SOCKETS = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
)
_MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware")
_FIXED = ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity")


def attack(facts):
    """Read what the kernel says of us, and use what a default container would leave open."""
    tally = Tally()
    status = dict(one.split(":\t", 1) for one in read_text("/proc/self/status").splitlines() if ":\t" in one)
    for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        tally.expect(name, int(status.get(name, "1"), 16) == 0, status.get(name, "unknown"))
    tally.expect("no_new_privs", status.get("NoNewPrivs") == "1", status.get("NoNewPrivs", "unknown"))
    tally.expect("filter", status.get("Seccomp") == "2", status.get("Seccomp", "unknown"))
    tally.expect("user", 0 not in {os.getuid(), os.getgid()}, f"{os.getuid()}:{os.getgid()}")
    for path in _SOCKETS:
        tally.refuse(path, lambda path=path: os.stat(path), NO_FILE)
    for place in facts.get("engine_scratch", []):
        tally.refuse(f"run a program in {place}", lambda place=place: _run(place), NO_CHANGE)
    for path in _MASKED:
        tally.refuse(f"read {path}", lambda path=path: _read(path), NO_FILE)
    for path in _FIXED:
        tally.refuse(f"write {path}", lambda path=path: os.close(os.open(path, os.O_WRONLY)), NO_CHANGE)
    blocks = [one for one in os.listdir("/dev") if stat.S_ISBLK(os.lstat(f"/dev/{one}").st_mode)]
    tally.expect("block devices", not blocks, ", ".join(blocks[:4]) or "none")
    return tally.finding()


def _run(place):
    """Execute a copy of a program where anybody could have written one."""
    source = shutil.which("true")
    if not source or not os.access(place, os.W_OK):
        raise NotPossibleHere("nothing to run, or not writable")
    path = f"{place}/.ringfence-verify-{os.getpid()}"
    shutil.copy(source, path)
    try:
        os.chmod(path, 0o755)
        in_child(lambda: os.execv(path, [path]))
    except OSError as error:
        if error.errno == 5:  # the child became the program, and ended without an answer
            return
        raise
    finally:
        os.unlink(path)


def _read(path):
    if os.path.isdir(path):
        if not os.listdir(path):
            raise PermissionError(1, "empty")
        return
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not os.read(fd, 1):
            raise PermissionError(1, "empty")
    finally:
        os.close(fd)
