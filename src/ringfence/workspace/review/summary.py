"""A session's changes in few lines: how many of each kind, what is dangerous, how much in each file.

Counts are of everything. Where a list is cut to be read, how much more there is stands at its end.
"""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import (
    ADDED,
    CHANGED,
    DELETED,
    DIRECTORY,
    LINK,
    MODE,
    RENAMED,
    TYPE,
    Change,
    Entry,
)
from ringfence.workspace.review.report import Report
from ringfence.workspace.review.text import shown_path
from ringfence.workspace.review.unified import HEAD, META, NOTE, summed_up
from ringfence.workspace.risks import GROUP_OF, GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ringfence.workspace.review.unified import Line
    from ringfence.workspace.selection import Left

_WORDS = {
    ADDED: "added",
    CHANGED: "changed",
    DELETED: "deleted",
    RENAMED: "renamed",
    MODE: "with another mode",
    TYPE: "of another type",
}
_INSTALLED = frozenset(
    (b"node_modules", b"site-packages", b"dist-packages", b".venv", b"venv", b"bower_components")
)
_FEW = 5  # paths of installed dependencies that are listed one by one
_BAR = 40  # characters of the longest bar in `--stat`


def counts(report: Report) -> dict[str, int]:
    """Return how many changes there are of each kind, and of what matters across kinds."""
    found = dict.fromkeys(_WORDS, 0)
    links = folders = 0
    for change in report.changes:
        sides = {side.kind for side in (change.before, change.after) if side is not None}
        found[change.kind] += 1
        links += LINK in sides
        folders += sides == {DIRECTORY}
    more = {
        "links": links,
        "folders": folders,
        "risky": len(report.risky),
        "conflicts": len(report.conflicts),
    }
    return {"total": len(report.changes), **found, **more}


def summary(report: Report) -> "Iterator[Line]":
    """Yield the counts."""
    number = counts(report)
    kinds = ", ".join(f"{number[kind]} {word}" for kind, word in _WORDS.items() if number[kind])
    yield HEAD, f"# {number['total']} change{'' if number['total'] == 1 else 's'}: {kinds or 'nothing'}"
    among = [
        f"{number[name]} {word}{'' if number[name] == 1 else 's'}"
        for name, word in (("links", "symbolic link"), ("folders", "folder"))
        if number[name]
    ]
    if among:
        yield NOTE, f"# among them {', '.join(among)}"


def danger(report: Report) -> "Iterator[Line]":
    """Yield conflicts and findings, grouped: what comes before everything else."""
    if report.conflicts:
        count = len(report.conflicts)
        what = "1 path was" if count == 1 else f"{count} paths were"
        yield HEAD, f"# CONFLICTS: {what} changed here meanwhile"
        for change in report.conflicts:
            yield NOTE, f"#   {shown_path(change.path)}: {change.conflict}"
        yield META, ""
    for group in GROUPS:
        found = [finding for finding in report.findings if GROUP_OF[finding.risk] == group]
        if not found:
            continue
        paths = len({finding.path for finding in found})
        yield HEAD, f"# DANGER: {paths} path{'' if paths == 1 else 's'}: {group}"
        bundles = _bundles(finding.path for finding in found)
        for name, count in bundles.items():
            risks = {finding.risk for finding in found if bundle(finding.path) == name}
            yield NOTE, f"#   {shown_path(name)}/: {count} paths: {', '.join(sorted(risks))}"
        for finding in found:
            if bundle(finding.path) in bundles:
                continue
            line = f":{finding.line}" if finding.line else ""
            yield NOTE, f"#   {shown_path(finding.path)}{line}: {finding.risk}: {finding.why}"
            if finding.excerpt:
                yield META, f"#       {finding.excerpt}"
        yield META, ""


def bundle(path: bytes) -> bytes:
    """Return the folder of installed dependencies that a path lies in, the outermost; or nothing."""
    parts = path.split(b"/")
    at = next((at for at, part in enumerate(parts) if part in _INSTALLED), -1)
    return b"/".join(parts[: at + 1])


def _bundles(paths: "Iterable[bytes]") -> dict[bytes, int]:
    """Return the folders that are told of in one line: one yes or no is about all that is in them."""
    found: dict[bytes, int] = {}
    for path in set(paths):
        if name := bundle(path):
            found[name] = found.get(name, 0) + 1
    return {name: found[name] for name in sorted(found) if found[name] > _FEW}


def left_out(left: "Iterable[Left]") -> "Iterator[str]":
    """Yield what an apply leaves out, and why; installed dependencies by their folder."""
    every = tuple(left)
    bundles = _bundles(one.path for one in every)
    for name, count in bundles.items():
        yield f"# left out: {shown_path(name)}/: {count} paths, installed code"
    for one in every:
        if bundle(one.path) not in bundles:
            yield f"# left out: {shown_path(one.path)}: {one.why}"


def names(report: Report) -> "Iterator[Line]":
    """Yield one line a change: its kind and its path."""
    risky = report.risky
    for change in report.changes:
        marks = "".join((" !" if change.path in risky else "", " CONFLICT" if change.conflict else ""))
        yield META, f"{change.kind:<8} {named(change)}{marks}"


def named(change: Change) -> str:
    """Return a change's path, for a rename both."""
    if change.source:
        return f"{shown_path(change.source)} -> {shown_path(change.path)}"
    sides = {side.kind for side in (change.before, change.after) if side is not None}
    return shown_path(change.path) + ("/" if sides == {DIRECTORY} else "")


class Stat:
    """The table of `--stat`, gathered change by change."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, int, int]] = []

    def add(self, change: Change, content: Content) -> None:
        """Count one change."""
        reason = summed_up(content)
        if reason or _unread(change, content):
            what = f"{reason or 'not read'}, {_size(change.before)} -> {_size(change.after)} bytes"
            self._rows.append((named(change), what, 0, 0))
            return
        added, removed = len(content.added()), len(content.removed())
        what = str(added + removed) if added or removed else f"({_WORDS[change.kind]})"
        self._rows.append((named(change), what, added, removed))

    def lines(self) -> "Iterator[Line]":
        """Yield the table."""
        width = max((len(name) for name, *_ in self._rows), default=0)
        most = max((added + removed for *_, added, removed in self._rows), default=0)
        scale = min(1.0, _BAR / most) if most else 1.0
        for name, what, added, removed in self._rows:
            bar = "+" * _bar(added, scale) + "-" * _bar(removed, scale)
            yield META, f" {name:<{width}} | {what}{' ' if bar else ''}{bar}"
        added, removed = sum(row[2] for row in self._rows), sum(row[3] for row in self._rows)
        count = f"{len(self._rows)} path{'' if len(self._rows) == 1 else 's'} changed"
        yield HEAD, f" {count}, {added} line{'' if added == 1 else 's'} added, {removed} removed"


def _bar(count: int, scale: float) -> int:
    return max(1, round(count * scale)) if count else 0


def _unread(change: Change, content: Content) -> bool:
    """Say whether a side is a file whose bytes were not read."""
    sides = ((change.before, content.before), (change.after, content.after))
    return any(entry is not None and entry.kind == "file" and data is None for entry, data in sides)


def _size(entry: Entry | None) -> str:
    return "0" if entry is None else f"{entry.size:,}"
