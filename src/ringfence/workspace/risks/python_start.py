"""What every Python process runs at its start."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "Python start-up"
GROUP = RUNS
DOC = "What every Python process runs at its start."

TABLE = Table(
    names=frozenset({
        "sitecustomize.py", "usercustomize.py", "sitecustomize.pyc", "usercustomize.pyc",
        "pyvenv.cfg", "pth.py", "python._pth", "._pth",
    }),
    suffixes=(
        ".pth", "._pth", ".egg-link", ".start",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what Python runs at its start, before any program")
