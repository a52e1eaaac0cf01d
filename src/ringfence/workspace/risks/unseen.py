"""Changes whose lines are not shown: too large, or turned from text into bytes."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change, Entry
from ringfence.workspace.review.unified import is_binary
from ringfence.workspace.risks.finding import RUNS, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "not shown"
GROUP = RUNS
DOC = "Changes whose lines are not shown: too large, or turned from text into bytes."


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    before, after = change.before, change.after
    if content.large and after is not None and _differ(before, after):
        yield Finding(path=change.path, risk=NAME, why=f"is too large to show: {after.size:,} bytes")
    elif content.is_plain:
        return
    elif is_binary(content.after) and content.before and not is_binary(content.before):
        yield Finding(path=change.path, risk=NAME, why="was text and is shown as binary now")
    elif is_binary(content.after) and (content.after or b"")[:2] == b"#!":
        yield Finding(path=change.path, risk=NAME, why="is a script with bytes that no text has")


def _differ(before: Entry | None, after: Entry) -> bool:
    return before is None or before.digest != after.digest
