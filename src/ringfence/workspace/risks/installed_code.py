"""Installed dependencies and compiled code: run in place of what the source says."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "installed code"
GROUP = RUNS
DOC = "Installed dependencies and compiled code: run in place of what the source says."

_TABLE = Table(
    names=frozenset({
        ".pnp.cjs", ".pnp.js", ".pnp.loader.mjs",
    }),
    folders=frozenset({
        "node_modules", "site-packages", "dist-packages", "__pycache__", ".venv", "venv",
        ".virtualenv", "virtualenv", ".tox", ".nox", "bower_components", ".pnpm", ".bundle",
        "jspm_packages", ".eggs", ".pnp", "__pypackages__", ".pixi", ".conda",
    }),
    suffixes=(
        ".pyc", ".pyo", ".pyd", ".so", ".dylib", ".dll", ".node", ".jar", ".war", ".class", ".wasm",
        ".exe", ".msi", ".com", ".bat", ".cmd", ".ps1", ".psm1", ".scr", ".vbs", ".egg", ".whl",
        ".gem", ".vsix", ".xpi", ".appimage", ".desktop", ".lnk", ".service", ".timer", ".plist",
        ".command", ".workflow", ".app",
    ),
    paths=(
        ("env", "bin"), ("vendor", "bin"), ("vendor", "bundle"), (".yarn", "cache"), ("env",
        "scripts"),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(
        change, _TABLE, NAME, "installed or compiled code that runs in place of what the source says"
    )
