"""Root stays root, and the host's /proc can be written. Only root's sessions can be weakened so."""

from ringfence.boundary import child
from ringfence.boundary.model import Mount
from ringfence.value import replace as with_
from ringfence.verify.weakenings import change_mounts, change_options, no_landlock, replace


def weaken() -> None:
    """Give nothing up before bubblewrap starts."""
    replace(child, "_drop", lambda *_given, **_named: None)
    change_options(_changed)
    change_mounts(_entered)
    no_landlock()


def _entered(mount: Mount) -> Mount:
    """Let a root without capabilities into the private folders, which are the agent's."""
    return with_(mount, mode=0o777) if mount.kind == "tmpfs" else mount


def _changed(options: list[str]) -> list[str]:
    options.remove("--unshare-pid")
    at = options.index("--proc")
    options[at : at + 2] = ["--bind", "/proc", "/proc"]
    return options
