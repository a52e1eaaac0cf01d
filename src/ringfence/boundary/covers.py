"""What a session's mounts are made of, and whether it is still there.

A mount holds the file it was made of and lies on the file it covers. When somebody on the host puts another
file in that place (editors and git do so whenever they save), the kernel takes the mount off the name in
every namespace, and what it hid or protected is open. From inside nobody can: the name is busy there. A copy
of the project hides and protects by names, so this is about sessions that work on the real files.

No file system call waits for us, so all that can be done is to look often, and to end the session.
"""

import os

from ringfence.boundary.model import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_BINDS = frozenset(("ro", "rw", "pin", "masked", "overlay"))  # mounts of what stands at a path of the host
_EVERY = 0.05  # seconds; what is written or read in between is not prevented


def bound(plan: Plan) -> dict[str, tuple[int, int]]:
    """Return which files and folders a plan's mounts are made of, and lie on.

    Where an overlay hides names, they stay hidden.
    """
    paths = [mount.source for mount in plan.mounts if mount.kind in _BINDS]
    return _identities((*paths, *_hidden(plan)))


class Covers:
    """The covered files of a session that works on the real ones."""

    every = _EVERY

    def __init__(self, plan: Plan) -> None:
        below = plan.workspace.root + "/"
        kept = [
            mount.source for mount in plan.mounts if mount.kind in _BINDS and mount.target.startswith(below)
        ]
        found = _identities((*kept, *_hidden(plan)))
        self._found = {path: one for path, one in found.items() if one != (0, 0)}

    def look(self) -> str:
        """Return why the session must end, or nothing."""
        for path, found in self._found.items():
            if _identity(path) != found:
                return (
                    f"{path} was replaced on the host, and nothing hides or protects the new one in a "
                    "session that works on the real files (in overlay mode its name stays covered)"
                )
        return ""


def _hidden(plan: Plan) -> list[str]:
    masks = [mount.target for mount in plan.mounts if mount.kind == "mask"]
    if plan.workspace.mode != "overlay":
        masks += [one.path for one in plan.workspace.hidden]
    return masks


def _identities(paths: "Iterable[str]") -> dict[str, tuple[int, int]]:
    return {path: _identity(path) for path in paths}


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.lstat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
