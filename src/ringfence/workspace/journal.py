"""The journal of the steps by which changes land: what is meant, on the disk before the first one is done.

One folder for each apply, below the session's:

    journal.json    an apply has begun and is not finished (beside `undo.json`: an undo has)
    undo.json       the apply is done; the slots hold what it replaced
    undone.json     it was taken back: what is left may go
    area.json       where the slots are made; without any of the above, nothing was written yet

What lies in a slot tells whether its step was done, so nothing needs to be written between the steps.
"""

import os
import stat

from ringfence.errors import BoundaryError
from ringfence.value import Struct
from ringfence.workspace import record
from ringfence.workspace.steps import ADD, MODE, PUT, TAKE, Mark, Moved, Site, Step, inverse, perform, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPEN, DONE, GONE = "journal.json", "undo.json", "undone.json"
_VERSION = 1


class Journal(Struct):
    """What is meant to happen to one workspace."""

    session: str
    workspace: str
    root: tuple[int, int]  # device and inode of the workspace
    area: str  # where the slots are
    steps: tuple[Step, ...]
    whole: tuple[bytes, ...] = ()  # the changes of the session that this carries out whole
    folders: tuple[bytes, ...] = ()  # in which names come and go, and which only the session saw before


# --- where a crash left a step -------------------------------------------------------------------


def is_done(site: Site, step: Step) -> bool:
    """Tell from what lies in its slot whether a step was done. Raises Moved where neither can be."""
    if step.act == MODE:
        return _mode_differs(site, step)
    lies = site.slot(step.slot)
    if step.act == ADD:
        before, after = _fits(step.new, lies), lies is None
    elif step.act == TAKE:
        before, after = lies is None, _fits(step.old, lies)
    else:
        before, after = _fits(step.new, lies), _fits(step.old, lies)
    if before == after:
        raise Moved(
            f"what was set aside for {show(step.path)} is not what it was",
            hint="something else wrote into ringfence's folders; nothing more was changed",
        )
    return after


def _fits(one: Mark | None, status: "os.stat_result | None") -> bool:
    return one is not None and one.fits(status)


def _mode_differs(site: Site, step: Step) -> bool:
    """Tell whether permissions are other than before; a later step may have changed them once more."""
    assert step.old is not None and step.new is not None  # noqa: S101, PT018 - for the type checker
    status = site.at(step.path)
    if status is None or (status.st_dev, status.st_ino) != (step.old.device, step.old.inode):
        return True
    return status.st_mode != step.old.mode


def _can_take_back(site: Site, step: Step) -> bool:
    if step.act != MODE:
        return is_done(site, step)
    assert step.new is not None  # noqa: S101 - for the type checker
    status = site.at(step.path)
    return (
        status is not None
        and status.st_ino == step.new.inode
        and stat.S_IMODE(status.st_mode) == stat.S_IMODE(step.new.mode)
    )


def go_on(site: Site, journal: Journal) -> None:
    """Do what a crash left undone."""
    for step in journal.steps:
        if not is_done(site, step):
            perform(site, step)


def roll_back(site: Site, journal: Journal) -> None:
    """Take back every step that was done, the last first."""
    for step in reversed(journal.steps):
        if _can_take_back(site, step):
            perform(site, inverse(step))


# --- on the disk ---------------------------------------------------------------------------------


def write(folder: str, text: str) -> None:
    """Put an encoded journal on the disk."""
    record.write_text(folder, OPEN, text)


def encoded(journal: Journal) -> str:
    """Return a journal as it stands on the disk."""
    return record.encoded(
        {
            "version": _VERSION,
            "session": journal.session,
            "workspace": record.text(os.fsencode(journal.workspace)),
            "root": journal.root,
            "area": record.text(os.fsencode(journal.area)),
            "whole": [record.text(path) for path in journal.whole],
            "folders": [record.text(path) for path in journal.folders],
            "steps": [_row(step) for step in journal.steps],
        }
    )


def read(folder: str, name: str = OPEN) -> Journal | None:
    """Return the journal of a folder, or None. Raises BoundaryError for one that cannot be used."""
    try:
        found = record.read(folder, name)
        return None if found is None else _journal(found)
    except (ValueError, KeyError, TypeError, IndexError):
        raise BoundaryError(
            f"{folder}/{name} is no journal of this version of ringfence",
            hint="the files that were replaced lie beside it; nothing was changed",
        ) from None


def _journal(found: "dict[str, Any]") -> Journal:
    if found["version"] != _VERSION:
        raise ValueError(found["version"])
    return Journal(
        session=found["session"],
        workspace=os.fsdecode(record.raw(found["workspace"])),
        root=(found["root"][0], found["root"][1]),
        area=os.fsdecode(record.raw(found["area"])),
        steps=tuple(map(_step, found["steps"])),
        whole=tuple(map(record.raw, found["whole"])),
        folders=tuple(map(record.raw, found["folders"])),
    )


def _row(step: Step) -> list[object]:
    return [step.act, record.text(step.path), *step[2:]]  # JSON writes tuples as lists


def _step(row: list[object]) -> Step:
    act, path, slot, old, new = row
    if act not in {PUT, ADD, TAKE, MODE} or not _is_slot(slot):
        raise ValueError
    return Step(
        act=str(act), path=record.raw(str(path)), slot=str(slot), old=_unmarked(old), new=_unmarked(new)
    )


def _is_slot(slot: object) -> bool:
    """Tell whether this is a slot's name: digits, in a folder of digits where processes shared the work."""
    if not isinstance(slot, str) or not slot.isascii() or slot.count("/") > 1:
        return False
    return not slot or all(part.isdigit() for part in slot.split("/"))


def _unmarked(values: object) -> Mark | None:
    if values is None:
        return None
    assert isinstance(values, list)  # noqa: S101 - for the type checker; TypeError below else
    return Mark(*map(int, values))
