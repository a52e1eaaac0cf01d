"""From chosen changes to a journal: everything checked, and everything that is to land made and verified.

Nothing in the project is touched here. Each file of the layer is opened once, copied from that descriptor
while it is hashed, and compared with what was reviewed: type, mode, size, digest, target of a link. What
stands in the project now must be what the session saw. What lands is new: content, permission bits and
the owner of what it replaces, or of the folder it comes into; no set-id bits, no extended attributes, no
hard links, no devices.
"""

import os
import stat
import time

from ringfence.errors import HostError
from ringfence.value import Struct, replace
from ringfence.workspace import beneath, crew, record
from ringfence.workspace.journal import Journal
from ringfence.workspace.layers import ADDED, DELETED, DIRECTORY, FILE, LINK, MODE, RENAMED, Change, Layers
from ringfence.workspace.seen import Seen
from ringfence.workspace.source import Source, write
from ringfence.workspace.steps import ADD, PUT, TAKE, Facts, Mark, Site, Step, facts, mark, moved, show
from ringfence.workspace.steps import MODE as CHMOD

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPARE = 16 << 20  # bytes that stay free
_LARGE = 1 << 20  # from here on it is asked whether a file has holes
FRESH = 2.0  # seconds that a look at the project counts for
_PLACE = 100  # slots in one folder of the area
_ENTER = stat.S_IWUSR | stat.S_IXUSR  # what its owner needs to change the names in a folder
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

Job = tuple[Change, str, bool]  # what is to land, its slot, whether a file, a link or nothing stands there
TYPES = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, LINK: stat.S_IFLNK}


class Chosen(Struct):
    """What is to be applied."""

    changes: tuple[Change, ...]
    contents: dict[bytes, bytes] = {}  # noqa: RUF012 - never changed; path -> bytes, where only some hunks were taken


def permissions(change: Change) -> int:
    """Return the permission bits that a change is applied with.

    Never a set-id or sticky bit that was not there before, nor new writing by everybody.
    """
    assert change.after is not None  # noqa: S101 - for the type checker
    if change.before is None:
        return change.after.mode & 0o775
    before = change.before.mode
    kept = 0o7000 if change.after.kind == DIRECTORY else 0  # a file with new content is a new file
    allowed = 0o775 | (before & (kept | 0o002))
    if change.kind == MODE:
        allowed |= before & 0o7000
    return change.after.mode & allowed


class Stage:
    """The layer and the project, looked at for one apply, and all made that is to land.

    Raises where anything is not as reviewed. What is open is closed at the end of the block.
    """

    def __init__(self, layers: Layers, chosen: Chosen, site: Site) -> None:
        self._layers, self._site = layers, site
        self._chosen, self._contents = chosen, chosen.contents
        self._changes = _moves(chosen.changes)
        self._seen = Seen(layers)
        self._targets: dict[bytes, Mark | None] = {}
        self._folders: dict[bytes, os.stat_result] = {}  # of the project, whose names will change
        self._owners: dict[bytes, tuple[int, int]] = {}  # of folders that are new
        self._self = (os.geteuid(), os.getegid())
        self._began = time.monotonic()
        self.slots = 0
        self._first: list[Step] = []
        self._last: list[Step] = []
        self._jobs: list[Job] = []  # the files and links that land between them
        self._found: list[tuple[Facts | None, Facts]] = []  # of each, what it replaces and what it is
        self._source = Source(layers.upper)
        try:
            self._stage()
        except BaseException:
            self._source.close()
            raise

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def journal(self, area: str) -> Journal:
        """Look again, then return what is to be done: once, and best while the disk is waited for."""
        steps = (*self._first, *self._file_steps(), *self._last)
        self._look_again()
        status = os.fstat(self._site.root)
        return Journal(
            session=self._layers.session,
            workspace=self._layers.workspace,
            root=(status.st_dev, status.st_ino),
            area=area,
            steps=steps,
            whole=tuple(one.path for one in self._chosen.changes if one.path not in self._chosen.contents),
            folders=self._clean_folders(),
        )

    # --- the order of things -----------------------------------------------------------------

    def _stage(self) -> None:
        """Make all that lands; put in order what goes first, folders from the top, then what comes."""
        rest: list[Change] = []
        landing: list[Change] = []
        for change in self._changes:
            (landing if _is_plain(change) else rest).append(change)
        for change, status in zip(rest, self._site.look([one.path for one in rest]), strict=True):
            self._check_target(change, status)
            self._targets[change.path] = None if status is None else mark(status)
        plain = len(landing)
        self._check_folders()
        self._check_space()
        going: list[Step] = []
        leaving: list[Step] = []
        coming: list[Change] = []
        modes: list[Change] = []
        for change in rest:
            old, after = self._targets[change.path], change.after
            was_folder, is_folder = old is not None and old.is_folder, _is(change, DIRECTORY)
            if (was_folder and is_folder) or (change.kind == MODE and not _is_linked(change)):
                modes.append(change)
                continue
            if old is not None:
                (leaving if was_folder else going).append(Step(TAKE, change.path, self._slot(), old))
            if is_folder:
                coming.append(change)
            elif after is not None:
                landing.append(change)
        leaving.sort(key=lambda step: step.path, reverse=True)  # the deepest first
        made = [self._folder_step(change) for change in coming]
        loose, self._last = self._modes(modes, made, leaving)
        self._first = [*loose, *going, *leaving, *made]
        self._jobs = self._jobs_of(landing, plain)
        self._found = crew.shared(self._jobs, self._made)

    def _slot(self) -> str:
        self.slots += 1
        return f"{self.slots:07d}"

    # --- the project as it is ----------------------------------------------------------------

    def _check_target(self, change: Change, status: os.stat_result | None) -> None:
        """Refuse what stands at a path now, or does not, if it is not what the session saw there."""
        before = change.before
        if status is None or before is None:
            if status is not None or before is not None:
                raise moved(change.path)
            return
        kind, mode, seen = before.kind, status.st_mode, before.inode
        if stat.S_IFMT(mode) != TYPES.get(kind, stat.S_IFMT(mode)):
            raise moved(change.path)
        if kind != LINK and before.mode != mode & 0o7777:
            raise moved(change.path)
        if seen not in ((status.st_dev, status.st_ino), (0, 0)):
            raise moved(change.path)
        if kind != DIRECTORY and not self._seen.knows(change.path, status):
            raise moved(change.path)

    def _look_again(self) -> None:
        """Refuse if anything in the project changed while the rest was staged.

        Only where that took long: each rename looks at what it displaces, and all would be taken back.
        """
        if time.monotonic() - self._began < FRESH:
            return
        self._site.forget()
        for (path, old), status in zip(self._targets.items(), self._site.look(self._targets), strict=True):
            if status is not None if old is None else not old.fits(status):
                raise moved(path)

    def _clean_folders(self) -> tuple[bytes, ...]:
        """Return the folders that nobody else changed: afterwards, their new times are ours."""
        return tuple(
            path for path, status in self._folders.items() if path and self._seen.knows(path, status)
        )

    def _check_folders(self) -> None:
        """Look at each folder in which names come or go, and whether they can."""
        new = {
            path
            for change in self._changes
            if _is(change, DIRECTORY) and not ((old := self._targets[path := change.path]) and old.is_folder)
        }
        for change in self._changes:
            folder = change.path.rpartition(b"/")[0]
            if folder in self._folders or folder in new:
                continue
            if change.kind == MODE and change.before is not None:
                continue
            fd = self._site.folder(folder)
            if fd < 0:
                raise moved(folder)
            try:
                self._folders[folder] = status = os.fstat(fd)
                can = os.access(".", os.W_OK | os.X_OK, dir_fd=fd) or status.st_uid == os.geteuid()
            finally:
                os.close(fd)
            if not can:
                raise HostError(
                    f"no permission to change names in the folder {show(folder) or '.'}; nothing was written",
                    hint="apply as the owner of the workspace",
                )

    def _check_space(self) -> None:
        need = sum(self._size(change) for change in self._changes) + _SPARE
        free = os.fstatvfs(self._site.area)
        if need > free.f_bavail * free.f_frsize:
            raise HostError(
                f"not enough space: {need:,} bytes are needed beside the workspace,"
                f" {free.f_bavail * free.f_frsize:,} are free; nothing was written",
                hint="free some space, or apply in parts: ringfence apply SESSION PATH…",
            )
        if free.f_files and len(self._changes) > free.f_favail:
            raise HostError(
                f"not enough free inodes for {len(self._changes):,} files; nothing was written",
                hint="remove files that are not needed",
            )

    def _size(self, change: Change) -> int:
        after = change.after
        if after is None or after.kind != FILE or change.kind == MODE:
            return 0
        if after.size < _LARGE:
            return after.size + 4096
        return min(after.size, self._source.status(change.path).st_blocks * 512)

    # --- permissions -------------------------------------------------------------------------

    def _modes(
        self, changes: list[Change], made: list[Step], leaving: list[Step]
    ) -> tuple[list[Step], list[Step]]:
        """Return the changes of permissions: those before names are moved, and those after.

        A folder that its owner may not write is opened up for the time, as far as names in it change.
        """
        final: dict[bytes, tuple[Mark, int]] = {}
        for change in changes:
            old = self._targets[change.path]
            assert old is not None  # noqa: S101 - for the type checker
            final[change.path] = (old, stat.S_IFMT(old.mode) | permissions(change))
        gone = {step.path: step.old for step in leaving if step.old is not None}
        shut = {path: mark(status) for path, status in self._folders.items() if path} | gone
        loose = []
        for path, old in shut.items():
            if os.geteuid() == 0 or old.mode & _ENTER == _ENTER or old.uid != os.geteuid():
                continue
            opened = old._replace(mode=old.mode | _ENTER)
            loose.append(Step(act=CHMOD, path=path, old=old, new=opened))
            if path not in gone:
                final[path] = (opened, final[path][1] if path in final else old.mode)
        tight = [
            Step(act=CHMOD, path=path, old=old, new=old._replace(mode=mode))
            for path, (old, mode) in final.items()
            if old.mode != mode
        ]
        wanted = {change.path: permissions(change) for change in self._changes if _is(change, DIRECTORY)}
        for step in made:
            assert step.new is not None  # noqa: S101 - for the type checker
            mode = stat.S_IFDIR | wanted[step.path]
            if mode != step.new.mode:
                tight.append(Step(act=CHMOD, path=step.path, old=step.new, new=step.new._replace(mode=mode)))
        return loose, sorted(tight, key=lambda step: step.path, reverse=True)

    # --- what lands --------------------------------------------------------------------------

    def _owner(self, path: bytes, old: os.stat_result | None = None) -> tuple[int, int]:
        """Return whom a new file belongs to: as what it replaces, or as the folder it comes into."""
        if old is not None:
            return old.st_uid, old.st_gid
        folder = path.rpartition(b"/")[0]
        if folder not in self._owners:
            status = self._folders[folder]
            own = os.geteuid() != 0 and not status.st_mode & stat.S_ISGID
            self._owners[folder] = status.st_uid, os.getegid() if own else status.st_gid
        return self._owners[folder]

    def _give(self, fd: int, owner: tuple[int, int]) -> None:
        """Root gives everything to its owner; others can at most keep the group."""
        if self._self[0] == 0:
            os.chown(fd, *owner)
        elif owner[1] != self._self[1]:
            try:
                os.chown(fd, -1, owner[1])
            except PermissionError:
                return

    def _folder_step(self, change: Change) -> Step:
        slot = self._slot()
        name = slot.encode()
        self._source.check_folder(change)
        record.moment(f"stage {slot}")
        os.mkdir(name, 0o700, dir_fd=self._site.area)
        fd = beneath.open_folder(self._site.area, name)
        try:
            owner = self._owners[change.path] = self._owner(change.path)
            if owner != self._self:
                self._give(fd, owner)
            os.fchmod(fd, permissions(change) | 0o700)
            return Step(ADD, change.path, slot, new=mark(os.fstat(fd)))
        finally:
            os.close(fd)

    def _jobs_of(self, landing: list[Change], plain: int) -> list[Job]:
        """Return what is to be made of files and links, each with its slot.

        `plain`: how many come where a file or link stood, or nothing; folders stood where the others come.
        """
        first = self.slots + 1
        self.slots += len(landing)
        self._make_places(first)
        return [
            (change, f"{number // _PLACE}/{number:07d}", number < first + plain)
            for number, change in enumerate(landing, first)
        ]

    def _file_steps(self) -> "Iterator[Step]":
        make = tuple.__new__  # half of what `_make` costs, tens of thousands of times
        for (change, slot, _), (old, new) in zip(self._jobs, self._found, strict=True):
            path, before = change.path, None if old is None else make(Mark, old)
            self._targets.setdefault(path, before)
            yield make(Step, (ADD if before is None else PUT, path, slot, before, make(Mark, new)))

    def _make_places(self, first: int) -> None:
        """Make the folders of the slots that follow: in one folder of thousands, names are found slowly."""
        for place in range(first // _PLACE, self.slots // _PLACE + 1):
            os.mkdir(f"{place}", 0o700, dir_fd=self._site.area)

    def _made(self, jobs: "Sequence[Job]") -> "list[tuple[Facts | None, Facts]]":
        """Make some; return each with what it replaces."""
        made = []
        statuses = self._site.look([change.path for change, *_ in jobs])
        for (change, slot, plain), status in zip(jobs, statuses, strict=True):
            record.moment("stage " + slot)
            old = status if plain else None  # a folder will have gone by then
            if plain:
                self._check_target(change, old)
            assert change.after is not None  # noqa: S101 - for the type checker
            new = (self._link if change.after.kind == LINK else self._file)(change, slot, old)
            made.append((None if old is None else facts(old), facts(new)))
        return made

    def _link(self, change: Change, slot: str, old: os.stat_result | None) -> os.stat_result:
        target = self._source.target(change)
        area, at = self._site.area, slot.encode()
        os.symlink(target, at, dir_fd=area)
        if self._self[0] == 0:
            os.chown(at, *self._owner(change.path, old), dir_fd=area, follow_symlinks=False)
        return beneath.status(area, at)

    def _file(self, change: Change, slot: str, old: os.stat_result | None) -> os.stat_result:
        mode = permissions(change)
        out = os.open(slot, _NEW, mode, dir_fd=self._site.area)  # an area that nobody else can enter
        try:
            chosen = self._contents.get(change.path)
            if chosen is None:
                self._source.copy(change, out)
            else:
                write(out, chosen)
            owner = self._owner(change.path, old)
            if owner != self._self:
                self._give(out, owner)
            status = os.fstat(out)
            if status.st_mode & 0o7777 != mode:
                os.fchmod(out, mode)
                status = os.fstat(out)
            return status
        finally:
            os.close(out)


def _moves(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Return the changes with each rename as what it is on the disk: one path goes, another comes."""
    out = []
    for change in changes:
        if change.kind != RENAMED:
            out.append(change)
            continue
        out.append(replace(change, kind=ADDED, before=None, source=b""))
        out.append(Change(path=change.source, kind=DELETED, before=change.before))
    return tuple(sorted(out, key=lambda change: change.path))


def _is_linked(change: Change) -> bool:
    """Tell whether the project's file has other names, perhaps outside: those keep their permissions."""
    return change.before is not None and change.before.kind == FILE and change.before.links > 1


def _is_plain(change: Change) -> bool:
    """Tell whether a file or link lands where one stood, or nothing."""
    after, before = change.after, change.before
    if after is None or after.kind == DIRECTORY or (before is not None and before.kind not in {FILE, LINK}):
        return False
    return change.kind != MODE or _is_linked(change)


def _is(change: Change, kind: str) -> bool:
    return change.after is not None and change.after.kind == kind
