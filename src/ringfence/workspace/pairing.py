"""What two paths have to do with each other: the same content elsewhere, names that are nearly one.

A rename is a deleted and an added file with equal bytes, nothing less: a likeness is a guess, and a
guess could hide a line. Twins are names that differ, but not on every machine: `README` and `readme`
are one file where case does not count, `é` in one and in two code points where names are normalised.
"""

from ringfence.value import replace
from ringfence.workspace.layers import ADDED, DELETED, FILE, RENAMED, Change

PERHAPS_GONE = "deleted from the workspace since the session began, or moved here inside it and edited"
TWIN = "nearly the name of "
CASE_ONLY = "differs only in case or normal form from the old name: the same file on some machines"


def with_renames(changes: list[Change]) -> list[Change]:
    """Join each deleted and added file of equal content into one change."""
    gone: dict[str, list[Change]] = {}
    for change in changes:
        if (
            change.kind == DELETED
            and change.before is not None
            and _pairs(change.before.digest, change.before.size)
        ):
            gone.setdefault(change.before.digest, []).append(change)
    if not gone:
        return changes
    for candidates in gone.values():
        candidates.sort(key=_path_of)
    taken: set[bytes] = set()
    result: list[Change] = []
    for change in sorted(changes, key=_path_of):
        source = _source(change, gone)
        if source is None:
            result.append(change)
            continue
        taken.add(source.path)
        case = (CASE_ONLY,) if folded(change.path) == folded(source.path) else ()
        own = "" if change.conflict == PERHAPS_GONE else change.conflict  # it was moved: the bytes tell
        result.append(
            replace(
                change, kind=RENAMED, before=source.before, source=source.path,
                conflict=own or source.conflict, notes=(*case, *change.notes, *source.notes),
            )
        )  # fmt: skip
    return [change for change in result if not (change.kind == DELETED and change.path in taken)]


def _pairs(digest: str, size: int) -> bool:
    return bool(digest) and size > 0


def _source(change: Change, gone: dict[str, list[Change]]) -> Change | None:
    """Take the deleted file that an added one was, one of the same name first."""
    after = change.after
    if change.kind != ADDED or after is None or after.kind != FILE:
        return None
    candidates = gone.get(after.digest)
    if not candidates:
        return None
    # Only the nearest few are looked at: ten thousand copies of one file stay linear.
    name = change.path.rpartition(b"/")[2]
    at = next((at for at, one in enumerate(candidates[:16]) if one.path.rpartition(b"/")[2] == name), 0)
    return candidates.pop(at)


def _path_of(change: Change) -> bytes:
    return change.path


def folded(name: bytes) -> bytes:
    """Return the spelling under which a name meets its twins."""
    if name.isascii():
        return name.lower()
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return name
    import unicodedata

    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).casefold()).encode("utf-8")


def twins(added: list[bytes], present: "set[bytes]") -> dict[bytes, bytes]:
    """Return for each added name another present one that some machines take for the same."""
    wanted: dict[bytes, list[bytes]] = {}
    for name in added:
        wanted.setdefault(folded(name), []).append(name)
    found: dict[bytes, bytes] = {}
    for names in wanted.values():
        if len(names) > 1:
            found |= {name: next(other for other in names if other != name) for name in names}
    for other in present:
        for name in wanted.get(folded(other), ()):
            if name != other:
                found.setdefault(name, other)
    return found
