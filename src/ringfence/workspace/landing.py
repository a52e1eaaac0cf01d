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
    found = [at for at, step in enumerate(todo) if step.act in {PUT, ADD} and not _has_folder(step)]
    if not found or any(_has_folder(step) for step in todo[found[0] : found[-1]]):
        return len(todo), len(todo)
    return found[0], found[-1] + 1


def _has_folder(step: Step) -> bool:
    return any(one is not None and one.is_folder for one in (step.old, step.new))


def _landed(site: Site, step: Step) -> "Row | None":
    folder, name = steps.move_file(site, step)  # `stage` has looked just now
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return settled.row(status) if step.new is not None and step.new.fits(status) else None
