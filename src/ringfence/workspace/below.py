"""The project as it lies below a session's layer: what stands at a path now, and whether it is what it was.

The change time tells that a file was changed since the session began: nobody can set it. For a copied
snapshot, what each path was is written down beside it; what is not there was not copied. What was masked
from the agent or left out by the operator is not the agent's to delete, so it stays, and the folders
above it stay.
"""

import errno
import os
import stat

from ringfence.subject import path_matches
from ringfence.value import replace
from ringfence.workspace import beneath
from ringfence.workspace.entries import (
    digest,
    entry_of,
    folder_of,
    joined,
    link_of,
    opened,
    project_root,
    status_at,
    too_sparse,
)
from ringfence.workspace.layers import DELETED, DIRECTORY, FILE, OTHER, Change, Entry, Layers
from ringfence.workspace.seen import Seen

LATER = "changed in the workspace since the session began"
HOLDS_HIDDEN = "this folder of the workspace holds files that are no part of the session"
UNREADABLE = "cannot be read in the workspace"
MOUNTED = "another file system is mounted here in the workspace"


class Below:
    """The project's side of a reading."""

    def __init__(self, layers: Layers) -> None:
        self._seen = Seen(layers)
        self._masked = {os.fsencode(path) for path in layers.masked}
        self._exclude = layers.exclude
        self._copied = self._seen.copied
        self.inodes: set[bytes] = set()  # of all that was asked for, as origins spell them
        self.root = project_root(layers)

    def close(self) -> None:
        """Give the root back."""
        os.close(self.root)

    def is_masked(self, path: bytes) -> bool:
        """Say whether the agent could not see what stands here."""
        return path in self._masked

    def was_copied(self, path: bytes) -> bool:
        """Say whether a snapshot had this path from the project."""
        return self._copied is not None and path in self._copied

    def is_not_part(self, path: bytes, name: bytes, status: os.stat_result) -> bool:
        """Say whether what stands here is not the agent's to delete: unseen by it, or come later."""
        if self.is_masked(path) or self.is_excluded(path, name, is_folder=stat.S_ISDIR(status.st_mode)):
            return True
        if self._copied is None:
            return False
        kind = stat.S_IFMT(status.st_mode)  # sockets, fifos and devices are not copied
        return path not in self._copied or kind not in {stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}

    def is_excluded(self, path: bytes, name: bytes, *, is_folder: bool) -> bool:
        """Say whether a glob leaves a path out. What lies in such a folder is never asked about."""
        for pattern in self._exclude:
            if pattern.endswith("/") and not is_folder:
                continue
            asked = path if "/" in pattern[:-1] else name
            if path_matches(pattern.strip("/"), os.fsdecode(asked)):
                return True
        return False

    def later(self, path: bytes, status: os.stat_result) -> str:
        """Return the conflict of what was changed since the session began."""
        return "" if self._seen.knows(path, status) else LATER

    def entry(self, folder: int, name: bytes, path: bytes, status: os.stat_result) -> tuple[Entry, str]:
        """Return what stands at a name that is no folder, and the conflict there."""
        self.saw(status)
        conflict = self.later(path, status)
        if stat.S_ISLNK(status.st_mode):
            return link_of(folder, name, status), conflict
        if not stat.S_ISREG(status.st_mode):
            return entry_of(status, OTHER), conflict
        entry = entry_of(status, FILE)
        if too_sparse(status):
            return entry, conflict
        try:
            fd = opened(folder, name, path, status, lift=False)
        except PermissionError:
            return entry, conflict or UNREADABLE
        try:
            return replace(entry, digest=digest(fd, status.st_size)), conflict
        finally:
            os.close(fd)

    def saw(self, status: os.stat_result) -> None:
        """Remember an inode: what was copied up from it may stand elsewhere in the layer."""
        self.inodes.add((status.st_ino & 0xFFFFFFFF).to_bytes(4, "little"))

    def deleted(
        self, folder: int, name: bytes, path: bytes, status: os.stat_result
    ) -> tuple[list[Change], bool]:
        """Return what stands at a name as deleted, with all below it, and whether nothing of it stays."""
        if stat.S_ISDIR(status.st_mode):
            changes, whole = self.tree(path, status)
            return [*changes, *([self._folder(path, status)] if whole else [])], whole
        entry, conflict = self.entry(folder, name, path, status)
        return [Change(path=path, kind=DELETED, before=entry, conflict=conflict)], True

    def tree(self, top: bytes, status: os.stat_result) -> tuple[list[Change], bool]:
        """Return all below a folder as deleted, and whether nothing of it stays."""
        found: list[Change] = []
        stays: set[bytes] = set()  # folders of which something stays
        folders = [(top, status)]
        for path, seen in folders:  # grows while it is walked: each folder before those in it
            self.saw(seen)
            try:
                fd = beneath.open_folder(self.root, path)
            except OSError as error:
                found.append(unread(path, error, folder_of(seen)))
                stays.add(path)
                continue
            try:
                folders += self._level(fd, path, found, stays)
            finally:
                os.close(fd)
        for path, seen in folders[:0:-1]:  # the deepest first: what stays keeps the folders above it
            if path in stays:
                stays.add(path.rpartition(b"/")[0])
            else:
                found.append(self._folder(path, seen))
        return found, top not in stays

    def _level(
        self, fd: int, path: bytes, found: list[Change], stays: set[bytes]
    ) -> "list[tuple[bytes, os.stat_result]]":
        inside: list[tuple[bytes, os.stat_result]] = []
        for name in beneath.names(fd):
            inner, status = joined(path, name), status_at(fd, name)
            if status is None:
                continue
            if self.is_not_part(inner, name, status):
                stays.add(path)
            elif stat.S_ISDIR(status.st_mode):
                inside.append((inner, status))
            else:
                found += self.deleted(fd, name, inner, status)[0]
        return inside

    def _folder(self, path: bytes, status: os.stat_result) -> Change:
        return Change(path=path, kind=DELETED, before=folder_of(status), conflict=self.later(path, status))


def unread(path: bytes, error: OSError, entry: Entry | None = None) -> Change:
    """Return the conflict that stands for a folder of the project that cannot be read."""
    conflict = MOUNTED if error.errno == errno.EXDEV else f"{UNREADABLE}: {error.strerror}"
    return Change(path=path, kind=DELETED, before=entry or Entry(kind=DIRECTORY, mode=0), conflict=conflict)
