"""Presets: what an agent or a toolchain needs, one file each under `presets/`.

A preset is a layer like any other, so reading one is reading its file. Where nobody says `use`, the
command and the operator's own toolchains choose; never the workspace, which is not trusted.
"""

import os

from ringfence.policy import parameters, read
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "presets")
AGENTS = ("claude", "codex", "gemini", "opencode", "aider")
# A preset of a toolchain, and the programs that show that the operator uses it.
TOOLCHAINS = {
    "python": ("python3", "pip", "uv"),
    "node": ("node", "bun", "deno"),
    "git": ("git",),
    "rust": ("cargo",),
    "go": ("go",),
    "java": ("java",),
}


def names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return tuple(sorted(file[:-5] for file in os.listdir(FOLDER) if file.endswith(".toml")))


def source(name: str) -> "read.Source | None":
    """Read a preset's file, its argument with it; None where there is none of that name."""
    plain, _ = parameters.split(name)
    found = read.source(f"{FOLDER}/{plain}.toml", "preset")
    return found and replace(found, use=name)


def chosen(command: str, path: "Iterable[str]", workspace: str) -> tuple[str, ...]:
    """Choose the presets for a command where no layer names any: none, unless it is a known agent."""
    agent = os.path.basename(command)
    if agent not in AGENTS:
        return ()
    return (agent, *_toolchains([folder for folder in path if not _inside(folder, workspace)]))


def _toolchains(path: list[str]) -> tuple[str, ...]:
    return tuple(
        name for name, programs in TOOLCHAINS.items() if any(_found(program, path) for program in programs)
    )


def _found(program: str, path: list[str]) -> bool:
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in path)


def _inside(folder: str, workspace: str) -> bool:
    """Say whether a PATH entry may be the workspace's own, which proves nothing about the operator."""
    return not folder.startswith("/") or f"{folder}/".startswith(workspace.rstrip("/") + "/")
