"""Files that became executable, and programs in machine code."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import FILE, Change
from ringfence.workspace.risks.finding import RUNS, Finding, excerpt_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "new executable"
GROUP = RUNS
DOC = "Files that became executable, and programs in machine code."

_PROGRAMS = (
    b"\x7fELF",
    b"MZ",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"!<arch>",
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    before, after = change.before, change.after
    if after is None or after.kind != FILE:
        return
    was = before is not None and before.kind == FILE and before.mode & 0o111
    if after.mode & 0o111 and not was:
        yield Finding(path=change.path, risk=NAME, why=f"is executable now (mode {after.mode:04o})")
    if content.after and content.after.startswith(_PROGRAMS) and content.before != content.after:
        yield Finding(
            path=change.path, risk=NAME, why="is a program in machine code: its lines cannot be reviewed"
        )
    elif (
        change.before is None and content.after and content.after.startswith(b"#!") and not after.mode & 0o111
    ):
        line = content.after[:200].split(b"\n")[0]
        yield Finding(path=change.path, risk=NAME, why="is a script", line=1, excerpt=excerpt_of(line))
