"""S06: other processes: their memory, environment, descriptors and root; signals; tracing."""

import ctypes
import os

from ringfence.verify.prelude import NO_FILE, REFUSED, Tally, can_open, read_text, syscall

_PTRACE_SEIZE = 0x4206
_GONE = REFUSED | {3}  # ESRCH: no such process here


def attack(facts):
    """Look for processes that are not the session's, and reach into the first one."""
    tally = Tally()
    _namespaces(tally, facts)
    for pid in _others():
        _reach_into(tally, pid)
    for pid in facts.get("host_pids", []):
        if str(pid) not in os.listdir("/proc"):
            tally.refuse(f"signal host process {pid}", lambda pid=pid: os.kill(pid, 0), _GONE)
            tally.refuse(f"pidfd of host process {pid}", lambda pid=pid: syscall("pidfd_open", pid, 0), _GONE)
    attributes = ctypes.create_string_buffer(b"\1\0\0\0\x80\0\0\0", 128)
    tally.refuse("perf_event_open", lambda: syscall("perf_event_open", attributes, 0, -1, -1, 0))
    tally.refuse("kcmp", lambda: syscall("kcmp", 1, os.getpid(), 0, 0, 0))
    return tally.finding()


def _namespaces(tally, facts):
    """Compare namespaces with the host's. Under two kernels equal numbers name different namespaces."""
    boot = read_text("/proc/sys/kernel/random/boot_id").strip()
    if facts.get("tier") == "microvm" and boot and boot != facts.get("boot"):
        tally.expect("namespaces", True, "of another kernel: its boot_id is not the host's")
        return
    for kind, outside in facts.get("namespaces", {}).items():
        try:
            inside = os.readlink(f"/proc/self/ns/{kind}")
        except OSError:
            tally.skip(f"{kind} namespace", "not shown")
            continue
        tally.expect(
            f"own {kind} namespace",
            inside != outside,
            "private" if inside != outside else "shared with the host",
        )


def _others():
    """Return processes that are neither this one nor its ancestors inside, but always the first."""
    mine = {os.getpid()}
    pid = os.getppid()
    while pid > 1:
        mine.add(pid)
        fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in mine]


def _reach_into(tally, pid):
    if pid != 1 and not os.path.exists(f"/proc/{pid}"):
        return
    known = set(os.environ) | {"PWD", "OLDPWD", "SHLVL", "_"}
    extra = {
        pair.partition("=")[0] for pair in read_text(f"/proc/{pid}/environ").split("\0") if pair.strip()
    } - known
    tally.expect(f"environment of {pid}", not extra, ", ".join(sorted(extra)[:5]) or "no more than our own")
    tally.refuse(f"/proc/{pid}/mem", lambda: can_open(f"/proc/{pid}/mem", os.O_RDWR), NO_FILE | _GONE)
    tally.refuse(f"/proc/{pid}/root", lambda: _elsewhere(pid), NO_FILE | _GONE)
    for fd in _descriptors(pid):
        tally.refuse(f"descriptor {fd} of {pid}", lambda fd=fd: _outside_file(pid, fd), NO_FILE)
    tally.refuse(f"trace {pid}", lambda: syscall("ptrace", _PTRACE_SEIZE, pid, 0, 0))
    tally.refuse(f"process_vm_readv of {pid}", lambda: _read_memory(pid))
    tally.refuse(f"take a descriptor of {pid}", lambda: _steal(pid))


def _elsewhere(pid):
    """Another root directory than our own would be a way out; ours again is none."""
    theirs, ours = os.stat(f"/proc/{pid}/root/."), os.stat("/.")
    if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
        raise PermissionError(1, "the same root as ours")


def _descriptors(pid):
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []


def _outside_file(pid, fd):
    """Open what another process holds open; a pipe or a terminal of our own session is no prize."""
    where = f"/proc/{pid}/fd/{fd}"
    target = os.readlink(where)
    if not target.startswith("/") or target.startswith(("/dev/null", "/dev/pts/", "/dev/tty")):
        raise PermissionError(1, "nothing to open")
    can_open(where)


def _read_memory(pid):
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_void_p * 2)(0x400000, 8)
    try:
        syscall("process_vm_readv", pid, local, 1, remote, 1, 0)
    except OSError as error:
        if error.errno == 14:
            return
        raise


def _steal(pid):
    fd = syscall("pidfd_open", pid, 0)
    try:
        os.close(syscall("pidfd_getfd", fd, 0, 0))
    finally:
        os.close(fd)
