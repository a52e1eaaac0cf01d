"""The host's devices."""

from ringfence.verify.weakenings import change_options, no_landlock


def weaken() -> None:
    """Bind /dev as it is."""
    change_options(_changed)
    no_landlock()


def _changed(options: list[str]) -> list[str]:
    at = options.index("--dev")
    options[at : at + 2] = ["--dev-bind", "/dev", "/dev"]
    at = options.index("--remount-ro")
    del options[at : at + 2]
    return options
