"""Appending to a file of hash-chained lines: one writer, one `write` a record, no torn lines.

Used by the session's log and by the file of heads that anchors all logs.
"""

import errno
import fcntl
import os
import time

from ringfence.audit.event import GENESIS, HASH_MEMBER, MAX_LINE
from ringfence.canonical import sha256
from ringfence.errors import HostError

READER = 0.1  # seconds: a reader that looks whether a log is in use holds the lock for microseconds
WRITERS = 5.0  # seconds: several sessions that end together write their heads one after the other
LOCK_PAUSE = 0.002  # seconds between two tries


class AuditError(HostError):
    """The log cannot be written or is not what we wrote: the session must stop."""


def open_file(path: str, flags: int, *, patience: float = READER) -> int:
    """Open a log for appending and lock it; a second writer is refused after `patience` seconds."""
    flags |= os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        raise AuditError(
            f"cannot open the audit log {path!r}: {error.strerror}", hint=_hint(error)
        ) from error
    try:
        _lock(fd, path, patience)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _lock(fd: int, path: str, patience: float) -> None:
    """Take the writer's lock or say that somebody holds it."""
    until = time.monotonic() + patience
    while not _locked(fd, path):
        if time.monotonic() > until:
            raise AuditError(
                f"another process is writing the audit log {path!r}",
                hint="one session has one writer at a time; `ringfence log` reads without it",
            )
        time.sleep(LOCK_PAUSE)


def _locked(fd: int, path: str) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise AuditError(
            f"cannot lock the audit log {path!r}: {error.strerror}", hint=_hint(error)
        ) from error
    return True


def write_line(fd: int, path: str, text: str, size: int) -> int:
    """Append one line and return the file's new size."""
    return write_lines(fd, path, text.encode("ascii") + b"\n", size)


def write_lines(fd: int, path: str, data: bytes, size: int) -> int:
    """Append whole lines in one write and return the file's new size.

    What a full disk leaves of them is taken back, so that the log stays whole up to here.
    """
    try:
        written = os.write(fd, data)
    except OSError as error:
        _take_back(fd, size)
        raise AuditError(
            f"cannot write the audit log {path!r}: {error.strerror}", hint=_hint(error)
        ) from error
    if written != len(data):
        _take_back(fd, size)
        raise AuditError(f"cannot write the audit log {path!r}: the disk is full", hint="free some space")
    return size + written


def _take_back(fd: int, size: int) -> None:
    """Cut off a torn line; where even that fails, the verifier reports the torn line."""
    try:
        os.ftruncate(fd, size)
    except OSError:
        return


def tail(fd: int, path: str) -> str:
    """Return the last line, its hash checked. An empty file gives ""."""
    size = os.fstat(fd).st_size
    if size == 0:
        return ""
    data = os.pread(fd, min(size, MAX_LINE), max(0, size - MAX_LINE))
    if not data.endswith(b"\n"):
        raise AuditError(
            f"the audit log {path!r} ends in a torn line", hint="`ringfence log --verify` says more"
        )
    last = data[data.rfind(b"\n", 0, -1) + 1 : -1].decode("latin-1")
    if not sealed(last):
        raise AuditError(
            f"the last record of {path!r} was changed", hint="`ringfence log --verify` says more"
        )
    return last


def sealed(text: str) -> bool:
    """Tell whether a line carries the hash of its own bytes and of the `prev` it names.

    Lines that are read back are decoded as latin-1, one character a byte, so that none is lost here.
    """
    body, made = body_of(text), hash_of(text)
    return made != "" and sha256((prev_of(text) + body).encode("latin-1")) == made


def body_of(text: str) -> str:
    """Return a line as it was hashed: without its hash member."""
    return text[:-HASH_MEMBER] + "}"


def hash_of(text: str) -> str:
    """Return the hash at a line's end, or "" where there is none."""
    member = text[-HASH_MEMBER:]
    return member[9:-2] if member.startswith(',"hash":"') and member.endswith('"}') else ""


def prev_of(text: str) -> str:
    """Return the hash of the line before, as this line names it."""
    return member_of(text, "prev") or GENESIS


def member_of(text: str, name: str) -> str:
    """Return one of the common members, which stand first and hold no escapes."""
    start = text.find(f'"{name}":"')
    if start < 0:
        return ""
    start += len(name) + 4
    return text[start : text.find('"', start)]


def _hint(error: OSError) -> str:
    return {
        errno.ENOSPC: "the disk is full: free some space (`ringfence sessions remove` takes copies away)",
        errno.EDQUOT: "the disk quota is used up: free some space",
        errno.EROFS: "the file system is read-only: set RINGFENCE_STATE_DIR to a folder that can be written",
        errno.EACCES: "the state folder must belong to you: check its owner, or set RINGFENCE_STATE_DIR",
        errno.EEXIST: "a log is created once for each session",
        errno.ELOOP: "a log must be a plain file, not a symbolic link",
    }.get(error.errno or 0, "")
