"""The steps of a journal, done: one after the other, but for what no other step depends on.

Folders go and come in order. Files and links that land between them are apart from each other, so where
they are many, processes share them; each looks at once how what it moved stands there now. When a step
fails, all processes have come to an end before the error is raised: who takes it all back is alone.
"""

import os

from ringfence.workspace import crew, settled, steps
from ringfence.workspace.steps import ADD, PUT, Site, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringfence.workspace.settled import Row


def land(site: Site, todo: "Sequence[Step]") -> "dict[bytes, Row | None]":
    """Do all steps; return how the files and links stand that landed; None where others stand already."""
    first, last = _files(todo)
    for step in todo[:first]:
        steps.move(site, step)
    site.forget()  # no process shares what another has open
    files = todo[first:last]
    rows = crew.carried(crew.cut(files), lambda some: [_landed(site, step) for step in some])
    for step in todo[last:]:
        steps.move(site, step)
    return {step.path: row for step, row in zip(files, rows, strict=True)}


def _files(todo: "Sequence[Step]") -> tuple[int, int]:
    """Return where the files and links begin and end that land."""
    none = len(todo), len(todo)
    first = last = -1
    for at, (act, _, _, old, new) in enumerate(todo):
        if (old is not None and old.is_folder) or (new is not None and new.is_folder):
            if first >= 0 and last < 0:
                last = at
        elif act in {PUT, ADD}:
            if last >= 0:
                return none  # a folder comes or goes between them
            first = at if first < 0 else first
        elif first >= 0 and last < 0:
            last = at
    return none if first < 0 else (first, last if last >= 0 else len(todo))


def _landed(site: Site, step: Step) -> "Row | None":
    folder, name = steps.move_file(site, step)  # `stage` has looked just now
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return settled.row(status) if step.new is not None and step.new.fits(status) else None
