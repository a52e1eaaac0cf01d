"""Other names that ringfence protects where the agent works on the files themselves."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, places, verb
from ringfence.workspace.tables import is_protected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "protected name"
GROUP = RUNS
DOC = "Other names that ringfence protects where the agent works on the files themselves."


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    for place in places(change):
        # The own tables of the risks say more; what only the boundary's table knows is told here.
        if any(
            is_protected(name, parent) for parent, name in zip(("", *place.parts), place.parts, strict=False)
        ):
            yield Finding(path=change.path, risk=NAME, why=f"{verb(change)} what programs on the host obey")
            return
