"""Test files that are deleted, and test functions that are gone."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import FILE, Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, excerpt_of
from ringfence.workspace.risks.testing import is_test

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "tests deleted"
GROUP = WEAKENS
DOC = "Test files that are deleted, and test functions that are gone."

_TEST = re.compile(
    rb"^\s*(?:async\s{1,9})?def\s{1,9}test_\w+|^\s*(?:it|test|describe|specify|context"
    rb"|scenario)\s{0,9}(?:\.\w+)*\s{0,9}\(\s{0,9}[\"'`]"
    rb"|^\s*func\s{1,9}(?:Test|Benchmark|Fuzz|Example)\w*\s{0,9}\(|#\[(?:tokio::|async_std::)?test\b"
    rb"|^\s*@(?:Test|ParameterizedTest)\b"
    rb"|^\s*(?:TEST|TEST_F|TEST_P|TEST_CASE)\s{0,9}\(|\[(?:Fact|Theory|Test|TestMethod|TestCase)\b"
    rb"|^\s*public\s{1,9}function\s{1,9}test"
    rb"|^\s*(?:it|test|specify)\s{1,9}[\"'].*\bdo\b|^\s*func\s{1,9}test\w*\s{0,9}\(|^\s*@pytest\.mark\.parametrize",
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    old = change.source or change.path
    if change.before is None or change.before.kind != FILE or not is_test(old):
        return
    if change.after is None or change.after.kind != FILE:
        yield Finding(path=change.path, risk=NAME, why="a test file is deleted")
    elif change.source and not is_test(change.path):
        yield Finding(path=change.path, risk=NAME, why="a test file is renamed to what no runner looks for")
    else:
        gone = [(number, line) for number, line in content.removed() if _TEST.search(line)]
        new = 0 if not gone else sum(1 for _, line in content.added() if _TEST.search(line))
        if len(gone) > new:
            number, line = gone[0]
            why = f"{len(gone) - new} fewer tests than before"
            yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
