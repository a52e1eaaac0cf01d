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
        rb"|\bpytest\.(?:skip|xfail|importorskip)\s*\(|\bself\.skipTest\s*\("
        rb"|\braise\s+(?:unittest\.)?SkipTest\b"
        rb"|mark\.(?:skip|skipif|xfail)\b|collect_ignore|__test__\s*=\s*False|--(?:deselect"
        rb"|ignore(?:-glob)?)\b"
        rb"|\b(?:xit|xdescribe|xtest|xcontext|xspecify|fit|fdescribe|fcontext)\s*\("
        rb"|\b(?:it|test|describe|context|suite|specify|bench)\s*\.\s*(?:skip|only|todo|fails|failing"
        rb"|fixme|skipIf|runIf)\b"
        rb"|\bt\.Skip(?:f|Now)?\s*\(|\bb\.Skip|testing\.Short\s*\(\)|#\[ignore|@(?:Ignore|Disabled\w*)\b"
        rb"|\[(?:Ignore|Skip)\b|Skip\s*=\s*\"|\bmarkTest(?:Skipped|Incomplete)\b|\bGTEST_SKIP\b"
        rb"|\bDISABLED_\w+"
        rb"|-DskipTests|-Dmaven\.test\.skip|\bXCTSkip|:skip\s*=>|\bskip:\s*true|\bpending\s+[\"']"
        rb"|@tag\s+:skip"
        rb"|\bthis\.skip\s*\(|passWithNoTests|--passWithNoTests"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return new_lines(change, content, _SKIP, NAME, "skips or narrows tests")
