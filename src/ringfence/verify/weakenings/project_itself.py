"""The project itself where there should be a copy."""

from ringfence.boundary.model import Mount
from ringfence.value import replace
from ringfence.verify.weakenings import change_mounts, no_landlock


def weaken() -> None:
    """Bind the project in the place of the overlay."""
    change_mounts(_changed)
    no_landlock()


def _changed(mount: Mount) -> Mount | None:
    if mount.kind == "stand-in":
        return None
    return replace(mount, kind="rw", upper="") if mount.kind == "overlay" else mount
