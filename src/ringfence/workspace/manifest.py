"""What was reviewed, as values: every changed path with its type, mode, digest and link target.

A review is bound to a session and to these bytes. It is kept beside the session (`review.json`), and what
is applied is compared with it: one difference stops the whole apply.
"""

import os

from ringfence.canonical import sha256
from ringfence.errors import BoundaryError
from ringfence.value import Struct, build, replace
from ringfence.workspace import record
from ringfence.workspace.layers import LINK, Change, Entry, Layers

_FILE = "review.json"
_VERSION = 1


class Item(Struct):
    """One reviewed path, as it is to become."""

    path: bytes
    kind: str  # as in Change
    type: str = ""  # FILE, DIRECTORY, LINK, OTHER; empty: deleted
    mode: int = 0
    size: int = 0
    digest: str = ""
    target: bytes = b""
    source: bytes = b""  # RENAMED: where it stood

    def row(self) -> list[object]:
        """Return the item as JSON holds it."""
        path, target, source = record.text(self.path), record.text(self.target), record.text(self.source)
        return [path, self.kind, self.type, self.mode, self.size, self.digest, target, source]

    def is_of(self, change: Change) -> bool:
        """Tell whether a change leaves what was reviewed."""
        after = change.after
        if after is None:
            return not self.type
        return (
            self.digest == after.digest
            and self.type == after.kind
            and self.mode == (0 if after.kind == LINK else after.mode)
            and self.size == _size(after)
            and self.target == after.target
        )


class Manifest(Struct):
    """All that was reviewed."""

    items: tuple[Item, ...] = ()
    sealed: str = ""  # the digest, where all this is what the session's folder holds; it was checked

    @staticmethod
    def of(changes: "tuple[Change, ...]", sealed: str = "") -> "Manifest":
        """Return the manifest of some changes."""
        return Manifest(items=tuple(map(item, changes)), sealed=sealed)

    @property
    def digest(self) -> str:
        """The SHA-256 over the canonical JSON of all items."""
        if self.sealed:
            return self.sealed
        rows = record.encoded([one.row() for one in self.items])  # texts and numbers: canonical as they are
        return sha256(rows.encode("ascii"))


def item(change: Change) -> Item:
    """Return what is bound of one change."""
    after = change.after
    if after is None:
        return Item(path=change.path, kind=change.kind)
    return build(
        Item,
        {
            "path": change.path,
            "kind": change.kind,
            "type": after.kind,
            "mode": 0 if after.kind == LINK else after.mode,  # a link has none of its own
            "size": _size(after),
            "digest": after.digest,
            "target": after.target,
            "source": change.source,
        },
    )


def _size(entry: Entry) -> int:
    return entry.size if entry.digest else 0  # a folder's is the file system's business


def folder(layers: Layers) -> str:
    """Return the folder that the layer lies in, where everything about it is kept."""
    return os.path.dirname(layers.upper)


def save(layers: Layers, changes: tuple[Change, ...]) -> Manifest:
    """Write down that these changes were reviewed."""
    return _write(layers, Manifest.of(changes))


def also(layers: Layers, changes: tuple[Change, ...]) -> Manifest:
    """Write down that these changes were reviewed as well: what was reviewed of other paths stays so."""
    before = load(layers) or Manifest()
    new = {one.path for one in changes}
    kept = [one for one in before.items if one.path not in new]
    items = sorted([*kept, *map(item, changes)], key=lambda one: one.path)
    return _write(layers, Manifest(items=tuple(items)))


def _write(layers: Layers, manifest: Manifest) -> Manifest:
    """Write it down; return it sealed."""
    digest = manifest.digest
    value = {
        "version": _VERSION,
        "session": layers.session,
        "workspace": layers.workspace,
        "digest": digest,
        "items": [one.row() for one in manifest.items],
    }
    record.write(folder(layers), _FILE, value)
    return replace(manifest, sealed=digest)


def file_digest(layers: Layers) -> str:
    """Return the SHA-256 of the file that holds the review; empty where there is none."""
    from hashlib import sha256

    try:
        with open(f"{folder(layers)}/{_FILE}", "rb") as file:
            return sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return ""


def load(layers: Layers) -> Manifest | None:
    """Return what was reviewed of this session, or None. Raises BoundaryError for a file that is not ours."""
    try:
        found = record.read(folder(layers), _FILE)
        if found is None:
            return None
        manifest = Manifest(items=tuple(_item(row) for row in found["items"]))
        bound = (found["version"], found["session"], found["workspace"], found["digest"])
    except (ValueError, KeyError, TypeError):
        raise _broken(layers) from None
    if bound != (_VERSION, layers.session, layers.workspace, manifest.digest):
        raise _broken(layers)
    return replace(manifest, sealed=manifest.digest)


def _broken(layers: Layers) -> BoundaryError:
    return BoundaryError(
        f"{folder(layers)}/{_FILE} is not the review of session {layers.session}",
        hint=f"review it again: ringfence diff {layers.session}",
    )


def _item(row: "list[object]") -> Item:
    path, kind, type_, mode, size, digest, target, source = row
    return Item(
        path=record.raw(str(path)),
        kind=str(kind),
        type=str(type_),
        mode=int(str(mode)),
        size=int(str(size)),
        digest=str(digest),
        target=record.raw(str(target)),
        source=record.raw(str(source)),
    )


def differences(reviewed: Manifest, now: tuple[Change, ...]) -> list[tuple[bytes, str]]:
    """Return each path that is not as reviewed, with the reason in words."""
    before = {one.path: one for one in reviewed.items}
    after = {one.path: one for one in now}
    out = []
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            out.append((path, "changed, but not in what was reviewed"))
        elif path not in after:
            out.append((path, "reviewed as a change, and is none any more"))
        elif not before[path].is_of(after[path]):
            out.append((path, "not the same as reviewed"))
    return out


def forget(layers: Layers, paths: "frozenset[bytes]", reviewed: Manifest | None = None) -> None:
    """Take what was applied or discarded out of the review: the rest stays reviewed.

    `reviewed`: the review, if it is at hand; it counts where it is sealed.
    """
    if reviewed is None or not reviewed.sealed:
        reviewed = load(layers)
    if reviewed is not None:
        _write(layers, Manifest(items=tuple(one for one in reviewed.items if one.path not in paths)))


def discard(layers: Layers) -> None:
    """Forget that anything was reviewed."""
    try:
        os.unlink(f"{folder(layers)}/{_FILE}")
    except FileNotFoundError:
        return
