"""Checking a log for records that were changed, removed, inserted, moved or cut off.

Every line is checked by its bytes (its own hash), by its place (`seq` counts up, `prev` names the
line before), by its meaning (the JSON is what our encoder writes), and the whole by its end: a
session that is over closes with an `end` record whose hash the file of heads knows too.

What this cannot see: someone who can write both the log and the file of heads, and rewrites both
from the changed record on. For that, keep the last line of `heads` in another place.
"""

import fcntl
import json
import os

from ringfence.audit import heads
from ringfence.audit.chain import hash_of, sealed
from ringfence.audit.event import COMMON, END, GENESIS, KINDS, MAX_LINE, START, TOOLS, encoded, printable
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ERROR, WARNING = "error", "warning"
TORN = "is not a record: its line is torn"
NO_END = "the session has no end: the tail was cut off, or ringfence was killed"


class Finding(Struct):
    """One thing that is wrong, or odd, with a log."""

    file: str
    line: int  # counts from 1; 0: the file as a whole
    level: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return printable(f"{self.level}: {place}: {self.message}")


class Head(Struct):
    """Where a session's log ended, by the file of heads."""

    session: str
    last: int
    head: str
    pruned: bool = False  # the log was removed for its age


class Report(Struct):
    """What was found in one file."""

    file: str
    records: int
    running: bool = False  # a writer holds it: an end is not expected yet
    findings: tuple[Finding, ...] = ()
    head: str = ""  # hash of the last record

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.level != ERROR for finding in self.findings)


def verify(path: str, session: str = "", anchor: Head | None = None) -> Report:
    """Check one session's log, with its anchor where there is one."""
    running = _is_locked(path)
    seen = _Seen()
    findings: list[Finding] = []
    try:
        for found, record in _chain(path, session):
            findings.extend(found)
            seen.add(record)
    except OSError as error:
        findings.append(_error(path, 0, f"cannot be read: {error.strerror}"))
    if running and findings and (findings[-1].line, findings[-1].message) == (seen.count, TORN):
        findings.pop()  # a record in the middle of being written
    findings.extend(_ends(path, seen, running=running))
    findings.extend(_anchored(path, seen, anchor, running=running))
    head = str(seen.last.get("hash", ""))
    return Report(file=path, records=seen.count, running=running, findings=tuple(findings), head=head)


def is_whole(report: Report) -> bool:
    """Tell whether nothing was changed in the log of a session that is over, be it that it was killed."""
    wrong = [one.message for one in report.findings if one.level == ERROR]
    return not report.running and report.records > 0 and all(message == NO_END for message in wrong)


def verify_heads(state_dir: str) -> tuple[Report, dict[str, Head]]:
    """Check the file of heads; return what it says of each session."""
    path = f"{state_dir}/{heads.NAME}"
    findings: list[Finding] = []
    known: dict[str, Head] = {}
    count = 0
    try:
        for found, record in _chain(path, "", kinds=(heads.KIND, heads.PRUNED)):
            count += 1
            findings.extend(found)
            head = _head(record)
            if head is not None and head.pruned:
                findings.extend(_not_where_it_ended(path, count, head, known.get(head.session)))
            elif head is not None and head.session in known:
                findings.append(_error(path, count, f"names the session {head.session} twice"))
            if head is not None:
                known[head.session] = head
    except FileNotFoundError:
        pass  # no session has ended yet
    except OSError as error:
        findings.append(_error(path, 0, f"cannot be read: {error.strerror}"))
    return Report(file=path, records=count, findings=tuple(findings)), known


class _Seen:
    """What the end of the check needs to know of the records before, whatever their number."""

    def __init__(self) -> None:
        self.count = 0
        self.first: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self.end = 0  # the line of the first `end`

    def add(self, record: "dict[str, Any]") -> None:
        """Take note of one line; {} for what is no record."""
        self.count += 1
        if self.count == 1:
            self.first = record
        self.last = record
        if record.get("kind") == END and not self.end:
            self.end = self.count


def _head(record: "dict[str, Any]") -> Head | None:
    session, last, head = record.get("session"), record.get("last"), record.get("head")
    if not (isinstance(session, str) and isinstance(last, int) and isinstance(head, str)):
        return None
    return Head(session=session, last=last, head=head, pruned=record.get("kind") == heads.PRUNED)


def _not_where_it_ended(path: str, number: int, pruned: Head, ended: Head | None) -> "Iterator[Finding]":
    if ended is not None and (ended.last, ended.head) != (pruned.last, pruned.head):
        yield _error(path, number, f"the log of session {pruned.session} was pruned with another end")


def _lines(path: str) -> "Iterator[str]":
    """Yield the file's lines with their ends, one character a byte; no more than a record at a time."""
    with open(path, "rb") as file:
        while data := file.readline(MAX_LINE):
            yield data.decode("latin-1")


def _chain(
    path: str, session: str, kinds: tuple[str, ...] = ()
) -> "Iterator[tuple[list[Finding], dict[str, Any]]]":
    """Yield each line's findings and what it says; {} for what is no record at all."""
    before: dict[str, Any] = {"seq": -1, "hash": GENESIS, "time": "", "session": session}
    for number, text in enumerate(_lines(path), start=1):
        record, problem = _parsed(text)
        if problem:
            yield [_error(path, number, problem)], {}
            continue
        found = [_error(path, number, one) for one in _breaks(record, before)]
        if not kinds and before["session"] not in ("", record["session"]):
            found.append(_error(path, number, f"belongs to another session, {record['session']}"))
        found.extend(_oddities(path, number, record, before, kinds or tuple(KINDS)))
        yield found, record
        before = record


def _parsed(text: str) -> "tuple[dict[str, Any], str]":
    """Return a line's members, or why it is not a record of ours."""
    if not text.endswith("\n"):
        return {}, TORN
    text = text[:-1]
    if not hash_of(text):
        return {}, "is not a record"
    if not sealed(text):
        return {}, "was changed: its hash does not fit"
    try:
        record = json.loads(text)
    except ValueError:
        return {}, "is not a record: not JSON"
    members = record if isinstance(record, dict) else {}
    wrong = [name for name in COMMON if not isinstance(members.get(name), int if name == "seq" else str)]
    if wrong:
        return {}, f"is not a record: {', '.join(wrong)} missing or of the wrong kind"
    if not _is_our_spelling(text, members):
        return {}, "is not a record of ours: spelled in another way"
    return members, ""


def _is_our_spelling(text: str, record: "dict[str, Any]") -> bool:
    """Tell whether our encoder writes just this: no member twice, none out of order, no other escapes."""
    common = {name: record[name] for name in COMMON if name != "hash"}
    fields = {name: value for name, value in record.items() if name not in COMMON}
    return encoded(**common, fields=fields)[0] == text


def _breaks(record: "dict[str, Any]", before: "dict[str, Any]") -> "Iterator[str]":
    """Say where a record does not follow the one before."""
    missing = record["seq"] - before["seq"] - 1
    if missing > 0:
        yield f"{missing} record{'s' if missing > 1 else ''} before this one missing"
    elif missing < 0:
        yield f"record {record['seq']} stands after record {before['seq']}: moved, repeated or inserted"
    elif record["prev"] != before["hash"]:
        yield "does not continue the record before: one of the two was replaced, or there were two writers"


def _oddities(
    path: str, number: int, record: "dict[str, Any]", before: "dict[str, Any]", kinds: tuple[str, ...]
) -> "Iterator[Finding]":
    if record["time"] < before["time"]:
        message = f"the clock went back, from {before['time']} to {record['time']}"
        yield Finding(file=path, line=number, level=WARNING, message=message)
    if record["kind"] not in kinds:
        message = f"unknown kind of record, {record['kind']}: written by a newer version?"
        yield Finding(file=path, line=number, level=WARNING, message=message)


def _ends(path: str, seen: _Seen, *, running: bool) -> "Iterator[Finding]":
    """Say what is wrong with a log's first and last record."""
    if not seen.count:
        yield _error(path, 0, "is empty")
        return
    if seen.first and seen.first["kind"] != START:
        yield _error(path, 1, f"begins with a record of kind {seen.first['kind']}, not {START}")
    if seen.end and seen.end != seen.count:
        yield _error(path, seen.end + 1, "stands after the session's end")
    open_end = os.path.basename(os.path.dirname(path)) == TOOLS
    if not seen.end and not running and not open_end:
        yield _error(path, seen.count, NO_END)


def _anchored(path: str, seen: _Seen, anchor: Head | None, *, running: bool) -> "Iterator[Finding]":
    """Compare the log's end with what the file of heads says."""
    if anchor is None:
        if seen.last.get("kind") == END and not running:
            message = "its end is not in the file of heads"
            yield Finding(file=path, line=0, level=WARNING, message=message)
        return
    if (seen.last.get("hash"), seen.last.get("seq")) != (anchor.head, anchor.last):
        message = f"ended with record {anchor.last} by the file of heads: cut off, replaced or rolled back"
        yield _error(path, seen.count, message)


def _is_locked(path: str) -> bool:
    """Tell whether a writer holds the log just now."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _error(path: str, line: int, message: str) -> Finding:
    return Finding(file=path, line=line, level=ERROR, message=message)
