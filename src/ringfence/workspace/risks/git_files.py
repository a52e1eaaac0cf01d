"""What git on the host runs or obeys: hooks, configuration, attributes, submodules."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "git configuration"
GROUP = RUNS
DOC = "What git on the host runs or obeys: hooks, configuration, attributes, submodules."

TABLE = Table(
    names=frozenset({
        ".gitmodules", ".gitattributes", ".gitconfig", ".lfsconfig", ".gitreview",
    }),
    folders=frozenset({
        ".githooks", ".git-hooks", "githooks", "git-hooks",
    }),
    paths=(
        (".git", "hooks"), (".git", "config"), (".git", "config.worktree"), (".git", "commondir"),
        (".git", "gitdir"), (".git", "modules"), (".git", "worktrees"), (".git", "info"), (".git",
        "objects", "info"), (".git", "description"), (".config", "git"),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what git obeys: it can name programs that git runs")
