"""What was reviewed, as values: every changed path with its type, mode, digest and link target.

A review is bound to a session and to these bytes. It is kept beside the session (`review.json`), and what
is applied is compared with it: one difference stops the whole apply.
"""

import os

from ringfence.canonical import sha256
from ringfence.errors import BoundaryError
from ringfence.value import Struct, build
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

    @staticmethod
    def of(changes: "tuple[Change, ...]") -> "Manifest":
        """Return the manifest of some changes."""
        return Manifest(items=tuple(map(item, changes)))

    @property
    def digest(self) -> str:
        """The SHA-256 over the canonical JSON of all items."""
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
    manifest = Manifest.of(changes)
    _write(layers, manifest)
    return manifest


def also(layers: Layers, changes: tuple[Change, ...]) -> Manifest:
    """Write down that these changes were reviewed as well: what was reviewed of other paths stays so."""
    before = load(layers) or Manifest()
    new = {one.path for one in changes}
    kept = [one for one in before.items if one.path not in new]
    items = sorted([*kept, *map(item, changes)], key=lambda one: one.path)
    manifest = Manifest(items=tuple(items))
    _write(layers, manifest)
    return manifest


def _write(layers: Layers, manifest: Manifest) -> None:
    value = {
        "version": _VERSION,
        "session": layers.session,
        "workspace": layers.workspace,
        "digest": manifest.digest,
        "items": [one.row() for one in manifest.items],
    }
    record.write(folder(layers), _FILE, value)


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
    return manifest


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


def forget(layers: Layers, paths: "frozenset[bytes]") -> None:
    """Take what was applied or discarded out of the review: the rest stays reviewed."""
    reviewed = load(layers)
    if reviewed is not None:
        _write(layers, Manifest(items=tuple(one for one in reviewed.items if one.path not in paths)))


def discard(layers: Layers) -> None:
    """Forget that anything was reviewed."""
    try:
        os.unlink(f"{folder(layers)}/{_FILE}")
    except FileNotFoundError:
        return
