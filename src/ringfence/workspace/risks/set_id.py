"""Set-id bits, the sticky bit, and what everybody may write."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import LINK, Change
from ringfence.workspace.review.text import shown
from ringfence.workspace.risks.finding import LONGEST_EXCERPT, RUNS, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "permission"
GROUP = RUNS
DOC = "Set-id bits, the sticky bit, and what everybody may write."


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    after = change.after
    if after is None or after.kind == LINK:
        return
    before = change.before.mode if change.before is not None else 0
    if after.mode & 0o7000:
        why = f"mode {after.mode:04o}: set-id or sticky bits, which are not applied"
        yield Finding(path=change.path, risk=NAME, why=why)
    if after.mode & 0o002 and not before & 0o002:
        yield Finding(path=change.path, risk=NAME, why=f"mode {after.mode:04o}: everybody may write it")
    if after.attributes:
        names = ", ".join(after.attributes)[:LONGEST_EXCERPT].encode("utf-8", "surrogateescape")
        why = f"extended attributes, which are not applied: {shown(names)[0]}"
        yield Finding(path=change.path, risk=NAME, why=why)
