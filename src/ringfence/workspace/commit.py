"""Changes as a commit on a new branch, made of objects that we write: nothing of the repository runs.

Neither the working tree nor the index nor the current branch is touched; the branch can be looked at,
merged or dropped with git. The tree is that of the current commit with the chosen changes in it, byte for
byte: no filter, no line-end conversion. What git has no place for (what lies in `.git`, empty folders,
modes other than executable) is left out and said.
"""

import os
import time

from ringfence.errors import HostError, UsageError
from ringfence.host.identity import git_user
from ringfence.value import Struct
from ringfence.workspace import apply, beneath, git_refs
from ringfence.workspace.git_store import Store
from ringfence.workspace.hold import Hold
from ringfence.workspace.layers import DIRECTORY, FILE, LINK, RENAMED, Change, Layers
from ringfence.workspace.manifest import Manifest
from ringfence.workspace.source import Source
from ringfence.workspace.stage import Chosen, permissions
from ringfence.workspace.steps import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 256 << 20  # bytes of a file that is committed
_TREE, _LINK, _MODULE = b"40000", b"120000", b"160000"
_FORBIDDEN = frozenset("\n<>\0")


class Commit(Struct):
    """What was asked for."""

    branch: str
    message: str = ""
    author: str = ""  # "Name <mail>"; empty: as the operator's own git configuration says


class Committed(Struct):
    """What was made."""

    commit: str
    count: int  # changes in it
    notes: tuple[str, ...] = ()


def commit(layers: Layers, chosen: Chosen, reviewed: Manifest, wanted: Commit, *, home: str) -> Committed:
    """Make the commit and the branch; return its name."""
    apply.check_chosen(chosen, reviewed)
    who = identity(wanted.author, home)
    with Hold(layers):
        repository = git_refs.find(layers.workspace)
        git_refs.check_new(repository, wanted.branch)
        store = Store(f"{repository.common}/objects", repository.algorithm)
        try:
            work = _Work(layers, store, chosen)
            try:
                parent = git_refs.head(repository)
                tree = work.tree(_tree_of(store, parent))
            finally:
                work.close()
            message = wanted.message or f"Apply session {layers.session}"
            made = store.write(b"commit", _text(tree, parent, who, message))
            store.sync()
        finally:
            store.close()
        git_refs.create(repository, wanted.branch, made)
    return Committed(commit=made.hex(), count=work.count, notes=tuple(work.notes))


def identity(author: str, home: str) -> str:
    """Return "Name <mail>" of whoever applies."""
    name, mail = git_user(home)
    if author:
        name, _, mail = author.partition("<")
    name, mail = name.strip(), mail.strip().removesuffix(">").strip()
    if not name or not mail or _FORBIDDEN.intersection(name + mail):
        raise UsageError(
            "nobody is known as the commit's author",
            hint="--author 'NAME <MAIL>', or user.name and user.email in ~/.gitconfig",
        )
    return f"{name} <{mail}>"


def _text(tree: bytes, parent: bytes, who: str, message: str) -> bytes:
    now = time.localtime()
    minutes = now.tm_gmtoff // 60
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    when = f"{int(time.time())} {zone}"
    rows = [f"tree {tree.hex()}", *([f"parent {parent.hex()}"] if parent else [])]
    rows += [
        f"author {who} {when}",
        f"committer {who} {when}",
        "",
        message.replace("\0", "").rstrip("\n"),
        "",
    ]
    return "\n".join(rows).encode("utf-8", "surrogateescape")


def _tree_of(store: Store, parent: bytes) -> bytes:
    if not parent:
        return b""
    kind, data = store.read(parent)
    first = data.partition(b"\n")[0]
    if kind != b"commit" or not first.startswith(b"tree "):
        raise HostError(f"{parent.hex()} is no commit", hint="`git fsck` tells more")
    return bytes.fromhex(first[5:].decode("ascii"))


class _Work:
    """One commit in the making."""

    def __init__(self, layers: Layers, store: Store, chosen: Chosen) -> None:
        self._store = store
        self._contents = chosen.contents
        self.count = 0
        self.notes: list[str] = []
        self._edits: dict[bytes, Any] = {}  # name -> (mode, object), None (gone), or another such table
        self._source = Source(layers.upper)
        self._workspace = beneath.open_real_root(layers.workspace)
        self._mixed: dict[bytes, list[bytes]] = {}  # by folder: files that the project had before
        for change in chosen.changes:
            self._edit(change)

    def close(self) -> None:
        """Let go of the layer."""
        self._source.close()
        os.close(self._workspace)

    def tree(self, base: bytes) -> bytes:
        """Return the tree with all changes in it."""
        made = self._changed(base, self._edits, b"")
        return made or self._store.write(b"tree", b"")

    # --- what becomes of a change ------------------------------------------------------------

    def _edit(self, change: Change) -> None:
        if b".git" in (part.lower() for part in change.path.split(b"/")):
            self.notes.append(f"not in the commit, being git's own: {show(change.path)}")
            return
        if change.kind == RENAMED:
            self._put(change.source, None)
        sides = {side.kind for side in (change.before, change.after) if side is not None}
        if sides == {DIRECTORY}:
            return
        self.count += 1
        after = change.after
        if after is None or after.kind == DIRECTORY:
            self._put(change.path, None)
        elif after.kind == LINK:
            self._put(change.path, (_LINK, self._store.write(b"blob", self._source.target(change))))
        else:
            mode = b"100755" if permissions(change) & 0o100 else b"100644"
            self._put(change.path, (mode, self._blob(change)))
        if change.kind != RENAMED and change.before is not None and change.before.kind == FILE:
            self._mixed.setdefault(change.path.rpartition(b"/")[0], []).append(change.path)

    def _put(self, path: bytes, leaf: tuple[bytes, bytes] | None) -> None:
        table = self._edits
        *folders, name = path.split(b"/")
        for folder in folders:
            inner = table.get(folder)
            if isinstance(inner, dict):
                table = inner
                continue
            if isinstance(inner, tuple):
                return  # a file stands here now: what was below is gone with the folder
            table[folder] = table = {}
        if leaf is None and isinstance(table.get(name), dict):
            return  # a folder stands here now
        table[name] = leaf

    def _blob(self, change: Change) -> bytes:
        part = self._contents.get(change.path)
        if part is not None:
            return self._store.write(b"blob", part)
        if change.after is not None and change.after.size > _LARGEST:
            raise HostError(
                f"{show(change.path)} is too large for a commit by ringfence", hint="leave it out: --except"
            )
        fd = os.memfd_create("ringfence-blob")
        with open(fd, "rb") as file:
            self._source.copy(change, fd)
            file.seek(0)
            return self._store.write(b"blob", file.read())

    # --- trees -------------------------------------------------------------------------------

    def _changed(self, base: bytes, edits: "dict[bytes, Any]", place: bytes) -> bytes:
        """Return a tree with edits in it, b"" when nothing is left."""
        entries = dict(self._entries(base)) if base else {}
        for name, edit in edits.items():
            path = place + b"/" + name if place else name
            old = entries.get(name, (b"", b""))
            if isinstance(edit, dict):
                if old[0] == _MODULE:
                    raise HostError(
                        f"{show(path)} is a submodule: what changed in it belongs into a commit of its own",
                        hint="leave it out: --except",
                    )
                inner = self._changed(old[1] if old[0] == _TREE else b"", edit, path)
                edit = (_TREE, inner) if inner else None  # noqa: PLW2901 - what it comes to
            if edit is None:
                entries.pop(name, None)
            else:
                entries[name] = edit
        self._note_mixed(base, place)
        if not entries:
            return b""
        order = sorted(entries.items(), key=lambda one: one[0] + (b"/" if one[1][0] == _TREE else b""))
        return self._store.write(
            b"tree", b"".join(b"%s %s\0%s" % (mode, name, one) for name, (mode, one) in order)
        )

    def _entries(self, tree: bytes) -> "list[tuple[bytes, tuple[bytes, bytes]]]":
        kind, data = self._store.read(tree)
        if kind != b"tree":
            raise HostError(f"{tree.hex()} is no tree", hint="`git fsck` tells more")
        out, at = [], 0
        while at < len(data):
            end = data.index(b"\0", at)
            mode, _, name = data[at:end].partition(b" ")
            at = end + 1 + self._store.size
            out.append((name, (mode, data[end + 1 : at])))
        return out

    def _note_mixed(self, base: bytes, place: bytes) -> None:
        """Say where the user had changes of their own that no commit has: they are in this one."""
        old = dict(self._entries(base)) if base else {}
        for path in self._mixed.get(place, ()):
            name = path.rpartition(b"/")[2]
            with open(beneath.open_file(self._workspace, path), "rb") as file:
                now = self._store.name(b"blob", file.read(_LARGEST))
            if name in old and old[name][1] != now:
                self.notes.append(f"with changes of yours that were not committed: {show(path)}")
