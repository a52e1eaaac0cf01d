"""A launcher that follows links in the project when it makes mounts there, at the worst of moments."""

import os
import stat
import time

from ringfence.boundary import syscalls
from ringfence.boundary.model import Mount
from ringfence.boundary.mounts import Builder
from ringfence.verify.weakenings import replace

_PATIENCE = 0.5  # seconds for a moment to come


def weaken() -> None:
    """Open sources by their names alone."""
    replace(Builder, "_source", _source)


def _source(builder: Builder, mount: Mount) -> int:
    """Follow a link that stands in a folder's place for a moment; go on once it is a folder again."""
    path = mount.source
    if mount.kind in {"mask", "pin"}:
        path = builder._path(path)  # noqa: SLF001 - taken apart on purpose
    if not mount.source.startswith(builder._workspace + "/"):  # noqa: SLF001
        return syscalls.open_tree(path)
    folder, name = (path, "") if mount.kind == "pin" else os.path.split(path)
    tree = syscalls.open_tree(os.path.join(_followed(folder), name))
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and not stat.S_ISDIR(os.lstat(folder).st_mode):
        pass
    return tree


def _followed(folder: str) -> str:
    """Return where a link leads that comes up in a folder's place; the folder if none does."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            return os.readlink(folder)
        except OSError:
            continue
    return folder
