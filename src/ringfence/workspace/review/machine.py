"""A review for programs: JSON of plain ASCII, in which no byte of the agent's is lost or obeyed.

A path is text where it is UTF-8, else it stands in `…_base64`. The text may hold any character, escaped
as JSON does; `flags` says what a person would stumble over.
"""

from ringfence.value import Struct
from ringfence.workspace.content import Content
from ringfence.workspace.finding import Finding
from ringfence.workspace.layers import Change, Entry
from ringfence.workspace.review import summary, text
from ringfence.workspace.review.report import Report
from ringfence.workspace.review.unified import summed_up
from ringfence.workspace.risks import GROUP_OF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

VERSION = 1


class Head(Struct):
    """What is said of the session itself."""

    session: str
    workspace: str
    running: bool = False


def document(head: Head, report: Report, changes: "Iterable[dict[str, Any]]") -> "dict[str, Any]":
    """Return the whole review as plain data."""
    return {
        "version": VERSION,
        "session": head.session,
        **named("workspace", head.workspace.encode("utf-8", "surrogateescape")),
        "running": head.running,
        "summary": summary.counts(report),
        "changes": list(changes),
    }


def change(one: Change, content: Content, findings: "tuple[Finding, ...]") -> "dict[str, Any]":
    """Return one change as plain data."""
    reason = summed_up(content)
    sides = b"" if content.is_plain or reason else b"\n".join(filter(None, (content.before, content.after)))
    return {
        **named("path", one.path),
        **(named("source", one.source) if one.source else {}),
        "kind": one.kind,
        "before": _entry(one.before),
        "after": _entry(one.after),
        "added": None if reason else len(content.added()),
        "removed": None if reason else len(content.removed()),
        "not_shown": reason,
        "conflict": one.conflict,
        "notes": list(one.notes),
        "flags": sorted(text.shown(one.path)[1] | text.kinds_of(sides)),
        "risky": bool(findings),
        "findings": [_finding(found) for found in findings],
    }


def named(key: str, value: bytes) -> dict[str, str]:
    """Return bytes as a member: text under its key, or base64 beside it."""
    try:
        return {key: value.decode("utf-8")}
    except UnicodeDecodeError:
        import base64

        return {f"{key}_base64": base64.b64encode(value).decode("ascii")}


def _entry(entry: Entry | None) -> "dict[str, Any] | None":
    if entry is None:
        return None
    return {
        "type": entry.kind,
        "mode": f"{entry.mode:04o}",
        "size": entry.size,
        "sha256": entry.digest,
        **(named("target", entry.target) if entry.target else {}),
        "links": entry.links,
        "attributes": list(entry.attributes),
    }


def _finding(found: Finding) -> "dict[str, Any]":
    return {
        "risk": found.risk,
        "group": GROUP_OF[found.risk],
        "why": found.why,
        "line": found.line,
        "excerpt": found.excerpt,
    }
