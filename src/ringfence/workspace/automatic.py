"""Applying without a person: what a policy's `[review] auto` lets through when a session has ended.

All of a session's changes or none: every path is one that the policy names, nothing is risky, nothing is
in conflict. Whatever is not plainly so is left for a person.
"""

import os

from ringfence.subject import file_matches
from ringfence.value import Struct
from ringfence.workspace import apply, overlay, selection
from ringfence.workspace.layers import ADDED, DIRECTORY, Change, Layers
from ringfence.workspace.manifest import Manifest
from ringfence.workspace.review import report
from ringfence.workspace.review.report import Report
from ringfence.workspace.review.text import shown_path
from ringfence.workspace.stage import Chosen

APPLIED, CONFLICT, LEFT = 0, 122, 123  # statuses of `run --review=auto` and of `apply`


class Outcome(Struct):
    """What became of a session's changes."""

    status: int
    text: str


def finish(layers: Layers, globs: tuple[str, ...]) -> Outcome:
    """Apply an ended session's changes if the policy lets all of them through."""
    made = report.build(layers)
    if _wrote_elsewhere(layers):
        return Outcome(status=LEFT, text="git wrote outside of this worktree, which a person has to look at")
    if not made.changes:
        return Outcome(status=APPLIED, text="")
    if made.conflicts:
        path = shown_path(made.conflicts[0].path)
        return Outcome(status=CONFLICT, text=f"{path}: {made.conflicts[0].conflict}; nothing was applied")
    why = refusal(made, globs)
    if why:
        return Outcome(status=LEFT, text=f"{why}; nothing was applied")
    chosen = selection.choose(made.changes, selection.Wanted(), {})
    if chosen.left:
        path = shown_path(chosen.left[0].path)
        return Outcome(status=LEFT, text=f"{path}: {chosen.left[0].why}; nothing was applied")
    count = apply.apply(layers, Chosen(changes=made.changes), Manifest.of(made.changes))
    text = f"applied {count} change{'s' * (count != 1)}; to take back: ringfence undo {layers.session}"
    return Outcome(status=APPLIED, text=text)


def refusal(made: Report, globs: tuple[str, ...]) -> str:
    """Return why changes need a person, or ""."""
    for finding in made.findings:
        return f"{shown_path(finding.path)}: {finding.why}"
    filled = {one.path.rpartition(b"/")[0] for one in made.changes}
    for change in made.changes:
        for path in filter(None, (change.path, change.source)):
            if not _is_covered(change, path, globs, filled):
                return f"{shown_path(path)} is not named in the policy's [review] auto"
    return ""


def _is_covered(change: Change, path: bytes, globs: tuple[str, ...], filled: set[bytes]) -> bool:
    if any(file_matches(glob, os.fsdecode(path)) for glob in globs):
        return True
    # A new folder that only leads to what is in it is judged by that.
    is_folder = change.kind == ADDED and change.after is not None and change.after.kind == DIRECTORY
    return is_folder and path in filled


def _wrote_elsewhere(layers: Layers) -> bool:
    other = overlay.repository_of(layers)
    return other is not None and bool(report.build(other).changes)
