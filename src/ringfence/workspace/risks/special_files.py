"""Devices, fifos, sockets, and what could not be read: nobody applies them."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import OTHER, Change
from ringfence.workspace.review.text import shown
from ringfence.workspace.risks.finding import RUNS, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "special file"
GROUP = RUNS
DOC = "Devices, fifos, sockets, and what could not be read: nobody applies them."


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    if change.after is not None and change.after.kind == OTHER:
        what = shown(change.after.target)[0]
        yield Finding(
            path=change.path, risk=NAME, why=f"is no file, folder or link, and is never applied: {what}"
        )
