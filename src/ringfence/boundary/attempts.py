"""Whether an overlay can be mounted over a project: tried once for two file systems and a boot.

What works is noted in the cache, what does not is tried again each time. A note that is wrong costs one
refused start, never a weaker one: then it is taken back.
"""

import os

from ringfence.boundary.launch import Child
from ringfence.host.model import Host


def refusal(child: Child, workspace: str, host: Host) -> str:
    """Return why a child that stands cannot mount an overlay over the workspace; or nothing."""
    note = _note(workspace, host)
    if note and os.path.exists(note):
        return ""
    refused = child.try_overlay(workspace, f"{host.state_dir}/try-{os.urandom(6).hex()}")
    note = _note(workspace, host)  # the state folder is there now
    if not refused and note:
        try:
            os.makedirs(os.path.dirname(note), 0o700, exist_ok=True)
            os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except OSError:
            return ""  # tried again next time
    return refused


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
