"""The system's folders as they are on the host: nothing is mounted read-only."""

from ringfence.boundary.model import Mount
from ringfence.value import replace
from ringfence.verify.weakenings import change_mounts, no_landlock


def weaken() -> None:
    """Bind everything for reading and writing."""
    change_mounts(_changed)
    no_landlock()


def _changed(mount: Mount) -> Mount:
    return replace(mount, kind="rw") if mount.kind == "ro" else mount
