"""Looking into the workspace's files for keys while a session runs, in a process of its own.

It starts once the session has stood for a moment (or with the gate), so that a short command does not
wait for it, has the lowest priority, and ends with the session; what it has found by then is kept. It
reads files that an attacker may have written, so it gives up what it does not need first: the network,
new privileges, and by Landlock every file but the workspace's, its own two and Python's.
"""

import os
import sys

from ringfence.boundary import landlock, launch, syscalls
from ringfence.boundary.model import Plan
from ringfence.host.model import Host
from ringfence.policy.model import Policy
from ringfence.workspace import detect

_NICEST = 19
_MOST_TOLD = 5
_OWN = landlock.WRITE


def wanted(policy: Policy) -> bool:
    """Tell whether the policy wants files looked into, and there are any inside."""
    return policy.workspace.content != "off" and policy.workspace.mode != "scratch"


class Looking:
    """One session's background process."""

    def __init__(self, plan: Plan, host: Host) -> None:
        """Nothing is looked into where the plan's policy does not want it."""
        self._workspace, self._policy = plan.workspace.root, plan.policy
        self._hidden = frozenset([one.path for one in plan.workspace.hidden])
        self._file = detect.file_of(host.cache_dir, self._workspace) if wanted(plan.policy) else ""
        self._pid = 0

    def start(self) -> None:
        """Begin, unless it has."""
        if self._pid or not self._file:
            return
        try:
            os.makedirs(os.path.dirname(self._file), 0o700, exist_ok=True)
        except OSError:
            return  # nothing could be kept
        self._pid = launch.start_looking(self._workspace, self._file)

    def end(self) -> list[str]:
        """Stop; return what to tell the operator: files with keys that the session could see."""
        if not self._pid:
            return []
        _stop(self._pid)
        unmask = self._policy.workspace.unmask
        found = detect.present(self._workspace, detect.load(self._file, self._workspace), unmask)
        return self._told([hit for hit in found if f"{self._workspace}/{hit.path}" not in self._hidden])

    def _told(self, late: "list[detect.Hit]") -> list[str]:
        if self._policy.workspace.content != "mask":
            return []
        out = [
            f"ringfence: {_shown(hit.path)} {detect.rule_of(hit)}; it is hidden from the next session on"
            for hit in late[:_MOST_TOLD]
        ]
        rest = len(late) - len(out)
        return [*out, *([f"ringfence: and {rest} more; `ringfence scan` lists them"] if rest > 0 else [])]


def _shown(path: str) -> str:
    return path if path.isprintable() else path.encode("unicode_escape", "backslashreplace").decode()


def _stop(pid: int) -> None:
    """End the process; it stores what it has and goes."""
    import time

    try:
        os.kill(pid, 15)
        for _ in range(200):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.005)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


# --- the process itself -------------------------------------------------------------------------


def main(workspace: str, file: str) -> None:
    """Look, in the background."""
    import signal

    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    os.nice(_NICEST)
    _idle_input()
    from ringfence.workspace import detection

    confine(workspace, os.path.dirname(file))
    detection.scan(workspace, file)


def _idle_input() -> None:
    """Read the disk only when nobody else does (ioprio_set(2))."""
    number = {"x86_64": 251, "aarch64": 30}.get(os.uname().machine)
    if number is not None:
        try:
            syscalls.check_call(number, 1, 0, 3 << 13)
        except OSError:
            return


def confine(workspace: str, folder: str) -> None:
    """Give up the network, new privileges and all files but those that looking needs.

    A second lock on a reader of ours that follows no link: where the kernel lacks a part, it goes without.
    """
    syscalls.prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    _leave_network()
    version = landlock.abi()
    if version > 0:
        python = [*sys.path, sys.prefix, sys.base_prefix, "/usr/lib", "/usr/share/zoneinfo", "/proc/self"]
        rules = {path: landlock.READ for path in (*python, workspace) if os.path.isdir(path)}
        _landlock(version, {**rules, folder: _OWN})


def _leave_network() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET | (syscalls.CLONE_NEWUSER if uid else 0))
    except OSError:
        return
    if not uid:
        return
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _landlock(version: int, rules: dict[str, int]) -> None:
    import ctypes
    import struct

    handled = landlock.WRITE
    attributes = ctypes.create_string_buffer(struct.pack("<Q", handled if version >= 3 else handled & 0x1FFF))
    ruleset = syscalls.check_call(444, attributes, 8, 0)
    try:
        for path, rights in rules.items():
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = rights & handled if version >= 3 else rights & 0x1FFF
            rule = ctypes.create_string_buffer(struct.pack("<Qi", allowed, place))
            try:
                syscalls.check_call(445, ruleset, 1, rule, 0)
            finally:
                os.close(place)
        syscalls.check_call(446, ruleset, 0)
    finally:
        os.close(ruleset)
