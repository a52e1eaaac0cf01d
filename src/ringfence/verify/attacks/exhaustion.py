"""S19: more of the machine than the plan gives: processes, descriptors, file size, scratch space, zombies.

Each limit that the plan says is held is pushed against, one step beyond, and everything is given
back at once. A limit that the plan does not set, or says is not held, is no finding.
"""

import os
import resource
import time

from ringfence.verify.prelude import Tally, in_child, read_text, until

_MIB = 1 << 20
_MOST_THREADS, _MOST_BYTES = 20000, 256 * _MIB


def attack(facts):
    """Push against each limit, and see that orphans are reaped."""
    tally = Tally()
    limits = {limit["name"]: limit for limit in facts.get("limits", [])}
    _push(tally, limits, "processes", _MOST_THREADS, _threads)
    _push(tally, limits, "open_files", 1 << 20, _descriptors)
    _push(tally, limits, "file_size", _MOST_BYTES, _file)
    _push(tally, limits, "scratch", _MOST_BYTES, _scratch)
    _orphans(tally, own_kernel=bool(facts.get("own_kernel")))
    return tally.finding()


def _push(tally, limits, name, most, reach):
    limit = limits.get(name)
    if not limit or limit["held"] not in {"enforced", "per-process"}:
        tally.skip(name, "no limit that is held")
        return
    allowed = int(limit["value"])
    if allowed > most:
        tally.skip(name, f"{allowed} is too many to try")
        return
    reached = int(in_child(lambda: reach(allowed), patience=60))
    tally.expect(name, reached <= allowed, f"{reached} of {allowed}")


def _threads(allowed):
    """Start sleeping threads until the kernel refuses; they end with this child."""
    import _thread

    _thread.stack_size(64 << 10)
    for count in range(allowed + 64):
        try:
            _thread.start_new_thread(time.sleep, (60,))
        except RuntimeError:
            return count
    return allowed + 64


def _descriptors(allowed):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > allowed:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = 3
    try:
        while count <= allowed + 8:
            count = max(count, os.dup(0)) + 1
    except OSError:
        return count
    return count


def _file(allowed):
    path = f".ringfence-verify-{os.getpid()}"
    folder = "/tmp" if os.access("/tmp", os.W_OK) else os.getcwd()
    fd = os.open(os.path.join(folder, path), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.unlink(os.path.join(folder, path))
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        os.ftruncate(fd, allowed + 1)  # asks for the limit, takes no space
    except OSError:
        return allowed
    return allowed + 1


def _scratch(allowed):
    fd = os.open(f"/tmp/.ringfence-verify-{os.getpid()}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.unlink(f"/tmp/.ringfence-verify-{os.getpid()}")
    written = 0
    try:
        while written <= allowed + _MIB:
            written += os.write(fd, b"\0" * _MIB)
    except OSError:
        pass
    return written


def _orphans(tally, *, own_kernel):
    """Leave fifty grandchildren to the first process inside: it must take them in and reap them.

    In a kernel of the session's own they fill a table that ends with it; what counts is that they do not
    keep the session from starting more.
    """
    for _ in range(50):
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                time.sleep(0.05)
            os._exit(0)
        os.waitpid(child, 0)
    if own_kernel and not until(lambda: not _zombies(), 1):
        more = in_child(lambda: sum(_forked() for _ in range(50)))
        tally.expect("orphans in the session's own kernel", int(more) == 50, f"{more} of 50 more could start")
        return
    tally.expect(
        "orphans reaped",
        until(lambda: not _zombies(), 3),
        "none left" if not _zombies() else f"{len(_zombies())} zombies",
    )


def _forked():
    child = os.fork()
    if child == 0:
        os._exit(0)
    return int(os.waitpid(child, 0)[1] == 0)


def _zombies():
    found = []
    for name in os.listdir("/proc"):
        fields = read_text(f"/proc/{name}/stat").rpartition(")")[2].split() if name.isdigit() else []
        if fields[:2] == ["Z", "1"]:
            found.append(name)
    return found
