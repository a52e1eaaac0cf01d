"""The steps by which changes land in the project, each a rename that happens at once or not at all.

Everything that is to stand in the project is first made whole in an *area*, a private folder on the same
mount, each thing in a slot of its own. Then each step moves one slot:

    PUT    what stands at a path and the slot change places (RENAME_EXCHANGE)
    ADD    the slot moves to a path where nothing stands (RENAME_NOREPLACE)
    TAKE   what stands at a path moves into the slot; a folder must be empty
    MODE   permission bits change in place

So what was replaced is never gone: it lies in the slot. What a slot holds tells whether its step was
done, whatever moment a crash chose; the journal, written and synced before the first step, says what was
meant. Each step has an inverse of the same four kinds: rolling back and undoing are steps as well.

# Invariant: no step destroys anything, and none is begun before the journal is on the disk.
"""

import errno
import os
import stat
from typing import NamedTuple

from ringfence.errors import BoundaryError
from ringfence.workspace import beneath, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

_ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
_TYPE = 0o170000  # of a mode
PUT, ADD, TAKE, MODE = "put", "add", "take", "mode"


Facts = tuple[int, int, int, int, int, int, int]  # the values of a Mark


class Mark(NamedTuple):
    """By what something is known again: a tuple, since an apply makes tens of thousands."""

    device: int
    inode: int
    mode: int  # type and permission bits
    size: int
    modified: int  # ns
    uid: int
    gid: int

    @property
    def is_folder(self) -> bool:
        """Tell whether it is a folder: its size and times change with what is in it."""
        return self.mode & _TYPE == stat.S_IFDIR

    def fits(self, status: "os.stat_result | None") -> bool:
        """Tell whether this is what stands there, unchanged."""
        device, inode, mode, size, modified, *_ = self
        if status is None or status.st_ino != inode or status.st_dev != device:
            return False
        if mode & _TYPE == stat.S_IFDIR:
            return stat.S_ISDIR(status.st_mode)
        return status.st_mode == mode and status.st_mtime_ns == modified and status.st_size == size


class Step(NamedTuple):
    """One move."""

    act: str
    path: bytes
    slot: str = ""
    old: Mark | None = None  # what stands at the path before
    new: Mark | None = None  # and after


class Moved(BoundaryError):  # noqa: N818 - it says what happened
    """Something in the workspace is not what it was a moment ago."""


def mark(status: os.stat_result) -> Mark:
    """Return by what this is known again."""
    return Mark._make(facts(status))


def facts(status: os.stat_result) -> Facts:
    """Return a mark's values as a mere tuple, which a process can hand to another."""
    mode, inode, device, _, uid, gid, size = status[:7]
    return device, inode, mode, size, status.st_mtime_ns, uid, gid


def inverse(step: Step) -> Step:
    """Return the step that takes this one back."""
    act = {ADD: TAKE, TAKE: ADD}.get(step.act, step.act)
    return Step(act=act, path=step.path, slot=step.slot, old=step.new, new=step.old)


class Site:
    """The workspace and the area, open."""

    def __init__(self, workspace: str, root: tuple[int, int], area: str) -> None:
        self.root = open_workspace(workspace, root)
        try:
            self.area = beneath.open_root(area)
        except BaseException:
            os.close(self.root)
            raise
        self._folder: bytes | None = None
        self._fd = -1

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()
        os.close(self.area)
        os.close(self.root)

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """Return the open folder that holds a path, kept open until the next is asked for, and the name."""
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self.forget()
            beneath.check_path(path)
            self._fd = beneath.open_folder(self.root, folder)
            self._folder = folder
        return self._fd, name

    def look(self, paths: "Iterable[bytes]") -> "Iterator[os.stat_result | None]":
        """Return what `at` does for each of many paths: fastest where they are sorted."""
        for path in paths:
            folder, _, name = path.rpartition(b"/")
            try:
                fd = self._fd if folder == self._folder else self.parent(path)[0]
                yield os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                yield None

    def forget(self) -> None:
        """Let go of the folder kept open: folders are about to move."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._folder = -1, None

    def at(self, path: bytes) -> "os.stat_result | None":
        """Return what stands at a path, itself, or None; nothing stands behind a link."""
        try:
            return beneath.status(*self.parent(path))
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def folder(self, path: bytes) -> int:
        """Open a folder of the workspace; -1 where none stands."""
        try:
            return beneath.open_folder(self.root, path)
        except OSError as error:
            if error.errno in _ABSENT:
                return -1
            raise

    def slot(self, name: str) -> "os.stat_result | None":
        """Return what lies in a slot, or None."""
        try:
            return beneath.status(self.area, name.encode())
        except FileNotFoundError:
            return None


def open_workspace(workspace: str, root: tuple[int, int]) -> int:
    """Open the workspace; refuse when it is not the folder that it was."""
    try:
        fd = beneath.open_real_root(workspace)
    except OSError as error:
        raise Moved(
            f"the workspace {workspace} cannot be opened as the folder it was: {error.strerror}",
            hint="move it back; nothing was written",
        ) from None
    status = os.fstat(fd)
    if root not in {(0, 0), (status.st_dev, status.st_ino)}:
        os.close(fd)
        raise Moved(
            f"the workspace {workspace} is not the folder in which the session began",
            hint="it was replaced; move the old one back, or discard the session",
        )
    return fd


# --- one step ------------------------------------------------------------------------------------


def perform(site: Site, step: Step) -> None:
    """Do one step, if what it moves is what is meant; else change nothing and raise Moved."""
    if step.act in {PUT, TAKE} and step.old is not None and not step.old.fits(site.at(step.path)):
        raise moved(step.path)
    move(site, step)


def move(site: Site, step: Step) -> None:
    """Do one step without looking first; what proves to be something else goes back: Moved is raised."""
    act, path, number, old, new = step
    if act != MODE and not _is_folder(old) and not _is_folder(new):
        move_file(site, step)
        return
    record.moment(f"{act} {number}")
    if act == MODE:
        _change_mode(site, step)
        return
    site.forget()  # folders are about to move
    folder, name = site.parent(path)
    _exchange(site, step, folder, name)
    if old is not None and old.is_folder and not _is_empty(site, number.encode()):
        _BACK[act](site.area, number.encode(), folder, name)  # it was filled in that very moment
        raise moved(path)


def move_file(site: Site, step: Step) -> tuple[int, bytes]:
    """Do one step of a file or a link, as `move` does; return the open folder and the name there."""
    record.moment(f"{step[0]} {step[2]}")
    folder, name = site.parent(step[1])
    _exchange(site, step, folder, name)
    return folder, name


def _exchange(site: Site, step: Step, folder: int, name: bytes) -> None:
    """Rename as the step says; what was displaced and is not what was meant goes back."""
    act, path, number, old, _ = step
    slot = number.encode()
    if act == ADD:
        try:
            beneath.move(site.area, slot, folder, name)
        except FileExistsError:
            raise moved(path) from None
        return
    assert old is not None  # noqa: S101 - for the type checker: PUT and TAKE have one
    if act == PUT:
        beneath.exchange(folder, name, site.area, slot)
    else:
        beneath.move(folder, name, site.area, slot)
    if not old.fits(site.slot(number)):
        _BACK[act](site.area, slot, folder, name)  # it changed in that very moment
        raise moved(path)


_BACK = {PUT: beneath.exchange, TAKE: beneath.move}


def _is_folder(one: Mark | None) -> bool:
    return one is not None and one[2] & _TYPE == stat.S_IFDIR


def _change_mode(site: Site, step: Step) -> None:
    assert step.old is not None and step.new is not None  # noqa: S101, PT018 - for the type checker
    fd = beneath.open_at(site.root, step.path, os.O_PATH)
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino, status.st_mode) != (
            step.old.device,
            step.old.inode,
            step.old.mode,
        ):
            raise moved(step.path)
        os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(step.new.mode))
    finally:
        os.close(fd)


def _is_empty(site: Site, slot: bytes) -> bool:
    fd = beneath.open_folder(site.area, slot)
    try:
        return not os.listdir(fd)
    finally:
        os.close(fd)


def moved(path: bytes) -> Moved:
    """Return the error for a path that changed under our hands."""
    return Moved(
        f"{show(path)} in the workspace changed meanwhile; nothing was written over it",
        hint="look at it, then run the command again",
    )


def show(path: bytes) -> str:
    """Return a path as text that a terminal shows as it is: what is not printable is escaped."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in path.decode("utf-8", "backslashreplace")
    )
