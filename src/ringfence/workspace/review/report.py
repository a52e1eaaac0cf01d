"""The whole of a review as one value: what changed, what is dangerous, what the user changed meanwhile.

What shows it (`ringfence diff`), what applies it and what decides alone (`run --review=auto`) all start
from here, so that what is called risky is the same for all. What judges is imported where that is done:
an apply of what was reviewed does without (`standing`).
"""

from ringfence.value import Struct
from ringfence.value import build as build_of
from ringfence.workspace.finding import Finding
from ringfence.workspace.layers import Change, Layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ringfence.workspace.content import Contents
    from ringfence.workspace.review.lines import Edit


class Report(Struct):
    """A session's changes, judged."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """Return the changes where the user changed the same path meanwhile."""
        return tuple(change for change in self.changes if change.conflict)

    @property
    def risky(self) -> frozenset[bytes]:
        """Return the paths that "apply all" does not cover."""
        return frozenset(finding.path for finding in self.findings)

    def by_path(self) -> dict[bytes, tuple[Finding, ...]]:
        """Return what was found in each change that something was found in."""
        found: dict[bytes, tuple[Finding, ...]] = {}
        for finding in self.findings:
            found[finding.path] = (*found.get(finding.path, ()), finding)
        return found


def build(layers: Layers) -> Report:
    """Read a session's changes and judge each."""
    from ringfence.workspace import changes as reading
    from ringfence.workspace.content import Contents

    contents = Contents(layers)
    try:
        return judge(reading.read(layers), contents)
    finally:
        contents.close()


def judge(changes: "Iterable[Change]", contents: "Contents") -> Report:
    """Judge changes that were read, with the help of other processors where they are many."""
    from ringfence.workspace import crew, risks  # noqa: F401 - processes that share the work have the risks then

    chosen = tuple(changes)
    found: list[Finding] = []
    judged = crew.shared(chosen, lambda some: [_judged(change, contents) for change in some], crew.FEW)
    for change, (rows, edits) in zip(chosen, judged, strict=True):
        found += [build_of(Finding, row) for row in rows]
        if edits is not None:
            contents.recall(change, edits)
    return Report(changes=chosen, findings=tuple(found))


def _judged(change: Change, contents: "Contents") -> "tuple[list[dict[str, Any]], list[Edit] | None]":
    """Return what was found in one change, and what its comparison gave, as plain data."""
    from ringfence.workspace import risks

    content = contents.of(change)
    rows = [dict(one.__dict__) for one in risks.look(change, content)]
    contents.keep(change, content)
    return rows, contents.kept(change)
