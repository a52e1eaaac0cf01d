"""What git has checked out: branches, the index, what is ignored. Commits are not in this diff."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, places, verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "git state"
GROUP = RUNS
DOC = "What git has checked out: branches, the index, what is ignored. Commits are not in this diff."

_STATE = frozenset({
    "head", "index", "packed-refs", "refs", "orig_head", "fetch_head", "merge_head", "shallow",
    "rebase-merge", "rebase-apply", "sequencer", "cherry_pick_head", "bisect_log", "sharedindex",
    "reftable",
})  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    for place in places(change):
        inner = place.parts[place.parts.index(".git") + 1 :] if ".git" in place.parts else ()
        if inner and inner[0] in _STATE:
            why = f"{verb(change)} what git has checked out: its commits and index are not shown here"
            yield Finding(path=change.path, risk=NAME, why=why)
