"""Whether something in the project is still what the session saw there, or what ringfence itself left.

The change time tells: nobody can set it. In a layer what is newer than the session's start was changed
meanwhile; a copied project has a list of what was copied. What an apply or an undo put there is newer and
no change of the user's (`settled`).
"""

import os

from ringfence.workspace import git_index, manifest, settled, snapshot
from ringfence.workspace.layers import COPY, Layers


class Seen:
    """What one session saw of the project."""

    def __init__(self, layers: Layers) -> None:
        self._started = layers.started
        self._index = layers.index
        self._workspace = layers.workspace
        self._settled = settled.load(manifest.folder(layers))
        self.copied = _base(layers)  # of a copied project: what each path was

    def knows(self, path: bytes, status: os.stat_result) -> bool:
        """Tell whether what stands at a path is what the session saw, or ours."""
        return self._is_as_seen(path, status) or (path == git_index.INDEX and self._is_refreshed())

    def _is_refreshed(self) -> bool:
        """Tell whether the index holds what it held, written anew as by every `git status`."""
        return bool(self._index) and git_index.digest_below(self._workspace) == self._index

    def _is_as_seen(self, path: bytes, status: os.stat_result) -> bool:
        if self._settled and (status.st_dev, status.st_ino, status.st_ctime_ns) in self._settled:
            return True
        if self.copied is not None:
            stamp = self.copied.get(path)
            return stamp is not None and (stamp.changed, stamp.inode) == (status.st_ctime_ns, status.st_ino)
        return not self._started or status.st_ctime_ns <= self._started


def _base(layers: Layers) -> "dict[bytes, snapshot.Stamp] | None":
    """Return what a snapshot was made of, where that was written down."""
    if layers.kind != COPY:
        return None
    try:
        return snapshot.read_base(layers)
    except FileNotFoundError:
        return None
