"""What the kernel says of a container's first program while it waits, beside what the engine says."""

import os

_NONE = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_NAMESPACES = ("net", "mnt", "pid", "ipc", "uts", "cgroup")


def differences(pid: int, uid: int) -> tuple[str, ...]:
    """Say in what a process is less confined than every plan wants it; nothing where it is not."""
    with open(f"/proc/{pid}/status") as file:
        rows = {name: rest.strip() for name, _, rest in (line.partition(":") for line in file)}
    out = [f"{name} is {rows.get(name)}" for name in _NONE if int(rows.get(name, "1"), 16)]
    if set(rows["Uid"].split()) != {str(uid)}:
        out.append(f"Uid is {rows['Uid']}")
    for name, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2")):
        if rows.get(name) != wanted:
            out.append(f"{name} is {rows.get(name)}")
    shared = [kind for kind in _NAMESPACES if _namespace(pid, kind) == _namespace("self", kind)]
    return (*out, *(f"it shares the {kind} namespace with this machine" for kind in shared))


def _namespace(pid: "int | str", kind: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
