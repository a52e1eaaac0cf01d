"""What shells and environment managers run on entering the folder or at login."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "shell start-up"
GROUP = RUNS
DOC = "What shells and environment managers run on entering the folder or at login."

TABLE = Table(
    names=frozenset({
        ".envrc", ".envrc.local", ".bashrc", ".bash_profile", ".bash_login", ".bash_logout",
        ".bash_aliases", ".bash_completion", ".profile", ".zshrc", ".zshenv", ".zprofile",
        ".zlogin", ".zlogout", ".kshrc", ".cshrc", ".tcshrc", ".login", ".logout", ".inputrc",
        ".editrc", ".screenrc", ".tmux.conf", ".xprofile", ".xinitrc", ".xsessionrc",
        ".pam_environment", ".env", ".env.zsh", ".autoenv", ".autoenv.zsh", ".in", ".out",
        ".tool-versions", ".tool-version", "mise.toml", ".mise.toml", "mise.local.toml",
        ".mise.local.toml", ".rtx.toml", ".asdfrc", ".direnvrc", "direnvrc", ".shadowenv.d",
        "devbox.json", "devenv.nix", "devenv.yaml", "flake.nix", "flake.lock", "shell.nix",
        "default.nix", ".sdkmanrc", ".nvmrc", ".node-version", ".python-version", ".ruby-version",
        ".java-version", ".jenv", ".terraform-version", ".go-version", "rust-toolchain",
        "rust-toolchain.toml", ".pythonrc", ".pythonrc.py", ".pythonstartup", ".irbrc", ".pryrc",
        ".ghci", ".guile", ".rprofile", ".renviron", ".julia", ".octaverc", ".psqlrc", ".sqliterc",
        ".my.cnf", ".curlrc", ".wgetrc", ".netrc", ".ackrc", ".ripgreprc", ".lesskey", ".pdbrc",
        ".pdbrc.py",
    }),
    folders=frozenset({
        ".mise", ".shadowenv.d", ".direnv", ".config", ".ssh", ".devbox", ".devenv", ".bashrc.d",
        ".zsh", ".oh-my-zsh", ".asdf", ".local",
    }),
    suffixes=(
        ".fish",
    ),
    prefixes=(
        ".env.", ".mise.",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what a shell runs or takes its environment from on entering")
