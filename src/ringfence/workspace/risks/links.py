"""Symbolic links that leave the workspace, or point at what tools obey."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import LINK, TYPE, Change
from ringfence.workspace.review.text import shown_path
from ringfence.workspace.risks.finding import RUNS, Finding, Place
from ringfence.workspace.tables import is_protected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "link"
GROUP = RUNS
DOC = "Symbolic links that leave the workspace, or point at what tools obey."

_OBEYED = frozenset({".git", ".ssh", ".aws", ".gnupg", ".config", ".claude", ".vscode", ".envrc", ".env"})


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    after = change.after
    if after is None or after.kind != LINK:
        return
    target = shown_path(after.target)
    if leaves(change.path, after.target):
        yield Finding(path=change.path, risk=NAME, why=f"symlink -> {target}, leaves the workspace")
    elif any(_is_obeyed(part) for part in Place(after.target).parts):
        yield Finding(path=change.path, risk=NAME, why=f"symlink -> {target}, which tools obey")
    elif change.kind == TYPE:
        yield Finding(
            path=change.path, risk=NAME, why=f"a symlink -> {target} takes the place of what was here"
        )


def leaves(path: bytes, target: bytes) -> bool:
    """Say whether a link may lead out of the workspace, read as text: links on its way count as folders."""
    if target.startswith(b"/"):
        return True
    depth = path.count(b"/")
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in {b"", b"."}:
            depth += 1
        if depth < 0:
            return True
    return False


def _is_obeyed(part: str) -> bool:
    return part in _OBEYED or is_protected(part, "")
