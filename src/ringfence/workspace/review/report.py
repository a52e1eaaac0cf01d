"""The whole of a review as one value: what changed, what deserves a second look, what the user changed meanwhile.

What shows it (`ringfence diff`), what applies it and what decides alone (`run --review=auto`) all start
from here, so that what is called risky is the same for all.
"""

from ringfence.value import Struct
from ringfence.workspace import changes as reading
from ringfence.workspace import risks
from ringfence.workspace.content import LARGEST_SHOWN, Contents
from ringfence.workspace.layers import Change, Layers
from ringfence.workspace.risks.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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

    def is_risky(self, change: Change) -> bool:
        """Say whether a change needs a yes of its own."""
        return change.path in self.risky

    def of(self, path: bytes) -> tuple[Finding, ...]:
        """Return what was found in one change."""
        return tuple(finding for finding in self.findings if finding.path == path)


def build(layers: Layers, largest: int = LARGEST_SHOWN) -> Report:
    """Read a session's changes and judge each."""
    return judge(layers, reading.read(layers), largest)


def judge(layers: Layers, changes: "Iterable[Change]", largest: int = LARGEST_SHOWN) -> Report:
    """Judge changes that were read."""
    chosen = tuple(changes)
    found: list[Finding] = []
    contents = Contents(layers, largest)
    try:
        for change in chosen:
            found += risks.look(change, contents.of(change))
    finally:
        contents.close()
    return Report(changes=chosen, findings=tuple(found))
