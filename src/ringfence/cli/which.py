"""Which session and which paths a command's words name: `diff`, `apply`, `discard`, `undo`.

The first word names a session if it is `last` or begins like an id; without one it is the last session
about the project around the current folder. Paths are read from the current folder where that lies in the
project, else from the top of the project.
"""

import os

from ringfence.cli import git_outside
from ringfence.errors import UsageError
from ringfence.host.model import Host
from ringfence.workspace import overlay
from ringfence.workspace.layers import Layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def session_and_paths(
    host: Host, words: "Sequence[str]", *, outside: bool = False
) -> tuple[Layers, tuple[bytes, ...]]:
    """Return the session's layers and the paths as the change set has them.

    `outside`: the layers of what git wrote outside of a linked worktree.
    """
    named = words[:1] if words and is_session(words[0]) else ()
    if named and named[0] != "last":
        layers = overlay.find(host.state_dir, named[0])
    else:
        layers = _of_this_project(host)
    if outside:
        layers = git_outside.layers_of(layers)
    paths = tuple(_path(layers, word) for word in words[len(named) :])
    return layers, () if b"." in paths else paths  # the project itself: all of it


def is_session(word: str) -> bool:
    """Say whether a word is spelled like a session's id, or the beginning of one; else it is a path."""
    if word == "last":
        return True
    parts = word.split("-")
    if not (len(parts) <= 3 and parts[0].isdecimal() and len(parts[0]) == 8):
        return False
    return all(part.isalnum() or not part for part in parts[1:]) and not os.path.lexists(word)


def _of_this_project(host: Host) -> Layers:
    """Return the last session about the folder we are in, or about one above it."""
    here = folder = os.path.realpath(os.getcwd())
    while True:
        try:
            return overlay.find(host.state_dir, "last", folder)
        except UsageError:
            if folder == "/":
                raise UsageError(
                    f"no session has changed anything in {here}",
                    hint="`ringfence sessions` lists those that have; name one by its id",
                ) from None
            folder = os.path.dirname(folder)


def _path(layers: Layers, word: str) -> bytes:
    """Return a path relative to the workspace."""
    here = os.path.realpath(os.getcwd())
    inside = here == layers.workspace or here.startswith(layers.workspace + "/")
    full = os.path.normpath(os.path.join(here if inside else layers.workspace, word))
    if full != layers.workspace and not full.startswith(layers.workspace + "/"):
        raise UsageError(f"{word} does not lie in {layers.workspace}")
    return os.fsencode(os.path.relpath(full, layers.workspace))
