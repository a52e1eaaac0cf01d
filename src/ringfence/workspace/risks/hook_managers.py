"""What programs that install git hooks run at each commit."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "hook manager"
GROUP = RUNS
DOC = "What programs that install git hooks run at each commit."

TABLE = Table(
    names=frozenset({
        ".pre-commit-config.yaml", ".pre-commit-config.yml", ".pre-commit-hooks.yaml", "prek.toml",
        "lefthook.yml", "lefthook.yaml", "lefthook.toml", "lefthook.json", ".lefthook.yml",
        ".lefthook.yaml", "lefthook-local.yml", ".overcommit.yml", ".huskyrc", ".huskyrc.json",
        ".huskyrc.js", ".lintstagedrc", ".lintstagedrc.json", ".lintstagedrc.js",
        ".lintstagedrc.cjs", ".lintstagedrc.mjs", ".lintstagedrc.yaml", "lint-staged.config.js",
        "lint-staged.config.mjs", "lint-staged.config.cjs", ".commitlintrc.js",
        "commitlint.config.js", "simple-git-hooks.js", ".simple-git-hooks.json", ".hk.pkl",
        "hk.pkl", ".cargo-husky",
    }),
    folders=frozenset({
        ".husky", ".lefthook", ".overcommit",
    }),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what runs at each commit or push")
