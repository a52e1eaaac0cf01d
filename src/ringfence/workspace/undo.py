"""Taking the last apply back: what it replaced returns, unless the user has changed it since.

The steps are those of the apply, inverted and in reverse, with a journal of their own.
"""

import os

from ringfence.errors import BoundaryError, UsageError
from ringfence.value import replace
from ringfence.workspace import (
    apply,
    area,
    beneath,
    git_index,
    journal,
    keeping,
    manifest,
    settled,
    steps,
    unfinished,
)
from ringfence.workspace.apply import Interrupted
from ringfence.workspace.hold import Hold
from ringfence.workspace.journal import DONE, GONE, Journal
from ringfence.workspace.layers import Layers
from ringfence.workspace.steps import ADD, MODE, Mark, Site, Step


def undo(layers: Layers) -> int:
    """Take back the last apply of a session; return how many paths were restored."""
    with Hold(layers) as hold:
        apply.refuse_interrupted(layers)
        folder = _last(layers)
        done = journal.read(folder, DONE)
        assert done is not None  # noqa: S101 - for the type checker: `_last` saw it
        kept = area.kept(folder)
        place = kept if area.is_kept(folder, done.area) else area.make(layers.workspace, hold.root, folder)
        try:
            with Site(layers.workspace, done.root, place) as site:
                if place != kept:
                    keeping.bring_back(done, kept, site.area)
                done = replace(done, steps=_refreshed(site, done.steps, layers))
                meant = replace(done, area=place, steps=_steps(site, done))
                _refuse_changed(site, done, settled.load(manifest.folder(layers)))
                unfinished.note(layers)
                journal.write(folder, journal.encoded(meant))
                _take_back(site, meant, folder)
        finally:
            apply.tidy(folder)
            apply.forget_note(layers)
        manifest.discard(layers)
    return len({step.path for step in done.steps})


def _last(layers: Layers) -> str:
    for folder in reversed(apply.folders(layers)):
        apply.tidy(folder)
        if os.path.exists(f"{folder}/{DONE}"):
            return folder
    raise UsageError(f"nothing of session {layers.session} was applied, or all of it was taken back")


def applied(layers: Layers) -> int:
    """Return when the last apply of a session was made that was not taken back (ns); 0: there is none."""
    for folder in reversed(apply.folders(layers)):
        if not os.path.exists(f"{folder}/{GONE}"):
            try:
                return os.stat(f"{folder}/{DONE}").st_mtime_ns
            except FileNotFoundError:
                continue
    return 0


def _take_back(site: Site, meant: Journal, folder: str) -> None:
    try:
        for step in meant.steps:
            steps.perform(site, step)
        apply.conclude(site, Interrupted(folder=folder, journal=meant, is_undo=True))
    except BaseException as error:
        apply.take_back(site, meant, folder, error)
        raise


def _steps(site: Site, done: Journal) -> tuple[Step, ...]:
    """Return the inverse steps, with what lies in the slots now."""
    out = []
    copied: dict[tuple[int, int], Mark] = {}  # what was brought back from another file system is new
    for step in reversed(done.steps):
        one = steps.inverse(step)
        if one.act == MODE:
            out.append(_same_mode(one, copied))
            continue
        lies = site.slot(one.slot)
        if one.new is not None:
            if lies is None:
                raise BoundaryError(f"what stood at {steps.show(one.path)} before is no longer kept")
            copied[one.new.device, one.new.inode] = now = steps.mark(lies)
            one = one._replace(new=now)
        out.append(one)
    return tuple(out)


def _refreshed(site: Site, done: tuple[Step, ...], layers: Layers) -> tuple[Step, ...]:
    """Return the steps as if the apply had left the git index that git has only written anew since."""
    status = site.at(git_index.INDEX)
    if status is None or not git_index.same_below(layers.upper, layers.workspace):
        return done
    now = steps.mark(status)
    return tuple(
        step._replace(new=now) if step.path == git_index.INDEX and step.new is not None else step
        for step in done
    )


def _same_mode(step: Step, copied: dict[tuple[int, int], Mark]) -> Step:
    assert step.old is not None and step.new is not None  # noqa: S101, PT018 - for the type checker
    now = copied.get((step.old.device, step.old.inode))
    if now is None:
        return step
    device, inode = now[:2]
    old = step.old._replace(device=device, inode=inode)
    return step._replace(old=old, new=step.new._replace(device=device, inode=inode))


def _refuse_changed(site: Site, done: Journal, ours: "frozenset[tuple[int, int, int]]") -> None:
    """Refuse when anything that the apply left is not as it left it; say all of it."""
    landed = {step.path for step in done.steps if step.new is not None}
    changed = {step.path for step in done.steps if not _is_as_left(site, step, landed, ours)}
    if changed:
        names = "".join(f"\n  {steps.show(path)}" for path in sorted(changed))
        raise BoundaryError(
            f"changed since the apply, so nothing was taken back:{names}",
            hint="move your own versions away, or mend these by hand",
        )


def _is_as_left(site: Site, step: Step, landed: set[bytes], ours: "frozenset[tuple[int, int, int]]") -> bool:
    status = site.at(step.path)
    if step.new is None:  # taken away; something of ours may stand there since
        return status is None or step.path in landed
    if status is None:
        return step.act == MODE  # opened up for the time, then taken away
    if step.path == git_index.INDEX and step.new.fits(status):
        return True
    if not step.new.is_folder:
        return (status.st_dev, status.st_ino, status.st_ctime_ns) in ours
    if (status.st_dev, status.st_ino) != (step.new.device, step.new.inode):
        return step.act == MODE
    return step.act != ADD or _holds_only(site, step.path, landed)


def _holds_only(site: Site, path: bytes, landed: set[bytes]) -> bool:
    fd = site.folder(path)
    try:
        return all(path + b"/" + name in landed for name in beneath.names(fd))
    finally:
        os.close(fd)
