"""Small files of ours that must survive a crash: written whole, then renamed into place, then synced.

`moment` is called before each thing that a crash could come before; tests put a kill there.
"""

import ctypes
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread
    from typing import Any, Self

_RESERVE = "reserve"
_FEW = 64  # files that are synced one by one: beyond, the whole file system at once is cheaper


def _nothing(_what: str) -> None:
    return


moment: "Callable[[str], None]" = _nothing


def write(folder: str, name: str, value: object) -> None:
    """Write a value of plain data as JSON: after a crash the file is the old one or this one."""
    write_text(folder, name, encoded(value))


def encoded(value: object) -> str:
    """Return a value of plain data as JSON."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"))  # many times faster than `canonical`


def write_text(folder: str, name: str, text: str) -> None:
    """Write a text in ASCII: after a crash the file is the old one or this one."""
    moment(f"write {name}")
    temporary = f"{folder}/{name}.{os.urandom(8).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(fd)
        moment(f"rename {name}")
        os.rename(temporary, f"{folder}/{name}")
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(folder)


def reserve(folder: str, size: int) -> None:
    """Keep space for what has to be written even when the disk is full."""
    fd = os.open(f"{folder}/{_RESERVE}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
    finally:
        os.close(fd)


def release(folder: str) -> None:
    """Give the reserved space back, to be used at once."""
    try:
        os.unlink(f"{folder}/{_RESERVE}")
    except FileNotFoundError:
        return


def read(folder: str, name: str) -> "Any":
    """Return what `write` wrote, or None where there is no such file."""
    import json

    try:
        with open(f"{folder}/{name}", encoding="ascii") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def rename(folder: str, name: str, to: str) -> None:
    """Give a file of ours another name, for good."""
    moment(f"rename {name} {to}")
    os.rename(f"{folder}/{name}", f"{folder}/{to}")
    sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Make a folder's names survive a crash."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_all(folder: int, count: int) -> None:
    """Make what was written on the file system of an open folder survive a crash.

    `count`: how many files that is. A few are synced by name; of many, each would wait for the disk.
    """
    moment("sync")
    if count > _FEW or not _sync_each(folder):
        sync_file_system(folder)


def _sync_each(folder: int) -> bool:
    """Sync all that an open folder holds, itself last; tell whether that could be done."""
    for name in os.listdir(folder):
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError:  # a link, which has no content of its own; or shut even for us: then all is synced
            return False
        try:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                if not _sync_each(fd):
                    return False
            else:
                os.fsync(fd)
        finally:
            os.close(fd)
    os.fsync(folder)
    return True


class Syncing:
    """A file system that is written out while this process goes on; done when the block is left.

    Waiting for the disk takes as long as many thousand looks at files. A thread waits: no Python runs there.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd  # on the file system; -1: there is nothing to wait for
        self._error: OSError | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> "Self":
        if self._fd >= 0:
            from threading import Thread

            self._thread = Thread(target=self._sync)
            self._thread.start()
        return self

    def _sync(self) -> None:
        try:
            sync_file_system(self._fd)
        except OSError as error:
            self._error = error

    def __exit__(self, kind: "type[BaseException] | None", *_: object) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._error is not None and kind is None:
            raise self._error


def syncing_all(folder: int, count: int) -> Syncing:
    """Begin to do what `sync_all` does: few files are synced at once, many in the background."""
    if count > _FEW:
        moment("sync")
        return Syncing(folder)
    sync_all(folder, count)
    return Syncing(-1)


def sync_file_system(fd: int) -> None:
    """Write out all of a file system (syncfs(2)); Python has no door to it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(fd) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def text(path: bytes) -> str:
    """Return a path as JSON holds it: bytes that are no UTF-8 as lone surrogates, so that none is lost."""
    return path.decode("utf-8", "surrogateescape")


def raw(path: str) -> bytes:
    """Return what `text` was made of."""
    return path.encode("utf-8", "surrogateescape")
