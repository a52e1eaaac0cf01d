"""What a session changed: the upper layer read against the project below, path by path.

Only the upper layer is walked; of the project only the paths that the upper one names are looked at,
and whole folders where one was deleted, replaced or made opaque: there every file is a change of its
own. Raw bytes decide. What the kernel leaves in an upper layer:

* a whiteout (character device 0:0, or an empty file with the attribute `whiteout`): deleted;
* a folder with the attribute `opaque`: nothing of the project shows through, and so in all below it;
* copies: a file opened for writing is copied up whether or not it was written. Equal bytes and an equal
  mode are no change.

A copied snapshot (COPY) reads like a layer whose root is opaque.

The layer is hostile. Folders are opened from its root with no link followed and no mount crossed, names
are looked at before they are opened, never followed, never waited for. What cannot be looked into or is
too large to read stands in the result as OTHER, which nobody applies; nothing is left out silently.

Conflicts. The project may have changed since the session began; the change time, which nobody can set,
tells. A file that was copied up (`origin`, which the agent cannot write) from one that is gone was
deleted meanwhile. As root the origin names an inode, so that a file moved inside the session is known by
that of its old path. For others the kernel leaves it empty; then a copy without an original was deleted
when its folder was changed since, and where a move inside could be the reason as well, that is said.
"""

import errno
import os
import stat

from ringfence.errors import BoundaryError, HostError
from ringfence.value import replace
from ringfence.workspace import beneath, git_index
from ringfence.workspace.below import HOLDS_HIDDEN, Below, unread
from ringfence.workspace.entries import (
    digest,
    entry_of,
    folder_of,
    joined,
    link_of,
    moved,
    opened,
    root,
    status_at,
    too_sparse,
)
from ringfence.workspace.layers import (
    ADDED,
    CHANGED,
    COPY,
    DELETED,
    DIRECTORY,
    FILE,
    MODE,
    OTHER,
    TYPE,
    Change,
    Entry,
    Layers,
)
from ringfence.workspace.pairing import PERHAPS_GONE, TWIN, twins, with_renames
from ringfence.workspace.sides import difference, link_notes
from ringfence.workspace.trace import Trace

MOST = 250_000  # half a gigabyte of changes that are read; more are an error, not a shorter list

GONE = "deleted from the workspace since the session began"
HIDDEN = "hidden from the agent: what the workspace has here is not what the agent changed"

_QUIET = ("security.selinux", "system.nfs4_acl", "btrfs.")  # on every file of some machines
_LEFT_BEHIND = frozenset((DELETED, CHANGED, TYPE))  # what a file that was moved away may leave
_ORIGIN_HEAD = 21  # bytes before the file's own handle in an origin (struct ovl_fb)


def read(layers: Layers, trace: Trace | None = None) -> tuple[Change, ...]:
    """Return every change of a session, sorted by the bytes of its path; `trace` gets what was looked at."""
    reader = _Reader(layers, trace or Trace())
    try:
        return reader.read()
    finally:
        reader.close()


class _Folder:
    """A folder of the layer that is still to be read."""

    def __init__(self, path: bytes, *, below: bool, covers: bool, hidden: bool = False) -> None:
        self.path = path
        self.below = below  # the project has a folder here too
        self.covers = covers  # what the project has here and the layer has not, is deleted
        self.hidden = hidden  # the project's was masked from the agent


class _Reader:
    """One reading: the two roots, and what was found so far."""

    def __init__(self, layers: Layers, trace: Trace) -> None:
        self._layers, self._trace = layers, trace
        self._copy = layers.kind == COPY
        self._found: list[Change] = []
        self._origins: list[tuple[int, bytes, bool]] = []  # position in `found`, origin, folder changed since
        self._gone: set[bytes] = set()  # folders
        self._twins: dict[bytes, bytes] = {}  # path -> the name beside it
        self._upper = root(layers.upper, "the session's layer")
        try:
            self._below = Below(layers)
        except BaseException:
            os.close(self._upper)
            raise
        self._device = os.fstat(self._upper).st_dev
        self._copied = _copied(layers)

    def close(self) -> None:
        """Give the roots back."""
        os.close(self._upper)
        self._below.close()

    def read(self) -> tuple[Change, ...]:
        """Walk the layer."""
        todo = [_Folder(b"", below=True, covers=self._copy)]
        while todo:
            todo += self._folder(todo.pop())
        self._judge_origins()
        self._tell_twins()
        return tuple(sorted(with_renames(self._found), key=lambda change: change.path))

    # --- the layer ---------------------------------------------------------------------------

    def _folder(self, folder: _Folder) -> list[_Folder]:
        """Read one folder of the layer; return those in it that are to be read."""
        above, below = self._open_above(folder.path), -1
        if above < 0:
            return []
        try:
            below = self._open_below(folder)
            self._trace.folder(folder.path, above, below)
            names = beneath.names(above)
            visit: list[_Folder] = []
            added: list[bytes] = []
            there: set[bytes] = set()
            for name in names:
                path = joined(folder.path, name)
                lower = status_at(below, name)
                stands = self._entry(folder, above, below, name, path, lower, visit)
                if stands:
                    (there.add if lower is not None else added.append)(name)
            if folder.covers and below >= 0:
                self._uncovered(folder.path, below, set(names))
            elif added and below >= 0:
                there.update(set(beneath.names(below)).difference(names))
            self._twins |= {joined(folder.path, name): twin for name, twin in twins(added, there).items()}
            return visit
        finally:
            os.close(above)
            if below >= 0:
                os.close(below)

    def _open_above(self, path: bytes) -> int:
        """Open a folder of the layer that was seen; -1 where it is gone, because the session still runs."""
        try:
            return beneath.open_folder(self._upper, path)
        except FileNotFoundError:
            return -1
        except OSError as error:
            raise moved(path) from error

    def _open_below(self, folder: _Folder) -> int:
        if not folder.below:
            return -1
        try:
            return beneath.open_folder(self._below.root, folder.path)
        except OSError as error:
            if not folder.path:
                raise
            self._unread(folder.path, error)
            return -1

    def _unread(self, path: bytes, error: OSError) -> None:
        """Make the change at a folder of the project that cannot be read a conflict."""
        told = unread(path, error)
        for at, change in enumerate(self._found):
            if change.path == path:
                self._found[at] = replace(change, conflict=change.conflict or told.conflict)
                return
        self._add(replace(told, kind=CHANGED, after=told.before))

    def _entry(  # noqa: PLR0917 - one name, seen from both sides
        self, folder: _Folder, above: int, below: int, name: bytes, path: bytes,
        lower: os.stat_result | None, visit: list[_Folder],
    ) -> bool:  # fmt: skip
        """Compare one name; put a folder that is to be read on `visit`; return whether something stands."""
        status = status_at(above, name)
        if status is None:
            return False  # gone meanwhile: the session still runs
        if self._below.is_excluded(path, name, is_folder=stat.S_ISDIR(status.st_mode)):
            return True
        hidden = folder.hidden or (lower is not None and self._below.is_masked(path))
        if stat.S_ISDIR(status.st_mode):
            inner = self._subfolder(folder, above, below, name, path, status, lower, hidden=hidden)
            visit += [inner] if inner is not None else []
            return True
        if self._copied and status.st_ctime_ns <= self._copied and not folder.hidden:
            return True  # as it was copied: whatever the project has now is the user's
        self._trace.file(folder.path, name, status, lower)
        try:
            seen = None if self._is_device_whiteout(status) else self._seen(above, name, path, status)
        except FileNotFoundError:
            return False
        if seen is None:
            if lower is not None and not hidden:
                self._deleted(below, name, path, lower)
            return False
        if hidden:
            self._add(Change(path=path, kind=ADDED, after=seen[0], conflict=HIDDEN))
        else:
            self._compare(path, below, name, lower, *seen)
        return True

    def _subfolder(  # noqa: PLR0917 - one name, seen from both sides
        self, folder: _Folder, above: int, below: int, name: bytes, path: bytes, status: os.stat_result,
        lower: os.stat_result | None, *, hidden: bool,
    ) -> _Folder | None:  # fmt: skip
        """Compare a folder itself; return it when it can be looked into."""
        after = folder_of(status)
        attributes = self._attributes_of_folder(above, name, path, status)
        if attributes is None:
            after = entry_of(status, OTHER)
        both = lower is not None and stat.S_ISDIR(lower.st_mode) and not hidden and after.kind == DIRECTORY
        if hidden:
            self._add(Change(path=path, kind=ADDED, after=after, conflict=HIDDEN))
        elif lower is None:
            self._added(path, after, (attributes or {}).get(f"{self._layers.xattr}.origin"), below)
        elif attributes is None and stat.S_ISDIR(lower.st_mode):
            self._add(Change(path=path, kind=TYPE, before=folder_of(lower), after=after))
        elif not both:
            before, conflict = self._before(below, name, path, lower)
            notes = link_notes(before, None)
            self._add(
                Change(path=path, kind=TYPE, before=before, after=after, conflict=conflict, notes=notes)
            )
        elif stat.S_IMODE(lower.st_mode) != after.mode:
            self._add(Change(path=path, kind=MODE, before=folder_of(lower), after=after))
        if attributes is None:
            return None
        covers = folder.covers or self._is_opaque(attributes)
        return _Folder(path, below=both, covers=covers, hidden=hidden)

    def _attributes_of_folder(
        self, above: int, name: bytes, path: bytes, status: os.stat_result
    ) -> dict[str, bytes] | None:
        """Return a folder's attributes, or None where it cannot be looked into."""
        if status.st_dev != self._device:
            return None
        try:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except (PermissionError, FileNotFoundError):
            return None
        except OSError as error:
            raise moved(path) from error
        try:
            if os.fstat(fd).st_ino != status.st_ino:
                raise moved(path)
            if not os.access(f"/proc/self/fd/{fd}", os.X_OK):
                return None
            return self._attributes(fd, path)
        finally:
            os.close(fd)

    def _attributes(self, fd: int, path: bytes) -> dict[str, bytes]:
        """Return the extended attributes; refuse those that say that the content is elsewhere."""
        try:
            found = {name: os.getxattr(fd, name) for name in os.listxattr(fd)}
        except OSError as error:
            if error.errno == errno.ENOTSUP:
                return {}
            raise
        for feature in ("redirect", "metacopy"):
            if f"{self._layers.xattr}.{feature}" in found:
                raise BoundaryError(
                    f"{path!r} in the layer of session {self._layers.session} has the attribute `{feature}`",
                    hint="ringfence mounts without that feature, so this layer was tampered with: discard it",
                )
        return found

    def _is_opaque(self, attributes: dict[str, bytes]) -> bool:
        return not self._copy and attributes.get(f"{self._layers.xattr}.opaque") == b"y"

    def _is_device_whiteout(self, status: os.stat_result) -> bool:
        return not self._copy and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    def _seen(
        self, above: int, name: bytes, path: bytes, status: os.stat_result
    ) -> tuple[Entry, bytes | None] | None:
        """Return what stands at a name that is no folder, and its origin; None for a whiteout."""
        if stat.S_ISLNK(status.st_mode):
            return link_of(above, name, status), None
        if not stat.S_ISREG(status.st_mode) or status.st_dev != self._device:
            return entry_of(status, OTHER), None
        fd = opened(above, name, path, status, lift=True)
        try:
            attributes = self._attributes(fd, path)
            if f"{self._layers.xattr}.whiteout" in attributes and not status.st_size and not self._copy:
                return None
            size = os.fstat(fd).st_size
            sparse = too_sparse(status)
            entry = replace(
                entry_of(status, OTHER if sparse else FILE),
                attributes=tuple(sorted(filter(self._tells, attributes))),
            )
            if not sparse:
                entry = replace(entry, size=size, digest=digest(fd, size))
            return entry, attributes.get(f"{self._layers.xattr}.origin")
        finally:
            os.close(fd)

    def _tells(self, name: str) -> bool:
        return not name.startswith((self._layers.xattr + ".", *_QUIET))

    # --- comparing ---------------------------------------------------------------------------

    def _compare(  # noqa: PLR0917 - the two sides of one path
        self, path: bytes, below: int, name: bytes, lower: os.stat_result | None, after: Entry,
        origin: bytes | None,
    ) -> None:  # fmt: skip
        if lower is None:
            self._added(path, after, origin, below)
            return
        before, conflict = self._before(below, name, path, lower)
        if self._copied and before.mode & 0o777 == after.mode:
            before = replace(before, mode=after.mode)  # a copy is made without set-id bits
        kind = difference(before, after)
        if kind == CHANGED and git_index.is_index(path) and self._is_refreshed(path):
            kind = ""
        if kind:
            notes = link_notes(before, after)
            self._add(
                Change(path=path, kind=kind, before=before, after=after, conflict=conflict, notes=notes)
            )

    def _is_refreshed(self, path: bytes) -> bool:
        """Say whether an index was only written anew, as every git command does."""
        try:
            sides = [_content(one, path) for one in (self._upper, self._below.root)]
        except OSError:
            return False
        return git_index.same(*sides)

    def _before(self, below: int, name: bytes, path: bytes, lower: os.stat_result) -> tuple[Entry, str]:
        """Return what the project has at a name; what is in a folder that is replaced is deleted."""
        if not stat.S_ISDIR(lower.st_mode):
            return self._below.entry(below, name, path, lower)
        changes, whole = self._below.tree(path, lower)
        for change in changes:
            self._add(change)
        return folder_of(lower), self._below.later(path, lower) or ("" if whole else HOLDS_HIDDEN)

    def _deleted(self, below: int, name: bytes, path: bytes, lower: os.stat_result) -> None:
        for change in self._below.deleted(below, name, path, lower)[0]:
            self._add(replace(change, notes=link_notes(change.before, None)))

    def _uncovered(self, path: bytes, below: int, covered: set[bytes]) -> None:
        """Report what the project has in a folder of which nothing shows through."""
        for name in beneath.names(below):
            lower, inner = status_at(below, name), joined(path, name)
            if name in covered or lower is None or self._below.is_not_part(inner, name, lower):
                continue
            self._deleted(below, name, inner, lower)

    def _added(self, path: bytes, entry: Entry, origin: bytes | None, below: int) -> None:
        conflict = GONE if self._below.was_copied(path) else ""
        if origin is not None and not self._copy:
            if entry.kind == DIRECTORY:  # a copied folder cannot be moved: the kernel refuses
                conflict = GONE
                self._gone.add(path)
            else:
                self._origins.append((len(self._found), origin, self._was_stirred(path, below)))
        self._add(
            Change(path=path, kind=ADDED, after=entry, conflict=conflict, notes=link_notes(None, entry))
        )

    def _was_stirred(self, path: bytes, below: int) -> bool:
        """Say whether the project's folder lost or got an entry since the session began, or is gone."""
        folder = path.rpartition(b"/")[0]
        return folder in self._gone if below < 0 else bool(self._below.later(folder, os.fstat(below)))

    def _add(self, change: Change) -> None:
        if len(self._found) >= MOST:
            raise HostError(
                f"session {self._layers.session} changed more than {MOST:,} files: too many to review",
                hint="name what is built or downloaded in `exclude` or `keep` of the policy's [workspace]",
            )
        self._found.append(change)

    def _judge_origins(self) -> None:
        """Find what was copied up from a file that is gone by now."""
        sources = any(
            change.before is not None
            and change.before.kind == FILE
            and change.kind in {DELETED, CHANGED, TYPE}
            for change in self._found
        )
        for at, origin, stirred in self._origins:
            handle = origin[_ORIGIN_HEAD:]
            words = (handle[start : start + 4] for start in range(0, len(handle) - 3, 4))
            conflict = ""
            if not handle and stirred:
                conflict = PERHAPS_GONE if sources else GONE
            elif handle and not any(word in self._below.inodes for word in words):
                conflict = GONE
            if conflict:
                self._found[at] = replace(self._found[at], conflict=conflict)

    def _tell_twins(self) -> None:
        for at, change in enumerate(self._found):
            twin = self._twins.get(change.path)
            if twin is not None and change.kind == ADDED:
                note = f"{TWIN}{os.fsdecode(twin)!a}"
                self._found[at] = replace(change, notes=(*change.notes, note))


def _content(root_fd: int, path: bytes) -> bytes:
    fd = beneath.open_file(root_fd, path)
    with open(fd, "rb") as file:
        return file.read(git_index.LARGEST + 1)


def _copied(layers: Layers) -> int:
    """Return when a snapshot was complete (ns): what was not touched since then is as it was copied."""
    if layers.kind != COPY:
        return 0
    try:
        return os.stat(f"{os.path.dirname(layers.upper)}/base").st_ctime_ns
    except FileNotFoundError:
        return 0
