"""What a container engine says that it has made for a session: everything beyond a plan's is named."""

import json
import os

from ringfence.host import engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALONE = {  # setting → the values that share nothing with the host
    "PidMode": {"", "private"}, "IpcMode": {"private", "none"}, "NetworkMode": {"none"},
    "UTSMode": {"", "private"}, "UsernsMode": {"", "private"}, "CgroupnsMode": {"private"},
}  # fmt: skip
_EMPTY = (
    "Devices",
    "DeviceRequests",
    "DeviceCgroupRules",
    "Binds",
    "CapAdd",
    "VolumesFrom",
    "Links",
    "GroupAdd",
)


def excess(socket: str, state_dir: str, launcher: int) -> list[str] | None:
    """Ask for the container of the session that a launcher runs; None while there is none."""
    name = session_of(state_dir, launcher)
    if not name:
        return None
    try:
        status, answer = engine.ask(socket, "GET", f"/containers/ringfence-{name}/json", wait=5.0)
    except OSError:
        return None
    return judge(json.loads(answer)) if status == 200 else None


def session_of(state_dir: str, launcher: int) -> str:
    """Return the id of the live session that a launcher runs."""
    folder = f"{state_dir}/live"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            with open(f"{folder}/{name}", encoding="ascii") as file:
                if file.read().split()[:1] == [str(launcher)]:
                    return name
        except OSError:
            continue
    return ""


def judge(made: "dict[str, Any]") -> list[str]:
    """Name what a container has that the guide's hardening leaves out."""
    host = made.get("HostConfig") or {}
    out = [f"{key} {host.get(key)}" for key, good in _ALONE.items() if (host.get(key) or "") not in good]
    out += [f"{key} {host.get(key)}" for key in _EMPTY if host.get(key)]
    security = host.get("SecurityOpt") or []
    wrong = {
        "Privileged": bool(host.get("Privileged")),
        "a writable root": not host.get("ReadonlyRootfs"),
        "capabilities": "ALL" not in (host.get("CapDrop") or []),
        "new privileges": not any(one.startswith("no-new-privileges") for one in security),
        "no filter": not any(one.startswith("seccomp=") and "unconfined" not in one for one in security),
        "root": str((made.get("Config") or {}).get("User") or "0").split(":")[0] in {"0", "root"},
        "writable mounts": any(one.get("RW") for one in made.get("Mounts") or []),
        "an engine's socket": any(
            str(one.get("Source")).endswith(".sock") for one in made.get("Mounts") or []
        ),
    }
    return out + [name for name, is_so in wrong.items() if is_so]
