"""The host's processes: no process namespace, and its /proc."""

from ringfence.verify.weakenings import change_options, no_landlock


def weaken() -> None:
    """Start bubblewrap without a process namespace; what it starts outlives it."""
    change_options(_changed)
    no_landlock()


def _changed(options: list[str]) -> list[str]:
    options.remove("--unshare-pid")
    at = options.index("--proc")
    options[at : at + 2] = ["--bind", "/proc", "/proc"]
    return options
