"""A repository inside the project: git and editors obey the configuration in it."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "nested repository"
GROUP = RUNS
DOC = "A repository inside the project: git and editors obey the configuration in it."

_BARE = frozenset({"head", "config", "packed-refs"})


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    if change.after is None:
        return
    place = place_of(change)
    if ".git" in place.parts[1:]:
        yield Finding(path=change.path, risk=NAME, why="is part of a repository inside the project")
    elif place.parts[0] == ".git" and (len(place.parts) == 1 and change.before is None):
        yield Finding(path=change.path, risk=NAME, why="makes the project a repository, or moves where it is")
    elif ".git" not in place.parts and place.name in _BARE and _is_bare(place.name, content.after or b""):
        yield Finding(path=change.path, risk=NAME, why="makes its folder a bare repository that git obeys")


def _is_bare(name: str, data: bytes) -> bool:
    """Say whether a file looks like part of a bare repository."""
    start = data[:4096].lstrip()
    if name == "head":
        return start.startswith(b"ref:") or (len(start.strip()) in {40, 64} and start.strip().isalnum())
    return b"[core]" in data[:65536].lower() if name == "config" else start.startswith(b"# pack-refs")
