"""What git wrote outside of a linked worktree: a second copy, of the main repository's git folder.

Nothing in it is looked at the way a project's files are, so all of it needs a yes; and what git on the
host obeys (configuration, hooks, …) is never part of "all", only of what is asked about one by one.
"""

from ringfence.errors import UsageError
from ringfence.value import replace
from ringfence.workspace import overlay
from ringfence.workspace.finding import Finding
from ringfence.workspace.layers import Layers
from ringfence.workspace.review.report import Report

WHY = "commits, branches and other state of the main repository, which the diff does not show in words"
OBEYED = "git on the host obeys it: only with --interactive"
_STATE = frozenset((b"objects", b"refs", b"logs", b"packed-refs"))
_COMMITS = frozenset((b"objects", b"refs", b"packed-refs"))
_OWN = frozenset(
    (b"HEAD", b"ORIG_HEAD", b"COMMIT_EDITMSG", b"FETCH_HEAD", b"MERGE_HEAD", b"index", b"logs", b"refs")
)


def layers_of(layers: Layers) -> Layers:
    """Return the layers of the git folder. Raises UsageError where a session has none."""
    found = overlay.repository_of(layers)
    if found is None:
        raise UsageError(
            f"git had nothing to write outside of the project in session {layers.session}",
            hint="--git is for linked worktrees; leave it out",
        )
    return found


def judged(made: Report) -> Report:
    """Return a report in which every change needs a yes."""
    from ringfence.workspace.risks import git_state

    found = tuple(
        Finding(path=one.path, risk=git_state.NAME, why=WHY if is_state(one.path) else OBEYED)
        for one in made.changes
    )
    return replace(made, findings=found)


def is_state(path: bytes) -> bool:
    """Tell whether a path holds commits, branches or a worktree's state, and nothing that git obeys."""
    parts = path.split(b"/")
    if parts[0] == b"worktrees":
        return len(parts) > 2 and parts[2] in _OWN
    return parts[0] in _STATE and parts[:2] != [b"objects", b"info"]


def told(layers: Layers) -> str:
    """Return the line that tells of commits which the project's own changes do not hold; or nothing."""
    found = overlay.repository_of(layers)
    if found is None:
        return ""
    from ringfence.workspace import changes

    if not any(one.path.split(b"/")[0] in _COMMITS for one in changes.read(found)):
        return ""
    return f"# git made commits outside of the worktree: ringfence apply --git {layers.session}"
