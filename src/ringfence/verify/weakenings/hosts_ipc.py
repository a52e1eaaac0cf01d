"""The host's System V objects and message queues."""

from ringfence.verify.weakenings import change_options


def weaken() -> None:
    """Start bubblewrap without an IPC namespace."""
    change_options(lambda options: [one for one in options if one != "--unshare-ipc"])
