"""Numbers that a check asks for and that became smaller: coverage, scores, limits."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, excerpt_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "threshold lowered"
GROUP = WEAKENS
DOC = "Numbers that a check asks for and that became smaller: coverage, scores, limits."

_ASKED = re.compile(
    rb"(fail[_-]under|cov-fail-under|coverageThreshold|check-coverage|min[_-]?coverage"
    rb"|minimum[_-]?coverage|minimum_coverage"
    rb"|threshold|statements|branches|functions|lines|target|minScore|min-score|fail-under"
    rb"|covered_?ratio|minimum)"
    rb"[\"']?\s*[:=> ]\s*[\"']?(\d+(?:\.\d+)?)",
    re.IGNORECASE,
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    if change.before is None or content.before is None or not _ASKED.search(content.before):
        return
    old: dict[bytes, list[float]] = {}
    for _, line in content.removed():
        for name, number in _ASKED.findall(line):
            old.setdefault(name.lower(), []).append(float(number))
    if not old:
        return
    for number, line in content.added():
        for name, value in _ASKED.findall(line):
            before = old.get(name.lower())
            if before and float(value) < before.pop(0):
                why = f"asks for less: `{name.decode()}` is {value.decode()} now"
                yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
                break
            old = {key: numbers for key, numbers in old.items() if numbers}
    gone = [(number, line) for number, line in content.removed() if _GATE.search(line)]
    if len(gone) > sum(1 for _, line in content.added() if _GATE.search(line)):
        why = "a coverage threshold is gone"
        yield Finding(path=change.path, risk=NAME, why=why, line=gone[0][0], excerpt=excerpt_of(gone[0][1]))


_GATE = re.compile(rb"fail[_-]under|coverageThreshold|check-coverage|minimum[_-]coverage", re.IGNORECASE)
