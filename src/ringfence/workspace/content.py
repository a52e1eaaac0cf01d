"""The bytes behind a change, read once for showing: what is shown is what was found.

Each file is read by the same careful door as before, no further than a limit, and its digest has to be
the one in the change: what a reviewer sees is then what a manifest of the changes names.
"""

import os

from ringfence.errors import HostError
from ringfence.workspace import beneath
from ringfence.workspace.entries import moved, opened, project_root, root
from ringfence.workspace.layers import FILE, LINK, Change, Entry, Layers
from ringfence.workspace.review import lines, text

LARGEST_SHOWN = 4 << 20  # bytes of one side; larger files are summed up
_KEPT_EDITS = 16


class Content:
    """Both sides of one change. None: there is no such side, it is no file or link, or it is too large."""

    def __init__(
        self,
        before: bytes | None,
        after: bytes | None,
        *,
        large: bool = False,
        edits: "list[lines.Edit] | None" = None,
    ) -> None:
        self.before = before
        self.after = after
        self.large = large  # a side was too large to be read
        self._edits = edits
        self._is_split = False
        self._is_plain: bool | None = None
        self._added_lower: bytes | None = None
        self._old: list[bytes] = []
        self._new: list[bytes] = []

    @property
    def is_plain(self) -> bool:
        """Whether both sides are printable ASCII: nothing to escape, and no binary."""
        if self._is_plain is None:
            self._is_plain = text.is_plain(self.before or b"") and text.is_plain(self.after or b"")
        return self._is_plain

    @property
    def added_lower(self) -> bytes:
        """The new lines as one text in lower case."""
        if self._added_lower is None:
            found = self._compared()
            self._added_lower = b"".join([line for _, _, c, d in found for line in self._new[c:d]]).lower()
        return self._added_lower

    @property
    def edits(self) -> "list[lines.Edit]":
        """What differs, as stretches of lines."""
        return self._compared()

    def hunks(self, context: int = lines.CONTEXT) -> list[lines.Hunk]:
        """Return what differs, line by line; a side that is not there is empty."""
        found = self._compared()
        return lines.grouped(self._old, self._new, found, context)

    def added(self) -> list[tuple[int, bytes]]:
        """Return the lines that are new, numbered from 1 as in the new file."""
        found = self._compared()
        return [(at + 1, self._new[at]) for _, _, c, d in found for at in range(c, d)]

    def removed(self) -> list[tuple[int, bytes]]:
        """Return the lines that are gone, numbered from 1 as in the old file."""
        found = self._compared()
        return [(at + 1, self._old[at]) for a, b, _, _ in found for at in range(a, b)]

    def _compared(self) -> "list[lines.Edit]":
        if not self._is_split:
            self._is_split = True
            self._old, self._new = lines.split(self.before or b""), lines.split(self.after or b"")
        if self._edits is None:
            self._edits = lines.edits(self._old, self._new)
        return self._edits


class Contents:
    """Reads the content of a session's changes."""

    def __init__(self, layers: Layers, largest: int = LARGEST_SHOWN) -> None:
        self.largest = largest
        self._known: dict[bytes, list[lines.Edit]] = {}  # of small comparisons, which are asked for twice
        self._upper = root(layers.upper, "the session's layer")
        try:
            self._lower = project_root(layers)
        except BaseException:
            os.close(self._upper)
            raise

    def close(self) -> None:
        """Give the roots back."""
        os.close(self._upper)
        os.close(self._lower)

    def of(self, change: Change) -> Content:
        """Read both sides of a change."""
        before = self._side(self._lower, change.source or change.path, change.before, lift=False)
        after = self._side(self._upper, change.path, change.after, lift=True)
        large = any(
            entry is not None and entry.kind == FILE and entry.size > self.largest
            for entry in (change.before, change.after)
        )
        return Content(before, after, large=large, edits=self._known.get(change.path))

    def keep(self, change: Change, content: Content) -> None:
        """Remember what a comparison found, but not the bytes: the next reading need not compare again."""
        if len(content.edits) <= _KEPT_EDITS:
            self._known[change.path] = content.edits

    def kept(self, change: Change) -> "list[lines.Edit] | None":
        """Return what was remembered of a change."""
        return self._known.get(change.path)

    def recall(self, change: Change, edits: "list[lines.Edit]") -> None:
        """Remember what another process found."""
        self._known[change.path] = edits

    def _side(self, where: int, path: bytes, entry: Entry | None, *, lift: bool) -> bytes | None:
        if entry is None or entry.kind not in {FILE, LINK}:
            return None
        if entry.kind == LINK:
            return entry.target
        if entry.size > self.largest or not entry.digest:
            return None
        return whole(where, path, entry, lift=lift)


def whole(where: int, path: bytes, entry: Entry, *, lift: bool) -> bytes:
    """Return the bytes of a file that was found; HostError where they are others by now."""
    import hashlib

    try:
        parent, name = beneath.open_parent(where, path)
        try:
            fd = opened(parent, name, path, beneath.status(parent, name), lift=lift)
        finally:
            os.close(parent)
    except OSError as error:
        raise HostError(
            f"{path!r} cannot be read: {error.strerror}", hint="look at the changes again"
        ) from error
    try:
        data = os.read(fd, entry.size + 1)
        while len(data) <= entry.size and (piece := os.read(fd, entry.size + 1 - len(data))):
            data += piece
    finally:
        os.close(fd)
    if hashlib.sha256(data).hexdigest() != entry.digest:
        raise moved(path)
    return data
