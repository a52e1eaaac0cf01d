"""Throwing changes away: out of the session's layer, so that the project shows through again.

All of a session's changes go with its copy (`overlay.remove`). Single ones are removed from the layer;
where the project cannot show through (a folder that was deleted or replaced as a whole), the folder has
to go whole.
"""

import os
import stat

from ringfence.errors import UsageError
from ringfence.workspace import apply, beneath, manifest
from ringfence.workspace.hold import Hold
from ringfence.workspace.layers import COPY, DIRECTORY, MODE, Change, Layers
from ringfence.workspace.steps import show


def discard(layers: Layers, changes: tuple[Change, ...]) -> int:
    """Remove some changes from the layer; return how many. Checks all before it removes any."""
    if layers.kind == COPY:
        raise UsageError(
            "this session works on a whole copy of the project, of which no single change can be discarded",
            hint=f"discard all of it: ringfence discard {layers.session}",
        )
    with Hold(layers):
        apply.refuse_interrupted(layers)
        root = beneath.open_root(layers.upper)
        try:
            paths = sorted({path for one in changes for path in _paths(one)})
            for path in paths:
                _check(root, layers, path, set(paths))
            manifest.discard(layers)
            for change in changes:
                _remove(root, layers, change)
        finally:
            os.close(root)
    return len(changes)


def _paths(change: Change) -> tuple[bytes, ...]:
    return (change.path, change.source) if change.source else (change.path,)


def _check(root: int, layers: Layers, path: bytes, going: set[bytes]) -> None:
    """Refuse where removing what the layer has at a path would not bring the project's back."""
    parts = path.split(b"/")
    for count in range(1, len(parts)):
        folder = b"/".join(parts[:count])
        if folder in going:
            return  # it goes with all in it
        status = beneath.lstat(root, folder)
        whole = not stat.S_ISDIR(status.st_mode)
        if not whole:
            marked = beneath.attributes(root, folder).get(f"{layers.xattr}.opaque") == b"y"
            whole = marked and _is_below(layers, path)
        if whole:
            raise UsageError(
                f"{show(path)} cannot be discarded alone: {show(folder)} was deleted or replaced as a whole",
                hint=f"discard the whole folder: ringfence discard {layers.session} -- {show(folder)}",
            )


def _is_below(layers: Layers, path: bytes) -> bool:
    root = beneath.open_real_root(layers.workspace)
    try:
        return beneath.exists(root, path)
    finally:
        os.close(root)


def _remove(root: int, layers: Layers, change: Change) -> None:
    if change.kind == MODE and change.after is not None and change.after.kind == DIRECTORY:
        assert change.before is not None  # noqa: S101 - for the type checker
        fd = beneath.open_at(root, change.path, os.O_PATH | os.O_DIRECTORY)
        try:
            os.chmod(f"/proc/self/fd/{fd}", change.before.mode)
        finally:
            os.close(fd)
        return
    for path in _paths(change):
        if beneath.exists(root, path) and not _is_open_folder(root, layers, path):
            beneath.remove(root, path)


def _is_open_folder(root: int, layers: Layers, path: bytes) -> bool:
    """Tell whether the layer's folder only stands above changes: the project has one here as well."""
    if not stat.S_ISDIR(beneath.lstat(root, path).st_mode):
        return False
    if beneath.attributes(root, path).get(f"{layers.xattr}.opaque") == b"y":
        return False
    project = beneath.open_real_root(layers.workspace)
    try:
        return beneath.exists(project, path) and stat.S_ISDIR(beneath.lstat(project, path).st_mode)
    finally:
        os.close(project)
