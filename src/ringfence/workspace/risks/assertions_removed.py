"""Tests with fewer assertions than before."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, Patterns, excerpt_of
from ringfence.workspace.risks.testing import is_test

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "assertions removed"
GROUP = WEAKENS
DOC = "Tests with fewer assertions than before."

_ASSERT = re.compile(
    rb"^\s*assert\b|\bself\.assert\w+\s{0,9}\(|\bself\.fail\w*\s{0,9}\(|\bpytest\.raises\b|\bexpect\s{0,9}\("
    rb"|\.should\b|\bassert(?:\.\w+)?\s{0,9}\("
    rb"|\bassert_\w+!?\s{0,9}[( ]|\bassert\w*!\s{0,9}\(|\brequire\.\w+\s{0,9}\(t\b|\bt\.(?:Error|Fatal"
    rb"|Fail)\w*\s{0,9}\(|\bAssert\.\w+\s{0,9}\("
    rb"|\b(?:EXPECT|ASSERT)_\w+\s{0,9}\(|\bXCTAssert\w*\s{0,9}\(|\$this->assert\w+\s{0,9}\("
    rb"|\bassertThat\s{0,9}\("
    rb"|\bREQUIRE\s{0,9}\(|\bCHECK\s{0,9}\("
    rb"|\bassert[A-Z]\w*\s{0,9}\(",
)
_ALWAYS = Patterns(
    (b"assert", b"expect"),
    re.compile(
        rb"\bassert\s{1,9}(?:True|1|not False)\b|assertTrue\s{0,9}\(\s{0,9}True"
        rb"|expect\s{0,9}\(\s{0,9}(?:true|1)\s{0,9}\)"
        rb"|assert!?\(\s{0,9}true\s{0,9}\)"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    if change.after is None or content.after is None or not is_test(change.path):
        return
    empty = _ALWAYS.found(content)
    for number, line in empty:
        yield Finding(
            path=change.path,
            risk=NAME,
            why="an assertion that always holds",
            line=number,
            excerpt=excerpt_of(line),
        )
    gone = [(number, line) for number, line in content.removed() if _ASSERT.search(line)]
    if not gone:
        return
    new = sum(1 for _, line in content.added() if _ASSERT.search(line)) - len(empty)
    if len(gone) > new:
        number, line = gone[0]
        why = f"{len(gone) - max(new, 0)} fewer assertions than before"
        yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
