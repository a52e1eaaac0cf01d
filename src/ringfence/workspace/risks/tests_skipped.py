"""New lines that skip tests, run only some of them, or expect failure."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, Patterns, new_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "tests skipped"
GROUP = WEAKENS
DOC = "New lines that skip tests, run only some of them, or expect failure."

_WORDS = (
    b"skip", b"fail", b"__test__", b"only", b"todo", b"fixme", b"runif", b"passwithnotests",
    b"incomplete", b"testing.short", b"ignore", b"deselect", b"xit", b"fit", b"fdescribe",
    b"xdescribe", b"xtest", b"xcontext", b"fcontext", b"xspecify", b"disabled", b"pending",
)  # fmt: skip
_SKIP = Patterns(
    _WORDS,
    re.compile(
        rb"@(?:pytest\.mark\.|unittest\.|mark\.)?(?:skip|skipif|skipIf|skipUnless|xfail|expectedFailure)\b"
        rb"|\bpytest\.(?:skip|xfail|importorskip)\s{0,9}\(|\bself\.skipTest\s{0,9}\("
        rb"|\braise\s{1,9}(?:unittest\.)?SkipTest\b"
        rb"|mark\.(?:skip|skipif|xfail)\b|collect_ignore|__test__\s{0,9}=\s{0,9}False|--(?:deselect"
        rb"|ignore(?:-glob)?)\b"
        rb"|\b(?:xit|xdescribe|xtest|xcontext|xspecify|fit|fdescribe|fcontext)\s{0,9}\("
        rb"|\b(?:it|test|describe|context|suite|specify|bench)\s{0,9}\.\s{0,9}(?:skip|only|todo|fails|failing"
        rb"|fixme|skipIf|runIf)\b"
        rb"|\bt\.Skip(?:f|Now)?\s{0,9}\(|\bb\.Skip|testing\.Short\s{0,9}\(\)|#\[ignore|@(?:Ignore"
        rb"|Disabled\w*)\b"
        rb"|\[(?:Ignore|Skip)\b|Skip\s{0,9}=\s{0,9}\"|\bmarkTest(?:Skipped|Incomplete)\b|\bGTEST_SKIP\b"
        rb"|\bDISABLED_\w+"
        rb"|-DskipTests|-Dmaven\.test\.skip|\bXCTSkip|:skip\s{0,9}=>|\bskip:\s{0,9}true|\bpending\s{1,9}[\"']"
        rb"|@tag\s{1,9}:skip"
        rb"|\bthis\.skip\s{0,9}\(|passWithNoTests|--passWithNoTests"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return new_lines(change, content, _SKIP, NAME, "skips or narrows tests")
