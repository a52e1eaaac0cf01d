"""The two sides of one path: whether they differ, and what a reviewer should know of their links."""

from ringfence.workspace.layers import CHANGED, MODE, TYPE, Entry


def difference(before: Entry, after: Entry) -> str:
    """Return the kind of a change, or nothing where both sides are the same."""
    if before.kind != after.kind:
        return TYPE
    if (before.target, before.size, before.digest) != (after.target, after.size, after.digest):
        return CHANGED
    return MODE if before.mode != after.mode else ""


def link_notes(before: Entry | None, after: Entry | None) -> tuple[str, ...]:
    """Say where a file has other names: applied is a file of its own."""
    notes = []
    if before is not None and before.links > 1:
        notes.append(f"the workspace has {before.links} hard links to it: the others stay as they are")
    if after is not None and after.links > 1:
        notes.append(
            f"one of {after.links} hard links to the same file: each is applied as a file of its own"
        )
    return tuple(notes)
