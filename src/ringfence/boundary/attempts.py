"""Whether an overlay can be mounted over a project: tried once for two file systems and a boot.

What works is noted in the cache, what does not is tried again each time. A note that is wrong costs one
refused start, never a weaker one: then it is taken back.
"""

import os

from ringfence.boundary.launch import Child
from ringfence.host.model import Host


def begin(child: Child, workspace: str, host: Host) -> None:
    """Let the child try, unless it is known to work; the answer comes with `built`."""
    if not os.path.exists(_note(workspace, host)):
        child.try_overlay(workspace, f"{host.state_dir}/try-{os.getpid()}")


def finish(child: Child, workspace: str, host: Host) -> str:
    """Return why it is refused, or nothing."""
    note = _note(workspace, host)
    if child.asked and not child.refused and note:
        try:
            os.makedirs(os.path.dirname(note), 0o700, exist_ok=True)
            os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError:
            return ""  # tried again next time
    return child.refused


def take_back(workspace: str, host: Host) -> None:
    """Forget that it worked."""
    try:
        os.unlink(_note(workspace, host))
    except OSError:
        return


def _note(workspace: str, host: Host) -> str:
    """Return the note's path; none where a part of its name cannot be known."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        lower, upper = os.stat(workspace), os.stat(host.state_dir)
    except OSError:
        return ""
    owned = "" if lower.st_uid else "-root"
    return (
        f"{host.cache_dir}/overlay/{boot}-{lower.st_dev}-{upper.st_dev}-{host.uid}{owned}"
        if host.cache_dir
        else ""
    )
