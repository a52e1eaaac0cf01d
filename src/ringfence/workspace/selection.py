"""Which changes are applied: what was asked for, less what needs a yes of its own, and nothing by halves.

What runs on the host or steers a tool later, a link that leaves the workspace, a name that some machines
take for another: these are applied only when they are approved. Devices, fifos and sockets never are. A
file in a new folder brings the folder along; a folder from which something is left out stays.
"""

import os

from ringfence.errors import UsageError
from ringfence.subject import path_matches
from ringfence.value import Struct
from ringfence.workspace.layers import DIRECTORY, FILE, LINK, OTHER, Change
from ringfence.workspace.pairing import TWIN
from ringfence.workspace.steps import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LEAVES = "a link that leaves the workspace"
NEVER = "a device, fifo or socket, or not to be read: never applied"


class Left(Struct):
    """A change that was asked for and is not applied."""

    path: bytes
    why: str
    can_approve: bool = False  # a yes of its own is missing


class Selection(Struct):
    """What is applied, and what is not."""

    changes: tuple[Change, ...]
    left: tuple[Left, ...] = ()
    conflicts: tuple[Change, ...] = ()  # among what was asked for: nothing is applied while there are any
    all_changes: tuple[Change, ...] = ()  # of the session


class Wanted(Struct):
    """What was asked for."""

    paths: tuple[bytes, ...] = ()  # paths, folders, globs; empty: everything
    leave: tuple[bytes, ...] = ()  # less these
    picked: frozenset[bytes] | None = None  # or exactly these, one by one
    risky: bool = False  # whatever needs an approval has it
    approved: frozenset[bytes] = frozenset()  # or these paths have


def choose(changes: tuple[Change, ...], wanted: Wanted, risks: "Mapping[bytes, Iterable[str]]") -> Selection:
    """Return what is applied of some changes. Raises UsageError for a path that names none of them."""
    _check_patterns(changes, wanted)
    is_all = not wanted.paths and not wanted.leave and wanted.picked is None
    asked = changes if is_all else [one for one in changes if _is_asked(one, wanted)]
    left: dict[bytes, Left] = {}
    for change in asked:
        why = _refusal(change, wanted, risks)
        if why is not None:
            left[change.path] = why
    chosen = {one.path: one for one in asked if one.path not in left}
    _bring_folders(chosen, changes, left, wanted, risks)
    _keep_whole(chosen, changes, left)
    _drop_hollow(chosen, changes)
    conflicts = tuple(one for one in chosen.values() if one.conflict)
    return Selection(
        changes=tuple(chosen[path] for path in sorted(chosen)),
        left=tuple(left[path] for path in sorted(left)),
        conflicts=conflicts,
        all_changes=changes,
    )


def is_meant(pattern: bytes, path: bytes) -> bool:
    """Tell whether a path, a folder above it or a glob names a path."""
    if path == pattern or path.startswith(pattern.rstrip(b"/") + b"/"):
        return True
    return path_matches(os.fsdecode(pattern), os.fsdecode(path))


def _check_patterns(changes: tuple[Change, ...], wanted: Wanted) -> None:
    for pattern in (*wanted.paths, *wanted.leave):
        if not any(is_meant(pattern, path) for one in changes for path in _paths(one)):
            raise UsageError(
                f"nothing that changed is called {show(pattern)}",
                hint="`ringfence diff --stat` lists what changed; paths begin at the top of the workspace",
            )


def _paths(change: Change) -> tuple[bytes, ...]:
    return (change.path, change.source) if change.source else (change.path,)


def _is_asked(change: Change, wanted: Wanted) -> bool:
    def named(patterns: tuple[bytes, ...]) -> bool:
        return any(is_meant(pattern, path) for pattern in patterns for path in _paths(change))

    if wanted.picked is not None:
        return change.path in wanted.picked
    return (not wanted.paths or named(wanted.paths)) and not named(wanted.leave)


def _refusal(change: Change, wanted: Wanted, risks: "Mapping[bytes, Iterable[str]]") -> Left | None:
    kind = "" if change.after is None else change.after.kind
    if kind == FILE and not change.notes and change.path not in risks:
        return None  # as most are
    if kind == OTHER:
        return Left(path=change.path, why=NEVER)
    if wanted.risky or change.path in wanted.approved:
        return None
    reasons = [*risks.get(change.path, ()), *own_risks(change)]
    return (
        Left(path=change.path, why="; ".join(dict.fromkeys(reasons)), can_approve=True) if reasons else None
    )


def own_risks(change: Change) -> "Iterator[str]":
    """Yield what applying itself finds risky, whatever the review says."""
    if change.after is not None and change.after.kind == LINK and leaves(change.path, change.after.target):
        yield LEAVES
    for note in change.notes:
        if note.startswith(TWIN):
            yield note


def leaves(path: bytes, target: bytes) -> bool:
    """Tell whether a link may point out of the workspace, or into what git keeps.

    By its text alone: `..` counts only at the front, where all above is known to be real folders. What is
    not clear counts as leaving.
    """
    if target.startswith(b"/"):
        return True
    place = path.split(b"/")[:-1]
    parts = [part for part in target.split(b"/") if part not in {b"", b"."}]
    while parts and parts[0] == b"..":
        if not place:
            return True
        place.pop()
        parts.pop(0)
    return b".." in parts or b".git" in (part.lower() for part in (*place, *parts))


# --- what hangs together -------------------------------------------------------------------------


def _makes_folder(change: Change) -> bool:
    was = change.before is not None and change.before.kind == DIRECTORY
    return change.after is not None and change.after.kind == DIRECTORY and not was


def _removes_folder(change: Change) -> bool:
    is_folder = change.after is not None and change.after.kind == DIRECTORY
    return change.before is not None and change.before.kind == DIRECTORY and not is_folder


def above(path: bytes) -> "Iterator[bytes]":
    """Yield the folders above a path, the nearest first."""
    while folder := path.rpartition(b"/")[0]:
        yield folder
        path = folder


def _bring_folders(
    chosen: dict[bytes, Change],
    changes: tuple[Change, ...],
    left: dict[bytes, Left],
    wanted: Wanted,
    risks: "Mapping[bytes, Iterable[str]]",
) -> None:
    """Add the new folders that chosen files lie in; drop what lies in one that is left out."""
    made = {one.path: one for one in changes if _makes_folder(one)}
    if not made:
        return
    for path in sorted(chosen):
        for folder in above(path):
            if folder not in made or folder in chosen:
                continue
            why = left.get(folder) or _refusal(made[folder], wanted, risks)
            if why is not None or any(is_meant(one, folder) for one in wanted.leave):
                left[path] = Left(path=path, why=f"its folder {show(folder)} is left out")
                del chosen[path]
                break
            chosen[folder] = made[folder]


def _keep_whole(chosen: dict[bytes, Change], changes: tuple[Change, ...], left: dict[bytes, Left]) -> None:
    """Drop the removal of folders in which something stays."""
    while len(chosen) < len(changes):
        stays: dict[bytes, bytes] = {}
        for one in changes:
            if one.path not in chosen:
                gone = [path for path in _paths(one) if path == one.source or one.before is not None]
                stays |= {folder: path for path in gone for folder in above(path)}
        kept = [one for one in chosen.values() if _removes_folder(one) and one.path in stays]
        if not kept:
            return
        for one in kept:
            left[one.path] = Left(path=one.path, why=f"{show(stays[one.path])} in it is left out")
            del chosen[one.path]


def _drop_hollow(chosen: dict[bytes, Change], changes: tuple[Change, ...]) -> None:
    """Drop new folders of which all that is in them is left out."""
    if not any(map(_makes_folder, chosen.values())):
        return
    full = {folder for one in chosen.values() if not _makes_folder(one) for folder in above(one.path)}
    had = {folder for one in changes for folder in above(one.path)}
    for path in sorted(chosen, reverse=True):  # those in others first
        if _makes_folder(chosen[path]) and chosen[path].before is None:
            if path in had and path not in full:
                del chosen[path]
            else:
                full.update(above(path))
