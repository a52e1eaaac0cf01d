"""Numbers that a check asks for and that became smaller: coverage, scores, limits."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, excerpt_of, place_of

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
    rb"[\"']?\s{0,9}[:=> ]\s{0,9}[\"']?(\d+(?:\.\d+)?)",
    re.IGNORECASE,
)


_STRONG = (b"under", b"threshold", b"coverage")
_WORDS = (
    *_STRONG,
    b"statements",
    b"branches",
    b"functions",
    b"lines",
    b"target",
    b"score",
    b"ratio",
    b"minimum",
)
_GATE = re.compile(rb"fail[_-]under|coverageThreshold|check-coverage|minimum[_-]coverage", re.IGNORECASE)
_CODE = (
    ".py",
    ".js",
    ".ts",
    ".tsx",
    ".jsx",
    ".go",
    ".rs",
    ".java",
    ".c",
    ".cc",
    ".cpp",
    ".h",
    ".md",
    ".txt",
    ".lock",
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    if change.before is None or content.after is None:
        return
    strong = place_of(change).name.endswith(_CODE)  # where `lines` and `target` are words like any other
    gone_text = b"".join([line for _, line in content.removed()]).lower()
    if not any(word in gone_text for word in (_STRONG if strong else _WORDS)):
        return
    old: dict[bytes, list[float]] = {}
    for _, line in content.removed():
        for name, number in _ASKED.findall(line):
            old.setdefault(name.lower(), []).append(float(number))
    for number, line in content.added():
        for name, value in _ASKED.findall(line):
            before = old.get(name.lower())
            if before and float(value) < before.pop(0):
                why = f"asks for less: `{name.decode()}` is {value.decode()} now"
                yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
                break
    gone = [(number, line) for number, line in content.removed() if _GATE.search(line)]
    if len(gone) > sum(1 for _, line in content.added() if _GATE.search(line)):
        why = "a coverage threshold is gone"
        yield Finding(path=change.path, risk=NAME, why=why, line=gone[0][0], excerpt=excerpt_of(gone[0][1]))
