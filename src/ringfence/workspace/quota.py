"""A limit on what a session's copy takes on disk, held by looking.

No file system takes a quota on one folder from an ordinary user, so the launcher walks the layer from
time to time and ends the session when there is too much. It looks the more often the less a walk takes;
when the disk's free space falls by much at once it looks right away. One file cannot grow beyond the
quota in any case (RLIMIT_FSIZE), and space is taken by writing only: a process that reserves it (fallocate)
takes a hundred gigabytes a second, so the filter refuses that. What gets past is what can be written between
two glances. What this does not count: a file that was deleted while it is open.
"""

import os
import time

from ringfence.workspace import upper

_EVERY = 1.0  # seconds between two walks
_SHARE = 20  # a walk may take this part of the time
_STEP = 64  # at least this part of the quota is written between two walks
_GLANCE = 0.02  # seconds between two looks at the disk's free space


class Quota:
    """What is known of one session's layers."""

    def __init__(self, layers: tuple[str, ...], limit: int) -> None:
        self._layers, self._limit = layers, limit
        self._next = 0.0
        self._left = limit  # bytes until there could be too much
        self._free = self._free_now()

    def look(self) -> str:
        """Return why the session must end, or nothing."""
        now = time.monotonic()
        free = self._free_now()
        if now < self._next and self._free - free < max(self._left, self._limit // _STEP):
            return ""
        used = [upper.usage(layer) for layer in self._layers]
        size, entries = sum(one.size for one in used), sum(one.entries for one in used)
        took = time.monotonic() - now
        self._next = now + max(_EVERY, took * _SHARE)
        self._free, self._left = free, self._limit - size
        if size <= self._limit:
            return ""
        return (
            f"its copy of the project takes {size} bytes ({entries} files), "
            f"more than the quota of {self._limit}"
        )

    @property
    def every(self) -> float:
        """Seconds until it is worth looking again."""
        return _GLANCE

    def _free_now(self) -> int:
        try:
            status = os.statvfs(self._layers[0])
        except OSError:
            return 0
        return status.f_bavail * status.f_frsize
