"""Root stays root, and the host's /proc can be written. Only root's sessions can be weakened so."""

from ringfence.boundary import child
from ringfence.verify.weakenings import change_options, no_landlock, replace


def weaken() -> None:
    """Give nothing up before bubblewrap starts."""
    replace(child, "_drop", lambda *_given, **_named: None)
    change_options(_changed)
    no_landlock()


def _changed(options: list[str]) -> list[str]:
    options.remove("--unshare-pid")
    at = options.index("--proc")
    options[at : at + 2] = ["--bind", "/proc", "/proc"]
    return options
