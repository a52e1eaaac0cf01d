"""Writing a session's log: append-only, hash-chained, one writer at a time.

The launcher writes the first records and closes; the egress process resumes, appends while it lives
and closes; the launcher resumes for the end. Each continues the count and the chain from the tail.
"""

import fcntl
import os
import time

from ringfence.audit.chain import AuditError, hash_of, member_of, open_file, tail, write_lines
from ringfence.audit.event import END, GENESIS, KINDS, sealed_lines, spelled

__all__ = ["AuditError", "Writer"]

_SESSION_CHARACTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.")


MOST_WAITING = 64 * 1024  # bytes of records that wait to be written


class Writer:
    """The one writer of a session's log at this time."""

    def __init__(self, path: str, session: str, fd: int, *, seq: int = 0, head: str = GENESIS) -> None:
        """Use `create` or `resume`."""
        self.path = path
        self.session = session
        self.seq = seq  # of the next record
        self.head = head  # hash of the last record
        self._fd = fd
        self._size = os.fstat(fd).st_size
        self._failed = ""
        self._waiting: list[tuple[str, str, int]] = []  # what is not written: kind, own fields, time
        self._held = 0  # characters of these

    @classmethod
    def create(cls, path: str, session: str) -> "Writer":
        """Start a session's log; an existing file is refused."""
        if not session or not _SESSION_CHARACTERS.issuperset(session):
            raise ValueError(f"not a session id: {session!r}")
        return cls(path, session, open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))

    @classmethod
    def resume(cls, path: str) -> "Writer":
        """Continue a log after its last record, which must be whole and unchanged."""
        fd = open_file(path, os.O_RDWR)
        try:
            return cls._continue(path, fd)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _continue(cls, path: str, fd: int) -> "Writer":
        last = tail(fd, path)
        if not last:
            raise AuditError(f"the audit log {path!r} is empty", hint="`ringfence log --verify` says more")
        if member_of(last, "kind") == END:
            raise AuditError(f"the session of {path!r} has ended: nothing can be added to its log")
        seq = int(last[len('{"seq":') : last.index(",")])
        return cls(path, member_of(last, "session"), fd, seq=seq + 1, head=hash_of(last))

    def append(self, kind: str, **fields: object) -> str:
        """Write one record and return its hash. After a failure every further call fails."""
        self.append_spelled(kind, spelled(fields))
        return self.head

    def append_spelled(self, kind: str, own: str, *, later: bool = False) -> None:
        """Write one record whose own fields are spelled as `event.spelled` does it.

        With `later` the record waits for the next one, or for `flush`: what is not written yet is lost when
        the process is killed, so this is for records that tell how something ended.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind of event: {kind}")
        if self._failed:
            raise AuditError(self._failed)
        self._waiting.append((kind, own, time.time_ns()))
        self._held += len(own)
        if not later or self._held > MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write the records that wait, in one go: only now they are numbered and chained."""
        waiting = self._waiting
        if not waiting:
            return
        self._waiting, self._held = [], 0
        lines, self.head = sealed_lines(self.seq, self.session, self.head, waiting)
        self.seq += len(waiting)
        try:
            self._size = write_lines(self._fd, self.path, lines, self._size)
        except AuditError as error:
            self._failed = error.message
            raise

    def close(self) -> None:
        """Let the next writer take over. May be called twice."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            self._release()

    def _release(self) -> None:
        # Unlocked by name: closing alone keeps the lock while a forked child still has the descriptor.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)
        self._fd = -1
        self._failed = "the audit log is closed"

    def __enter__(self) -> "Writer":  # noqa: PYI034 - typing.Self costs the launcher 8 ms
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
