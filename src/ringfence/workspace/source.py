"""The session's layer as what is applied is read from: each thing opened once, held against the review."""

import errno
import os
import stat
from hashlib import sha256

from ringfence.errors import BoundaryError
from ringfence.workspace import beneath
from ringfence.workspace.layers import Change
from ringfence.workspace.steps import show

_BLOCK = 1 << 20
_ZEROS = bytes(_BLOCK)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV))


class Source:
    """An open layer."""

    def __init__(self, upper: str) -> None:
        self._root = beneath.open_root(upper)
        self._folder: bytes | None = None
        self._fd = -1

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._root)

    def status(self, path: bytes) -> os.stat_result:
        """Return what stands at a path, itself."""
        try:
            return beneath.status(*self._at(path))
        except FileNotFoundError:
            raise differs(path) from None

    def check_folder(self, change: Change) -> None:
        """Refuse a folder that is not as reviewed."""
        status = self.status(change.path)
        assert change.after is not None  # noqa: S101 - for the type checker
        if not stat.S_ISDIR(status.st_mode) or stat.S_IMODE(status.st_mode) != change.after.mode:
            raise differs(change.path)

    def target(self, change: Change) -> bytes:
        """Return where a link points, which must be as reviewed."""
        parent, name = self._at(change.path)
        try:
            target = os.readlink(name, dir_fd=parent)
        except OSError:
            raise differs(change.path) from None
        if change.after is None or target != change.after.target:
            raise differs(change.path)
        return target

    def copy(self, change: Change, out: int) -> None:
        """Copy a file from one descriptor, hashing what is copied; it must be as reviewed."""
        after = change.after
        assert after is not None  # noqa: S101 - for the type checker
        fd, size = self._open(change.path), after.size
        try:
            status = os.fstat(fd)
            if status.st_mode != stat.S_IFREG | after.mode or status.st_size != size:
                raise differs(change.path)
            if (_copied_at_once if size < _BLOCK else _copied)(fd, out, size) != after.digest:
                raise differs(change.path)
        finally:
            os.close(fd)

    def _open(self, path: bytes) -> int:
        folder, _, name = path.rpartition(b"/")
        parent = self._fd if folder == self._folder else self._at(path)[0]
        try:
            return os.open(name, _READ, dir_fd=parent)
        except PermissionError:
            return beneath.open_file(self._root, path)
        except OSError as error:
            if error.errno in _ABSENT:
                raise differs(path) from None
            raise

    def _at(self, path: bytes) -> tuple[int, bytes]:
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd, self._folder = -1, None
            beneath.check_path(path)  # of the others in the folder only the name differs
            try:
                self._fd = beneath.open_folder(self._root, folder)
            except OSError as error:
                if error.errno in _ABSENT:
                    raise differs(path) from None
                raise
            self._folder = folder
        return self._fd, name


def _copied_at_once(fd: int, out: int, size: int) -> str:
    """Copy at most `size` bytes, less than a block, and one more. Return the digest."""
    data = os.read(fd, size + 1)  # it is short only at the end of the file
    done = os.write(out, data) if data else 0
    if done < len(data):
        write(out, data[done:])
    return sha256(data).hexdigest()


def _copied(fd: int, out: int, size: int) -> str:
    """Copy at most `size` bytes and one more; holes stay holes. Return the digest."""
    digest, left = sha256(), size + 1
    while left and (block := os.read(fd, min(_BLOCK, left))):
        digest.update(block)
        left -= len(block)
        if block == _ZEROS[: len(block)]:
            os.lseek(out, len(block), os.SEEK_CUR)
        else:
            write(out, block)
    os.ftruncate(out, size)
    return digest.hexdigest()


def write(out: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(out, data) :]


class Differs(BoundaryError):  # noqa: N818 - it says what it is
    """Something in the layer is not what was reviewed."""


def differs(path: bytes) -> Differs:
    """Return the error for what is not as reviewed."""
    return Differs(
        f"{show(path)} is not what was reviewed; nothing was applied",
        hint="look again: ringfence diff",
    )
