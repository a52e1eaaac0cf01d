"""The anchor outside the logs: where each session's log ended.

A log proves its own order, but not that its tail is still there, nor that it was not rolled back to
an earlier copy. So when a session ends, the number and the hash of its last record go into one file,
`heads`, in the state folder: itself append-only and chained, one line a session. Copy that file, or
its last line, to another place, and it vouches for every log that came before.
"""

import os
import time

from ringfence.audit.chain import WRITERS, hash_of, open_file, tail, write_line
from ringfence.audit.event import GENESIS, line, timestamp

NAME = "heads"
KIND = "head"


def append(state_dir: str, session: str, seq: int, head: str) -> str:
    """Record where a session's log ended (the last record's number and hash); return the line's hash."""
    path = f"{state_dir}/{NAME}"
    fd = open_file(path, os.O_RDWR | os.O_CREAT, patience=WRITERS)
    try:
        last = tail(fd, path)
        number = int(last[len('{"seq":') : last.index(",")]) + 1 if last else 0
        fields = {"last": seq, "head": head}
        text, made = line(
            number, timestamp(time.time_ns()), session, KIND, prev=hash_of(last) or GENESIS, fields=fields
        )
        write_line(fd, path, text, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    return made
