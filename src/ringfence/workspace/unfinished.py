"""Which sessions have an apply or an undo that may not be finished: a note each, so that every start sees it.

STATE/applying/ID    made before the journal, gone when the project is whole again
"""

import os

from ringfence.workspace import layers

_FOLDER = "applying"


def note(of: layers.Layers) -> None:
    """Note that an apply begins."""
    path = _path(of)
    if path:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def forget(of: layers.Layers) -> None:
    """Note that it is over."""
    path = _path(of)
    try:
        if path:
            os.unlink(path)
    except FileNotFoundError:
        return


def sessions(state_dir: str) -> list[str]:
    """Return the sessions with a note."""
    try:
        return sorted(os.listdir(f"{state_dir}/{_FOLDER}"))
    except (FileNotFoundError, NotADirectoryError):  # who needs it will say what is wrong
        return []


def _path(of: layers.Layers) -> str:
    """Return the note's path: beside the folder of all sessions that the session's folder lies in."""
    folder = os.path.dirname(of.lock)
    top, name = os.path.split(os.path.dirname(folder))
    return f"{top}/{_FOLDER}/{of.session}" if name == "sessions" else ""
