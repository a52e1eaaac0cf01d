"""A session's folder with a layer made by hand or by an overlay, and the whole project as a value."""

import os
import stat
from hashlib import sha256

from layered import Layered
from ringfence.workspace import apply, manifest
from ringfence.workspace.changes import read
from ringfence.workspace.layers import OTHER
from ringfence.workspace.stage import Chosen


class Landing(Layered):
    """A project, a session that has ended, and what stands around them."""

    def __init__(self, folder, **more):
        super().__init__(f"{folder}/session", **more)
        self.top, self.session = os.fspath(folder), self.folder
        self.below = f"{folder}/below"
        os.makedirs(self.below, exist_ok=True)
        os.path.isdir(f"{self.session}/below") and os.rmdir(f"{self.session}/below")
        with open(f"{self.session}/lock", "w"):
            pass
        self.more |= {"ended": True, "lock": f"{self.session}/lock"}

    def began(self):
        status = os.stat(self.below)
        self.more["root"] = (status.st_dev, status.st_ino)
        super().began()

    def changes(self, *leave):
        return tuple(
            one
            for one in read(self.layers())
            if one.path not in leave and (one.after is None or one.after.kind != OTHER)
        )

    def apply(self, *leave, contents=None):
        changes = self.changes(*leave)
        return apply.apply(
            self.layers(), Chosen(changes=changes, contents=contents or {}), manifest.Manifest.of(changes)
        )


def tree(folder):
    """Return path → what stands there, of everything below a folder, as bytes have it."""
    found = {}
    for place, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            found[os.path.relpath(path, os.fsencode(folder))] = thing(path)
    return found


def thing(path):
    status = os.lstat(path)
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
    what = b""
    if kind == stat.S_IFLNK:
        what, mode = os.readlink(path), 0
    elif kind == stat.S_IFREG:
        with open(path, "rb") as file:
            what = sha256(file.read()).digest()
    return kind, mode, status.st_uid, status.st_gid, what
