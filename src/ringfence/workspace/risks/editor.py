"""What editors run or obey when the project is opened: tasks, launch settings, local scripts."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "editor settings"
GROUP = RUNS
DOC = "What editors run or obey when the project is opened: tasks, launch settings, local scripts."

TABLE = Table(
    names=frozenset({
        ".exrc", ".nvimrc", ".nvim.lua", ".vimrc", ".lvimrc", ".local.vimrc", "_vimrc", "_exrc",
        ".gvimrc", ".dir-locals.el", ".dir-locals-2.el", ".projectile", ".neoconf.json",
        ".kateproject", ".sublime-project", ".ycm_extra_conf.py", ".ccls", ".clangd", ".lldbinit",
        ".gdbinit", ".ipython_config.py", ".theia", ".classpath", ".ensime", ".emacs", ".spacemacs",
        ".nova", ".luarc.json", "coc-settings.json", ".vimspector.json",
    }),
    folders=frozenset({
        ".vscode", ".vscode-server", ".idea", ".zed", ".nvim", ".vim", ".fleet", ".vs", ".helix",
        ".theia", ".nova", ".kak", ".sublime", ".settings", ".lapce", ".devenv",
    }),
    suffixes=(
        ".code-workspace", ".sublime-project", ".sublime-build", ".sublime-settings", ".iml",
        ".ipr", ".iws", ".xcscheme", ".code-profile",
    ),
    paths=(
        (".config", "nvim"), (".run",),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what an editor runs or obeys when the project is opened")
