"""ringfence's own policy: what the next session may do."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "ringfence policy"
GROUP = RUNS
DOC = "ringfence's own policy: what the next session may do."

TABLE = Table(
    names=frozenset({
        "ringfence.toml", "ringfence.json", "ringfence.local.toml", ".ringfence.toml",
    }),
    folders=frozenset({
        ".ringfence",
    }),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "the policy of the next session")
