"""A project copied whole, for a session on a machine whose kernel mounts no overlay for us.

The copy shares its blocks with the project where the file system can (FICLONE: btrfs, XFS, bcachefs),
and costs time and space as the project is large; so a large one is refused unless the policy says
`snapshot = true`. Hidden files are left out, so inside they do not exist. Beside the copy stands
`base`: what each path was when it was copied, to tell later what the user changed meanwhile.

    base    records of four fields, each ended by NUL: path, change time in ns, size, inode
"""

import errno
import fcntl
import os
import stat

from ringfence.errors import BoundaryError, HostError
from ringfence.value import Struct
from ringfence.workspace import beneath
from ringfence.workspace.layers import Layers
from ringfence.workspace.upper import Usage, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FILES, MOST_BYTES = 50_000, 2 << 30  # of a project that is copied without being asked to
_FICLONE = 0x40049409
_PIECE = 1 << 30  # bytes asked of copy_file_range at once
_CANNOT = frozenset((errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM))


class Stamp(Struct):
    """What a path of the project was when it was copied."""

    changed: int  # ctime, ns
    size: int
    inode: int


class _Copier:
    """One copy being made."""

    def __init__(
        self, source: int, target: int, texts: "Mapping[bytes, bytes]", *, bounded: bool, owner: int
    ) -> None:
        self._source, self._target, self._texts, self._bounded = source, target, texts, bounded
        self._owner = owner
        self._files = self._bytes = 0
        self.base: list[bytes] = []

    def folder(self, path: bytes, skipped: frozenset[bytes]) -> list[bytes]:
        """Copy what lies in one folder; return the folders in it."""
        inner = []
        source, target = beneath.open_folder(self._source, path), beneath.open_folder(self._target, path)
        try:
            for name in beneath.names(source):
                full = path + b"/" + name if path else name
                if full in skipped:
                    continue
                status = beneath.status(source, name)
                self._count(status)
                self._note(full, status)
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(name, 0o700, dir_fd=target)
                    inner.append(full)
                else:
                    self._one(source, target, name, full, status)
        finally:
            os.close(source)
            os.close(target)
        return inner

    def _count(self, status: os.stat_result) -> None:
        self._files += 1
        self._bytes += status.st_blocks * 512
        if self._bounded and (self._files > MOST_FILES or self._bytes > MOST_BYTES):
            raise BoundaryError(
                f"the project has more than {MOST_FILES:,} files or {MOST_BYTES >> 30} GB, too much to be "
                "copied for a session without being asked to",
                hint="`snapshot = true` under [workspace] copies it all the same; `keep` leaves folders out; "
                "`ringfence doctor` says why no overlay can be mounted",
            )

    def _note(self, path: bytes, status: os.stat_result) -> None:
        fields = (path, b"%d" % status.st_ctime_ns, b"%d" % status.st_size, b"%d" % status.st_ino)
        self.base.append(b"\0".join(fields) + b"\0")

    def _one(self, source: int, target: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            self._own(target, name, status)
        elif stat.S_ISREG(mode):
            self._file(source, target, name, path, status)
        # Sockets, fifos and devices are no part of a project that could be worked on

    def _file(self, source: int, target: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.ENOENT}:
                raise
            self.base.pop()  # what the operator cannot read, the agent does not get
            return
        written = os.open(name, flags, 0o600, dir_fd=target)
        try:
            text = self._texts.get(path)
            if text is None:
                _copy(read, written, status.st_size)
            else:
                os.write(written, text)
            self._own(target, name, status)
            os.fchmod(written, stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(written, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(read)
            os.close(written)

    def _own(self, target: int, name: bytes, status: os.stat_result) -> None:
        """As root, keep the owner; what is root's own becomes the agent's."""
        if not os.geteuid():
            uid, gid = (status.st_uid, status.st_gid) if status.st_uid else (self._owner, self._owner)
            os.chown(name, uid, gid, dir_fd=target, follow_symlinks=False)

    def finish(self, path: bytes) -> None:
        """Give a folder the mode and time of the original, once all in it is there."""
        status = beneath.lstat(self._source, path)
        parent, name = beneath.open_parent(self._target, path)
        try:
            self._own(parent, name, status)
            os.chmod(name, stat.S_IMODE(status.st_mode) & 0o777, dir_fd=parent)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=parent)
        finally:
            os.close(parent)


def take(
    workspace: str,
    target: str,
    base: str,
    *,
    skipped: tuple[str, ...],
    texts: tuple[tuple[str, str], ...],
    bounded: bool,
    owner: int,
) -> None:
    """Copy a project into the empty folder `target`, without the paths in `skipped`, for an agent `owner`.

    `texts` stand in for files that hold credentials. Raises BoundaryError where the project is too large.
    """
    source, copied = beneath.open_root(workspace), beneath.open_root(target)
    given = {os.fsencode(path): text.encode("utf-8", "surrogateescape") for path, text in texts}
    copier = _Copier(source, copied, given, bounded=bounded, owner=owner)
    left_out = frozenset(map(os.fsencode, skipped))
    done, todo = [], [b""]
    try:
        while todo:
            folder = todo.pop()
            todo += copier.folder(folder, left_out)
            if folder:
                done.append(folder)
        for folder in reversed(done):
            copier.finish(folder)
    except OSError as error:
        raise HostError(
            f"the project could not be copied for the session: {error.strerror}: {_shown(error.filename)}",
            hint="free some space, or mend what cannot be read",
        ) from None
    finally:
        os.close(source)
        os.close(copied)
    fd = os.open(base, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.writelines(copier.base)


def _shown(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else ""


def _copy(source: int, target: int, size: int) -> None:
    left = 0 if _is_cloned(source, target) else size
    while left > 0:
        done = _some(source, target, min(left, _PIECE))
        if not done:
            return  # shorter meanwhile
        left -= done


def _is_cloned(source: int, target: int) -> bool:
    """Let the copy share the blocks of the original, where the file system can."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True


def _some(source: int, target: int, count: int) -> int:
    try:
        return os.copy_file_range(source, target, count)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    piece = os.read(source, min(count, 1 << 20))
    view = memoryview(piece)
    while view:
        view = view[os.write(target, view) :]
    return len(piece)


def read_base(layers: Layers) -> dict[bytes, Stamp]:
    """Return what each path of the project was when it was copied."""
    with open(f"{os.path.dirname(layers.upper)}/base", "rb") as file:
        fields = file.read().split(b"\0")
    return {
        fields[at]: Stamp(changed=int(fields[at + 1]), size=int(fields[at + 2]), inode=int(fields[at + 3]))
        for at in range(0, len(fields) - 3, 4)
    }


def usage(layers: Layers) -> Usage:
    """Return how many paths of a copy differ from what was copied, and what the copy takes on disk."""
    known = set(read_base(layers))
    copied = os.stat(f"{os.path.dirname(layers.upper)}/base").st_ctime_ns  # written when all was copied
    changed, size = 0, 0
    for path, status, _filled in walk(layers.upper):
        size += status.st_blocks * 512
        is_new = path not in known
        known.discard(path)
        touched = status.st_ctime_ns > copied and not stat.S_ISDIR(status.st_mode)
        changed += is_new or touched
    return Usage(entries=changed + len(known), size=size)
