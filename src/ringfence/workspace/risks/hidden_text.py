"""New lines that show something else than they hold (Trojan Source, CVE-2021-42574)."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.review.text import (
    BIDI,
    CONTROL,
    INVISIBLE,
    LOOK_ALIKE,
    RETURN,
    TAG,
    TERMINAL,
    shown,
)
from ringfence.workspace.review.unified import is_binary
from ringfence.workspace.risks.finding import MOST_A_FILE, RUNS, Finding, excerpt_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "hidden text"
GROUP = RUNS
DOC = "New lines that show something else than they hold (Trojan Source, CVE-2021-42574)."

_TOLD = frozenset({TERMINAL, CONTROL, RETURN, BIDI, INVISIBLE, TAG, LOOK_ALIKE})


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    after = content.after
    if after is None or content.is_plain or is_binary(after):
        return
    every_line = after.count(b"\r\n") == after.count(b"\n")
    hits = 0
    for number, line in content.added():
        kinds = (
            shown(line.removesuffix(b"\n").removesuffix(b"\r") if every_line else line.removesuffix(b"\n"))[1]
            & _TOLD
        )
        if not kinds:
            continue
        hits += 1
        if hits <= MOST_A_FILE:
            why = f"a line that holds: {', '.join(sorted(kinds))}"
            yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
    if hits > MOST_A_FILE:
        yield Finding(path=change.path, risk=NAME, why=f"{hits - MOST_A_FILE} more such lines")
