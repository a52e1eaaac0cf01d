"""The anchor outside the logs: where each session's log ended.

A log proves its own order, but not that its tail is still there, nor that it was not rolled back to
an earlier copy. So when a session ends, the number and the hash of its last record go into one file,
`heads`, in the state folder: itself append-only and chained, one line a session. Copy that file, or
its last line, to another place, and it vouches for every log that came before. A log that is removed for
its age has a second line there, which says so.
"""

import os
import time

from ringfence.audit.chain import WRITERS, hash_of, open_file, tail, write_line
from ringfence.audit.event import GENESIS, line, timestamp

NAME = "heads"
KIND = "head"
PRUNED = "pruned"  # the log that ended here was removed for its age: see `prune`


def append(state_dir: str, session: str, seq: int, head: str) -> str:
    """Record where a session's log ended (the last record's number and hash); return the line's hash."""
    return _append(state_dir, KIND, session, {"last": seq, "head": head})


def append_pruned(state_dir: str, session: str, seq: int, head: str) -> str:
    """Record that a session's log, which ended so, is removed now; return the line's hash."""
    return _append(state_dir, PRUNED, session, {"last": seq, "head": head})


def sync(state_dir: str) -> None:
    """Put the file on the disk."""
    fd = os.open(f"{state_dir}/{NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _append(state_dir: str, kind: str, session: str, fields: "dict[str, object]") -> str:
    path = f"{state_dir}/{NAME}"
    fd = open_file(path, os.O_RDWR | os.O_CREAT, patience=WRITERS)
    try:
        last = tail(fd, path)
        number = int(last[len('{"seq":') : last.index(",")]) + 1 if last else 0
        text, made = line(
            number, timestamp(time.time_ns()), session, kind, prev=hash_of(last) or GENESIS, fields=fields
        )
        write_line(fd, path, text, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    return made
