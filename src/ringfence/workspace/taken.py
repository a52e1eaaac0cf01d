"""What was applied already: where the user went on with it, the session has nothing new to say.

After an apply the layer still holds what was applied. A file that its owner has edited since differs from
both, which looks like a conflict; but the session's side of it has landed, and is as it was. Such a change
is shown and named, and holds nothing else up. The change time in the layer tells that it was not written
again: nobody can set it.
"""

import os

from ringfence.value import replace
from ringfence.workspace import beneath, journal
from ringfence.workspace.below import LATER
from ringfence.workspace.journal import DONE, GONE, OPEN
from ringfence.workspace.layers import Change, Layers
from ringfence.workspace.steps import TAKE

TAKEN = "applied already, and changed in the workspace since"
_FOLDER = "applied"


def tell(layers: Layers, upper: int, changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Return the changes; a conflict of what was applied says so. `upper`: the open layer."""
    if all(one.conflict != LATER for one in changes):
        return changes
    applied = _applied(f"{os.path.dirname(layers.upper)}/{_FOLDER}")
    return tuple(
        replace(one, conflict=TAKEN)
        if one.conflict == LATER and one.path in applied and _changed(upper, one.path) <= applied[one.path]
        else one
        for one in changes
    )


def _applied(top: str) -> dict[bytes, int]:
    """Return each path that was applied whole and not taken back, with the time (ns)."""
    found: dict[bytes, int] = {}
    try:
        names = sorted(os.listdir(top))
    except FileNotFoundError:
        return found
    for name in names:
        folder = f"{top}/{name}"
        done = (
            None
            if any(os.path.exists(f"{folder}/{one}") for one in (OPEN, GONE))
            else journal.read(folder, DONE)
        )
        if done is not None:
            when = os.stat(f"{folder}/{DONE}").st_mtime_ns
            paths = {*done.whole, *(step.path for step in done.steps if step.act == TAKE)}
            found |= dict.fromkeys(paths, when)
    return found


def _changed(upper: int, path: bytes) -> int:
    """Return when the layer last wrote here (ns), or at what covers it: a folder that is gone."""
    while True:
        try:
            return beneath.lstat(upper, path).st_ctime_ns
        except (FileNotFoundError, NotADirectoryError):
            path = path.rpartition(b"/")[0]
