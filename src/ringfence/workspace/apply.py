"""Changes land in the project: all of those chosen or none, and a crash at any moment leaves old or new.

1. The session and the workspace are held; what was reviewed is compared with what is there.
2. Everything is staged and verified (`stage`), nothing in the project is touched.
3. The journal is written and synced (`journal`).
4. Each step is a rename; one that fails takes back all before it.
5. All is synced; the journal becomes the record by which `undo` takes the apply back.

A crash before 3 leaves an area to be removed; between 3 and 5 a journal, with which `resume` goes on and
`roll_back` takes back. Applies of one session are numbered folders below `applied/` in its folder.
"""

import os

from ringfence.errors import BoundaryError, RingfenceError
from ringfence.value import Struct
from ringfence.workspace import (
    area,
    journal,
    keeping,
    landing,
    manifest,
    record,
    settled,
    source,
    stage,
    steps,
    unfinished,
)
from ringfence.workspace.hold import Hold
from ringfence.workspace.journal import DONE, GONE, OPEN, Journal
from ringfence.workspace.layers import Layers
from ringfence.workspace.manifest import Manifest
from ringfence.workspace.stage import Chosen
from ringfence.workspace.steps import MODE, Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.workspace.settled import Row

_FOLDER = "applied"
_FEW = 64  # folders that are synced one by one


class Interrupted(Struct):
    """An apply or an undo that was begun and not finished."""

    folder: str
    journal: Journal
    is_undo: bool


def apply(layers: Layers, chosen: Chosen, reviewed: Manifest) -> int:
    """Apply what was chosen; return how many changes landed. Nothing is written where anything is amiss."""
    check_chosen(chosen, reviewed)
    with Hold(layers) as hold:
        refuse_interrupted(layers)
        folder = _begin(layers)
        try:
            place = area.make(layers.workspace, hold.root, folder)
            with Site(layers.workspace, layers.root, place) as site:
                with stage.Stage(layers, chosen, site) as ready, record.syncing_all(site.area, ready.slots):
                    meant = ready.journal(place)  # looks again, while the disk is waited for
                    text = journal.encoded(meant)
                record.reserve(folder, _room(layers, meant))
                unfinished.note(layers)
                journal.write(folder, text)
                _land(site, meant, folder)
        except BaseException:
            tidy(folder)
            forget_note(layers)
            raise
        forget_note(layers)
        manifest.forget(layers, frozenset(meant.whole), reviewed)
    return len(chosen.changes)


def check_chosen(chosen: Chosen, reviewed: Manifest) -> None:
    """Refuse what was not reviewed as it is, and what nobody may apply."""
    known = {one.path: one for one in reviewed.items}
    for change in chosen.changes:
        seen = known.get(change.path)
        if seen is None or not seen.is_of(change):
            raise source.differs(change.path)
        if change.conflict:
            raise BoundaryError(f"{steps.show(change.path)} is a conflict: {change.conflict}")
        if change.after is not None and change.after.kind not in stage.TYPES:
            raise BoundaryError(
                f"{steps.show(change.path)} is a device, fifo or socket, which nobody applies"
            )


def _land(site: Site, meant: Journal, folder: str) -> None:
    """Do the steps; on failure take back all that was done."""
    try:
        _finish(site, meant, folder, landing.land(site, meant.steps))
    except BaseException as error:
        take_back(site, meant, folder, error)
        raise
    if not area.is_kept(folder, meant.area):
        area.remove(meant.area)


def take_back(site: Site, meant: Journal, folder: str, error: BaseException) -> None:
    """Roll back what failed; if that fails too, the journal stays and the error says so."""
    if not os.path.exists(f"{folder}/{OPEN}"):
        return  # it is done: only what comes after it failed
    try:
        _roll_back(site, meant, folder)
    except (RingfenceError, OSError) as second:
        raise BoundaryError(
            f"the apply failed ({error}), and could not be taken back ({second})",
            hint=f"mend that, then: ringfence apply --rollback {meant.session}",
        ) from error


def _roll_back(site: Site, meant: Journal, folder: str) -> None:
    journal.roll_back(site, meant)
    try:
        _settle(site, meant, folder, {})
    except OSError:  # full after all: what was put back will look like a change of the user's, no more
        record.moment("not settled")
    sync(site, meant)
    if os.path.exists(f"{folder}/{DONE}"):  # it was an undo: what it was to take back stands
        record.moment("forget undo")
        os.unlink(f"{folder}/{OPEN}")
        record.sync_folder(folder)
    else:
        record.rename(folder, OPEN, GONE)


def _finish(site: Site, meant: Journal, folder: str, known: "dict[bytes, Row | None]") -> None:
    """Make what landed last, and the journal the record of it."""
    with _syncing(site, meant):
        if area.is_kept(folder, meant.area):
            _settle(site, meant, folder, known)
    if not area.is_kept(folder, meant.area):
        keeping.keep(site, meant, area.kept(folder))  # needs space, which `_settle` has kept for itself
        _settle(site, meant, folder, known)
    record.rename(folder, OPEN, DONE)


def _room(layers: Layers, meant: Journal) -> int:
    return settled.size(manifest.folder(layers), len(meant.steps) + len(meant.folders))


def sync(site: Site, meant: Journal) -> None:
    """Make renames survive a crash."""
    with _syncing(site, meant):
        return


def _syncing(site: Site, meant: Journal) -> record.Syncing:
    """Begin to sync: by folder where they are few, else the whole file system at once, in the background."""
    record.moment("sync landed")
    site.forget()
    places: set[bytes] = set()
    for step in meant.steps:
        places.add(step.path.rpartition(b"/")[0])
        if len(places) > _FEW or step.act == MODE:
            return record.Syncing(site.root)
    for place in places:
        fd = site.folder(place)
        if fd >= 0:
            os.fsync(fd)
            os.close(fd)
    os.fsync(site.area)
    return record.Syncing(-1)


def _settle(site: Site, meant: Journal, folder: str, known: "dict[bytes, Row | None]") -> None:
    """Note how ours stands in the project now, so that nobody takes it for a change of the user's.

    `known`: how some of it stood the moment it landed; None: the user's already.
    """
    site.forget()
    record.release(folder)
    paths = sorted({step.path for step in meant.steps}.union(meant.folders).difference(known))
    found = [settled.row(status) for status in site.look(paths) if status is not None]
    settled.add(os.path.dirname(os.path.dirname(folder)), [*filter(None, known.values()), *found])


# --- the folders of applies ----------------------------------------------------------------------


def folders(layers: Layers) -> list[str]:
    """Return the folders of all applies of a session, the oldest first."""
    top = f"{manifest.folder(layers)}/{_FOLDER}"
    try:
        return [f"{top}/{name}" for name in sorted(os.listdir(top))]
    except FileNotFoundError:
        return []


def _begin(layers: Layers) -> str:
    top = f"{manifest.folder(layers)}/{_FOLDER}"
    os.makedirs(top, 0o700, exist_ok=True)
    for left in folders(layers):
        tidy(left)
    last = folders(layers)[-1:]
    number = int(os.path.basename(last[0])) + 1 if last else 1
    folder = f"{top}/{number:04d}"
    os.mkdir(folder, 0o700)
    return folder


def tidy(folder: str) -> None:
    """Remove what is left of an apply that wrote nothing, or was taken back; leave any other alone."""
    has = {name: os.path.exists(f"{folder}/{name}") for name in (OPEN, DONE, GONE)}
    if has[OPEN]:
        return
    if has[DONE] and not has[GONE]:
        place = area.noted(folder)
        if place and not area.is_kept(folder, place):
            area.remove(place)  # the project holds nothing of ours any more
        return
    place = area.noted(folder)
    if place:
        area.remove(place)
    area.remove(folder)


def interrupted(layers: Layers) -> Interrupted | None:
    """Return the apply or undo of a session that a crash left unfinished."""
    for folder in folders(layers):
        found = journal.read(folder)
        if found is not None:
            return Interrupted(folder=folder, journal=found, is_undo=os.path.exists(f"{folder}/{DONE}"))
    return None


def forget_note(layers: Layers) -> None:
    """Take the note of an unfinished apply away, unless there is one."""
    if interrupted(layers) is None:
        unfinished.forget(layers)


def refuse_interrupted(layers: Layers) -> None:
    """Begin nothing new before what a crash left is finished or taken back."""
    left = interrupted(layers)
    if left is not None:
        what = "undo" if left.is_undo else "apply"
        raise BoundaryError(
            f"an {what} of session {layers.session} was interrupted and is not finished",
            hint=f"ringfence apply --resume {layers.session} goes on with it, --rollback takes it back",
        )


# --- after a crash -------------------------------------------------------------------------------


def resume(layers: Layers) -> bool:
    """Finish what a crash interrupted; tell whether there was anything."""
    with Hold(layers):
        left = interrupted(layers)
        if left is None:
            return False
        with _site(left) as site:
            journal.go_on(site, left.journal)
            conclude(site, left)
        tidy(left.folder)
        forget_note(layers)
        if left.is_undo:
            manifest.discard(layers)
        else:
            manifest.forget(layers, frozenset(left.journal.whole))
    return True


def roll_back(layers: Layers) -> bool:
    """Take back what a crash interrupted; tell whether there was anything."""
    with Hold(layers):
        left = interrupted(layers)
        if left is None:
            return False
        with _site(left) as site:
            _roll_back(site, left.journal, left.folder)
        tidy(left.folder)
        forget_note(layers)
    return True


def conclude(site: Site, left: Interrupted) -> None:
    """Finish an apply or an undo all of whose steps are done."""
    if not left.is_undo:
        _finish(site, left.journal, left.folder, {})
        return
    sync(site, left.journal)
    _settle(site, left.journal, left.folder, {})
    record.rename(left.folder, OPEN, GONE)


def _site(left: Interrupted) -> Site:
    return Site(left.journal.workspace, left.journal.root, left.journal.area)
