"""What a test must not leave on the machine: processes, mounts, network namespaces, cgroups, folders.

The tests' own process takes in the orphans of everything that it started (PR_SET_CHILD_SUBREAPER), so whatever
still runs of a test is below it, and nothing of another suite on the same machine is taken for ours. Mounts,
cgroups and folders are ours by the names in them: of a session, or of the folders that the test had made. A
network namespace that nobody mounted goes with the last process in it.
"""

import contextlib
import ctypes
import glob
import os
import time
from typing import ClassVar

GRACE = 8.0  # seconds: a container's last helper ends after the container; on a busy machine later still
_SUBREAPER = 36
_HOLDERS = ("catatonit -P ", "podman pause ")  # of a user's namespaces, as long as Podman's folder is there
_PLACES = ("/tmp", "/run", "/run/ringfence", "/dev/shm", "/var/tmp", "/run/netns")


def adopt():
    """Become the parent of whatever loses its own below this process."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


class Traces:
    """What was there when a test began."""

    made: ClassVar["list[str]"] = []  # session names and folders of the tests since the last look
    standing: ClassVar["list[str]"] = []  # folders of daemons that outlive a test; their processes name them
    standing_pids: ClassVar["list[int]"] = []  # launchers of sessions that several tests share

    def __init__(self):
        Traces.made.clear()
        self._processes = set(_below(os.getpid()))
        self._mounts = set(_mounts())

    def left(self, seconds=GRACE):
        """Return what is there now and was not, once nothing of it goes away any more."""
        until = time.monotonic() + seconds
        while (found := self._look()) and time.monotonic() < until:
            time.sleep(0.02)
        return found

    def _look(self):
        names = [one for one in Traces.made if one]
        found = [f"process {one}: {_command(one)}" for one in self._running()]
        found += [
            f"mount {one}"
            for one in _mounts()
            if one not in self._mounts and any(map(one.__contains__, names))
        ]
        for place in _PLACES:
            with contextlib.suppress(OSError):
                found += [f"{place}/{one}" for one in os.listdir(place) if any(map(one.__contains__, names))]
        groups = (glob.glob(f"/sys/fs/cgroup/{level}ringfence-*") for level in ("", "*/", "*/*/"))
        found += [one for level in groups for one in level if any(map(one.__contains__, names))]
        found += [one for one in names if one.startswith("/") and os.path.lexists(one)]
        return found

    def _running(self):
        """Return the processes of the test that run, and reap those that ended and that nobody waits for."""
        out = []
        shared = {one for pid in Traces.standing_pids for one in (pid, *_below(pid))}
        for pid in _below(os.getpid()):
            if pid in shared or _command(pid) in _HOLDERS:
                continue
            if pid in self._processes or any(one in _command(pid) for one in Traces.standing):
                continue
            if _state(pid) == "Z":
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)
            elif _state(pid):
                out.append(pid)
        return out


def _below(pid):
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="ascii") as file:
                    below = [int(word) for word in file.read().split()]
                found += below
                todo += below
    return found


def _state(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0].decode()
    return ""


def _command(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode(errors="replace")[:300]
    return ""


def _mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in file]
