"""A launcher that follows links in the project when it makes mounts there, at the worst of moments."""

import os
import stat
import time

from ringfence.boundary import syscalls
from ringfence.boundary.model import Mount
from ringfence.boundary.mounts import Builder
from ringfence.verify.weakenings import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 0.2  # seconds for a moment to come


def weaken() -> None:
    """Open sources by their names alone."""
    replace(Builder, "_source", _source)


def _source(builder: Builder, mount: Mount) -> int:
    """Open it while a folder on the way is a link; go on once it is a folder again."""
    path = mount.source
    if mount.kind in {"mask", "pin"}:
        path = builder._path(path)  # noqa: SLF001 - taken apart on purpose
    if not mount.source.startswith(builder._workspace + "/"):  # noqa: SLF001
        return syscalls.open_tree(path)
    folder = path if mount.kind == "pin" else os.path.dirname(path)
    _await(folder, stat.S_ISLNK)
    tree = syscalls.open_tree(path)
    _await(folder, stat.S_ISDIR)
    return tree


def _await(path: str, kind: "Callable[[int], bool]") -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and not kind(os.lstat(path).st_mode):
        pass
