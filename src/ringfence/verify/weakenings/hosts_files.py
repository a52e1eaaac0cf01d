"""The host's home and temporary folders, where the private ones would be."""

from ringfence.boundary.model import Mount
from ringfence.value import replace
from ringfence.verify.weakenings import change_mounts, no_landlock


def weaken() -> None:
    """Bind the host's own in the place of each tmpfs."""
    change_mounts(_changed)
    no_landlock()


def _changed(mount: Mount) -> Mount:
    return replace(mount, kind="rw", source=mount.target) if mount.kind == "tmpfs" else mount
