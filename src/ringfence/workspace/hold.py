"""Nobody else at the same time: the session's lock, which its launcher holds, and the workspace's own."""

import fcntl
import os

from ringfence.errors import BoundaryError, UsageError
from ringfence.workspace import overlay, steps
from ringfence.workspace.layers import Layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Hold:
    """A session that does not run and a workspace that nobody else writes to, for as long as this is held."""

    def __init__(self, layers: Layers) -> None:
        if not layers.ended:
            raise _running(layers)
        self.lock = _lock_session(layers)
        try:
            _check_still_ended(layers)
            self.root = steps.open_workspace(layers.workspace, layers.root)
            self._lock_root(layers)
        except BaseException:
            self._close_lock()
            raise

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.root)
        self._close_lock()

    def _close_lock(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)

    def _lock_root(self, layers: Layers) -> None:
        try:
            fcntl.flock(self.root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self.root)
            raise BoundaryError(
                f"something else is being applied to {layers.workspace} at this moment", hint="wait for it"
            ) from None


def _lock_session(layers: Layers) -> int:
    if not layers.lock:
        return -1
    try:
        fd = os.open(layers.lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise BoundaryError(f"the session's lock {layers.lock} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise _running(layers) from None
    return fd


def _check_still_ended(layers: Layers) -> None:
    """Look once more, now that nobody can begin: it may have gone on since, and been killed."""
    path = f"{os.path.dirname(layers.lock)}/{overlay.LAYERS}"
    if layers.lock and os.path.exists(path) and not overlay.load(path).ended:
        raise _running(layers)


def _running(layers: Layers) -> UsageError:
    return UsageError(
        f"session {layers.session} is still running, or in use by another command",
        hint="end it first: what it changes must not change while it is looked at",
    )
