"""Names that read as something else, or that other machines take for another file."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.pairing import CASE_ONLY, TWIN
from ringfence.workspace.review.text import shown
from ringfence.workspace.risks.finding import RUNS, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "misleading name"
GROUP = RUNS
DOC = "Names that read as something else, or that other machines take for another file."

_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    if change.after is None:
        return
    for why in _reasons(change):
        yield Finding(path=change.path, risk=NAME, why=why)


def _reasons(change: Change) -> "Iterator[str]":
    path = change.path
    kinds = shown(path)[1]
    if kinds:
        yield f"its name holds: {', '.join(sorted(kinds))}"
    for note in change.notes:
        if note.startswith(TWIN) or note == CASE_ONLY:
            yield note
    # Folders above are changes of their own where they are new.
    name = path.rpartition(b"/")[2]
    if any(char in b"\t\n" for char in name):
        yield "its name holds a tab or a newline"
    if b"\\" in name or b":" in name:
        yield "its name holds a backslash or a colon: a folder or a stream on Windows"
    if name.endswith((b".", b" ")) or name.startswith(b" "):
        yield "its name starts or ends with a blank, or ends with a dot"
    if name.startswith(b"-"):
        yield "its name starts with `-`: commands take it for an option"
    if name.split(b".")[0].decode("ascii", "replace").lower() in _RESERVED:
        yield "its name is a device on Windows"
    if name.lower().startswith(b"git~"):
        yield "its name is the short form of .git on Windows"
