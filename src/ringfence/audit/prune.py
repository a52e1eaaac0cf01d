"""Old records go: the logs and plans of sessions that left nothing else, a year old unless told otherwise.

    STATE/heads          says of each log that goes where it ended, and that it was pruned
    STATE/keep-records   seconds that records are kept, or `forever`; without it a year
    STATE/pruned         its time is that of the last automatic look, one a day

A copy of a log made before stays provable: the head of each session stays in the file of heads. A log that
was changed is evidence and stays, and so does every session that left a copy of a project, files set
aside, or anything else than its record.
"""

import os
import stat
import time

from ringfence.audit import heads
from ringfence.audit.chain import AuditError
from ringfence.errors import HostError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.audit.verify import Head, Report

YEAR = 365 * 86400.0
FOREVER = "forever"
_DAY = 86400.0
_LOG = "audit.jsonl"
_RECORD = frozenset((_LOG, "plan.json", "egress.log"))
_KEEP, _STAMP = "keep-records", "pruned"
_MOST = 100  # sessions that one automatic look removes: nobody waits for it long


class Pruned(Struct):
    """What was done."""

    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # sessions whose log is not as it was written: those stay


def prune(state_dir: str, older: float, most: int = 0) -> Pruned:
    """Remove the records of sessions that are `older` seconds old; not more than `most`, if given."""
    from ringfence.audit import verify

    old = _old(state_dir, time.time() - older)
    if not old:
        return Pruned()
    report, known = verify.verify_heads(state_dir)
    if not report.ok:
        raise AuditError(
            f"nothing is pruned while the file of heads is broken: {report.findings[0]}",
            hint="`ringfence log --verify` says more",
        )
    going: list[Head] = []
    changed: list[str] = []
    for session in old[: most or len(old)]:
        path = f"{state_dir}/sessions/{session}/{_LOG}"
        found = verify.verify(path, session, known.get(session))
        (going.append(_head(found, session)) if verify.is_whole(found) else changed.append(session))
    for head in going:
        if head.session not in known or not known[head.session].pruned:
            heads.append_pruned(state_dir, head.session, head.last, head.head)
    if going:
        heads.sync(state_dir)  # on the disk before anything is gone
    for head in going:
        _remove(f"{state_dir}/sessions/{head.session}")
    return Pruned(removed=tuple(one.session for one in going), changed=tuple(changed))


def _head(report: "Report", session: str) -> "Head":
    from ringfence.audit.verify import Head

    return Head(session=session, last=report.records - 1, head=report.head)


def _old(state_dir: str, before: float) -> list[str]:
    """Return the sessions, the oldest first, of which only a record is left that is older."""
    try:
        names = sorted(os.listdir(f"{state_dir}/sessions"))
    except FileNotFoundError:
        return []
    return [name for name in names if _is_old(state_dir, name, before)]


def _is_old(state_dir: str, session: str, before: float) -> bool:
    folder = f"{state_dir}/sessions/{session}"
    try:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or os.path.lexists(f"{state_dir}/live/{session}"):
            return False
        names = os.listdir(folder)
        if _LOG not in names or not _RECORD.issuperset(names):
            return False
        times = [os.lstat(f"{folder}/{name}") for name in names]
    except OSError:
        return False  # going away at this moment
    return all(stat.S_ISREG(one.st_mode) and one.st_mtime < before for one in times)


def _remove(folder: str) -> None:
    """Remove a record; the log first, so that what a crash leaves of it is no log."""
    for name in sorted(_RECORD):
        try:
            os.unlink(f"{folder}/{name}")
        except FileNotFoundError:
            continue
    os.rmdir(folder)


# --- by itself -----------------------------------------------------------------------------------


def kept(state_dir: str) -> float | None:
    """Return for how many seconds records are kept; None: forever."""
    try:
        with open(f"{state_dir}/{_KEEP}", encoding="ascii") as file:
            text = file.read().strip()
        return None if text == FOREVER else float(text)
    except FileNotFoundError:
        return YEAR
    except ValueError:
        return None  # not ours: nothing is removed for it


def keep(state_dir: str, seconds: float | None) -> None:
    """Say for how long records are kept from now on; None: forever."""
    os.makedirs(state_dir, 0o700, exist_ok=True)
    temporary = f"{state_dir}/{_KEEP}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(FOREVER if seconds is None else str(seconds))
    os.rename(temporary, f"{state_dir}/{_KEEP}")


def is_due(state_dir: str) -> bool:
    """Tell whether the last automatic look was more than a day ago."""
    try:
        return not 0 <= time.time() - os.stat(f"{state_dir}/{_STAMP}").st_mtime < _DAY
    except OSError:
        return True


def automatic(state_dir: str) -> Pruned:
    """Prune as the setting says; what goes wrong is told by `ringfence sessions prune`."""
    try:
        fd = os.open(f"{state_dir}/{_STAMP}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.utime(fd)
        finally:
            os.close(fd)
        limit = kept(state_dir)
        return Pruned() if limit is None else prune(state_dir, limit, _MOST)
    except (OSError, HostError):
        return Pruned()
