"""The copy of the project of a boundary that waits for its command, and is no session before it gets one."""

import os

from ringfence.value import replace
from ringfence.workspace import overlay
from ringfence.workspace.layers import REPOSITORY, UNCLAIMED, Layers
from ringfence.workspace.overlay import LAYERS, LOCK, Held


def mark(folder: str) -> None:
    """Say that the session of a folder has not begun."""
    os.close(os.open(f"{folder}/{UNCLAIMED}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def claim(folder: str) -> None:
    """Say that it begins."""
    os.unlink(f"{folder}/{UNCLAIMED}")


def begin_again(held: Held) -> Held:
    """Let a copy begin now: what changes below from here on was not seen by its session."""
    os.fchmod(held.lock, 0o600)  # a new ctime
    begun = replace(held.layers, started=os.fstat(held.lock).st_ctime_ns)
    overlay.write(held.folder, begun)
    outside = f"{held.folder}/{REPOSITORY}"
    if os.path.isdir(outside):
        overlay.write(outside, replace(overlay.load(f"{outside}/{LAYERS}"), started=begun.started))
    return replace(held, layers=begun)


def clear(folder: str) -> bool:
    """Remove what a killed launcher left of it; False where somebody uses it."""
    if not os.path.exists(f"{folder}/{LOCK}"):
        return True
    fd = overlay.locked(Layers(session="", workspace="", upper="", lock=f"{folder}/{LOCK}"))
    if fd is None:
        return False
    try:
        overlay.remove_all(folder)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
