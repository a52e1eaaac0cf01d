"""A review that still stands: what was read and judged once need not be read and judged again.

`ringfence diff` reads every byte of a session's changes, and asks every risk about each. What it found is
kept beside the session, outside of the boundary, and `ringfence apply` takes it up if nothing moved since:
the session has not gone on, both sides are as their trace says (`trace`), and the rules are those of then.
Whatever is otherwise, or cannot be told, means that all is read anew; so this may be lost at any time.

What lands is not taken on trust: an apply hashes the bytes that it copies and holds them against the review,
and the project's side of each change against what the session saw.
"""

import marshal
import os
import stat
from hashlib import sha256

from ringfence import __version__
from ringfence.errors import RingfenceError
from ringfence.value import Struct, build
from ringfence.workspace import manifest, overlay, trace
from ringfence.workspace.finding import Finding
from ringfence.workspace.layers import OVERLAY, Change, Entry, Layers
from ringfence.workspace.manifest import Manifest
from ringfence.workspace.review.report import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILE = "standing"
_FORMAT = 1
_DIGEST = 32  # bytes at the front: the SHA-256 of the rest
_MOST = 50_000  # changes: beyond, the file would be larger than the time it saves is worth
_HERE = os.path.dirname(os.path.abspath(__file__))


class Standing(Struct):
    """A report that is still true, and what was reviewed of it."""

    report: Report
    reviewed: Manifest | None  # None: not all of it, or it is to be looked up


def save(layers: Layers, made: Report, seen: trace.Trace, *, shown: Manifest | None) -> None:
    """Keep a report. `shown`: what was just written down as reviewed, where that is all of it."""
    discard(layers)
    if not _can_stand(layers) or len(made.changes) > _MOST:
        return
    rows = seen.rows(frozenset(one.path for one in made.changes))
    if rows is None:
        return
    value: Any = (
        _bound(layers),
        ("", "") if shown is None else (manifest.file_digest(layers), shown.digest),
        rows,
        [_change_row(one) for one in made.changes],
        [one.__dict__ for one in made.findings],
    )
    _write(f"{manifest.folder(layers)}/{_FILE}", marshal.dumps(value))


def load(layers: Layers) -> Standing | None:
    """Return what was kept of a session; None where it is not known to be true."""
    if not _can_stand(layers):
        return None
    found = _read(f"{manifest.folder(layers)}/{_FILE}")
    if found is None or found[0] != _bound(layers):
        return None
    _, (file, digest), rows, changes, findings = found
    try:
        if not trace.stands(layers, rows):
            return None
    except RingfenceError:  # a root that is another, or gone: reading says so
        return None
    read = tuple([_change(row) for row in changes])
    report = Report(changes=read, findings=tuple([build(Finding, row) for row in findings]))
    is_whole = file and file == manifest.file_digest(layers)
    return Standing(report=report, reviewed=Manifest.of(read, sealed=digest) if is_whole else None)


def discard(layers: Layers) -> None:
    """Have the next command read everything anew."""
    try:
        os.unlink(f"{manifest.folder(layers)}/{_FILE}")
    except FileNotFoundError:
        return


# --- what it hangs on ----------------------------------------------------------------------------


def _can_stand(layers: Layers) -> bool:
    """Tell whether nobody writes into the layer any more. A copied project is too large to be traced."""
    return layers.ended and layers.kind == OVERLAY and not overlay.is_running(layers)


def _bound(layers: Layers) -> tuple[object, ...]:
    """Return what a report is true of: a session as it ended, and these rules."""
    try:
        noted = trace.stamp(os.stat(f"{manifest.folder(layers)}/{overlay.LAYERS}"))
    except FileNotFoundError:
        noted = (0, 0)
    return _FORMAT, repr(layers), noted, _rules()


def _rules() -> tuple[object, ...]:
    """Return what changes when anything does that reads or judges."""
    top = os.path.dirname(_HERE)
    made: list[tuple[str, int, int]] = []
    for folder in (top, _HERE, f"{top}/risks"):
        try:
            with os.scandir(folder) as entries:
                found = [(one.name, one.stat()) for one in entries if one.name.endswith(".py")]
        except OSError:  # not installed as files: then the version says all
            continue
        made += [(name, status.st_size, status.st_mtime_ns) for name, status in found]
    return __version__, tuple(sorted(made))


# --- on the disk ---------------------------------------------------------------------------------


def _change_row(one: Change) -> "dict[str, Any]":
    before, after = one.before, one.after
    sides = {"before": before and before.__dict__, "after": after and after.__dict__}
    return {**one.__dict__, **sides}


def _change(row: "dict[str, Any]") -> Change:
    """Return a change; what was read becomes it."""
    if row["before"] is not None:
        row["before"] = build(Entry, row["before"])
    if row["after"] is not None:
        row["after"] = build(Entry, row["after"])
    return build(Change, row)


def _write(path: str, data: bytes) -> None:
    """Put it there whole, or not at all: it is no loss."""
    temporary = f"{path}.{os.urandom(8).hex()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        with open(fd, "wb") as file:
            file.write(sha256(data).digest() + data)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)


def _read(path: str) -> "tuple[Any, ...] | None":
    """Return what `_write` wrote; None where that is not whole, or not ours."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            return None
        data = file.read()
    kept = memoryview(data)[_DIGEST:]
    if sha256(kept).digest() != data[:_DIGEST]:
        return None
    try:
        return tuple(marshal.loads(kept))  # noqa: S302 - ours: owner, mode and digest checked
    except (ValueError, EOFError, TypeError):  # another Python's
        return None
