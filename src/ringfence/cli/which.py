"""Which session and which paths a command's words name: `diff`, `apply`, `discard`, `undo`.

The first word names a session if it is `last` or begins like an id; without one it is the last session
about the project around the current folder. Paths are read from the current folder where that lies in the
project, else from the top of the project.
"""

import os

from ringfence.errors import UsageError
from ringfence.host.model import Host
from ringfence.preparation import workspace_of
from ringfence.workspace import overlay
from ringfence.workspace.layers import Layers


def session_and_paths(host: Host, words: tuple[str, ...]) -> tuple[Layers, tuple[bytes, ...]]:
    """Return the session's layers and the paths as the change set has them."""
    named = words[:1] if words and _is_session(words[0]) else ()
    workspace = os.path.realpath(workspace_of(os.getcwd(), host.home))
    layers = (
        overlay.find(host.state_dir, named[0])
        if named and named[0] != "last"
        else overlay.find(host.state_dir, "last", workspace)
    )
    return layers, tuple(_path(layers, word) for word in words[len(named) :])


def _is_session(word: str) -> bool:
    return word == "last" or (len(word) >= 4 and word[:8].isdigit() and word[8:9] in {"", "-"})


def _path(layers: Layers, word: str) -> bytes:
    """Return a path relative to the workspace."""
    here = os.path.realpath(os.getcwd())
    inside = here == layers.workspace or here.startswith(layers.workspace + "/")
    full = os.path.normpath(os.path.join(here if inside else layers.workspace, word))
    if full != layers.workspace and not full.startswith(layers.workspace + "/"):
        raise UsageError(f"{word} does not lie in {layers.workspace}")
    return os.fsencode(os.path.relpath(full, layers.workspace))
