"""What is left of a session once it has ended: processes, mounts, control groups, files, a container.

A namespace lives for as long as a process, a descriptor of one, or a mount: where none of a session's is
left, its namespaces are gone too.
"""

import os

from ringfence.host import engine
from ringfence.value import Struct
from ringfence.verify import inspected, witness

_OF_A_RUN = ("inside", "container", "protected")  # in a session's folder, for as long as it runs


class Noted(Struct):
    """What a session is made of, while it runs."""

    session: str
    processes: witness.Known
    groups: tuple[str, ...]


def note(launcher: int, state_dir: str) -> Noted:
    """Look at a session that runs."""
    processes = witness.family(launcher)
    groups = {path for pid, _began in processes for path in _groups(pid)}
    return Noted(
        session=inspected.session_of(state_dir, launcher), processes=processes, groups=tuple(sorted(groups))
    )


def left(noted: Noted, state_dir: str, socket: str, *, killed: bool) -> list[str]:
    """Name what is still there. What a launcher that was killed leaves in files, the next one takes away."""
    found = [f"process {pid}" for pid, _began in witness.alive(noted.processes)]
    found += [f"mount at {line.split()[4]}" for line in _mounts() if noted.session and noted.session in line]
    if noted.session and socket and _contained(socket, noted.session):
        found.append("its container")
    if killed:
        return found
    found += [f"control group {path}" for path in noted.groups if os.path.isdir(path)]
    if noted.session:
        places = [f"live/{noted.session}", *(f"sessions/{noted.session}/{one}" for one in _OF_A_RUN)]
        found += [place for place in places if os.path.lexists(f"{state_dir}/{place}")]
    return found


def _groups(pid: int) -> list[str]:
    """Return the control groups of ours that a process is in."""
    found = []
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            for line in file:
                _number, names, path = line.rstrip("\n").split(":", 2)
                if "/ringfence-" in path:
                    found.append(f"/sys/fs/cgroup/{names}{path}" if names else f"/sys/fs/cgroup{path}")
    except OSError:
        return []
    return found


def _mounts() -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return file.readlines()


def _contained(socket: str, session: str) -> bool:
    try:
        return engine.ask(socket, "GET", f"/containers/ringfence-{session}/json", wait=5.0)[0] != 404
    except OSError:
        return False  # no engine, no container
