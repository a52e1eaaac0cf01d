"""Files that hold keys, as a scan in the background found them (`detection.py`): what the launcher reads.

The launcher does not look into files: that costs seconds, and a start may take milliseconds. It reads
what the last scan left. A file is still the same by inode, change time (which nobody can set back) and
size; one that held a key and has changed since stays hidden until it was looked into again. Never the value is kept: only where it stands, so that the gate, which
watches that no such value leaves, can read it from the file itself.
"""

import marshal
import os
import stat

from ringfence.canonical import sha256
from ringfence.subject import file_matches
from ringfence.value import Struct
from ringfence.workspace.scan import Found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Stamp = tuple[int, int, int]
    Places = list[tuple[str, int, int, int]]

_FORMAT = 1
LARGEST = 256 * 1024  # bytes of a file that is looked into
MOST_HITS = 2000  # files that are kept as hits
_LARGEST_CACHE = 64 << 20


class Place(Struct):
    """Where a key stands in a file."""

    rule: str
    line: int
    start: int  # in bytes
    length: int


class Hit(Struct):
    """A file that holds keys, as it was when it was looked into."""

    path: str  # in the workspace
    stamp: tuple[int, int, int]
    places: tuple[Place, ...]


def file_of(cache_dir: str, workspace: str) -> str:
    """Return where it is kept what was found in a workspace; "" where nothing can be."""
    key = sha256(workspace.encode("utf-8", "surrogateescape"))[:24]
    return f"{cache_dir}/keys/{key}" if cache_dir else ""


def stamp(status: os.stat_result) -> "Stamp":
    """Return what changes with a file: inode, change time, size."""
    return status.st_ino, status.st_ctime_ns, status.st_size


def load(file: str, root: str) -> tuple[Hit, ...]:
    """Return what the last scan of a workspace found."""
    return as_hits(read(file, root))


def as_hits(kept: "dict[str, tuple[Stamp, Places]]") -> tuple[Hit, ...]:
    """Return what is kept as values."""
    return tuple(
        [
            Hit(
                path=path,
                stamp=(mark[0], mark[1], mark[2]),
                places=tuple(
                    [Place(rule=one[0], line=one[1], start=one[2], length=one[3]) for one in places]
                ),
            )
            for path, (mark, places) in sorted(kept.items())
        ]
    )


def read(file: str, root: str) -> "dict[str, tuple[Stamp, Places]]":
    """Return what is kept in one of the scan's files; nothing where it is not ours, or of something else."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    with open(fd, "rb") as opened:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            return {}
        try:
            key, kept = marshal.loads(opened.read(_LARGEST_CACHE))  # noqa: S302 - ours: owner and mode checked
        except (ValueError, EOFError, TypeError):
            return {}
    return dict(kept) if key == (_FORMAT, root) else {}


def write(file: str, root: str, kept: "dict[str, tuple[Stamp, Places]]") -> None:
    """Keep something for `read`; its folder is there."""
    temporary = f"{file}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as opened:
        opened.write(marshal.dumps(((_FORMAT, root), kept)))
    os.rename(temporary, file)


def present(root: str, hits: tuple[Hit, ...], unmask: tuple[str, ...] = ()) -> tuple[Hit, ...]:
    """Return the hits whose files are still the same, but for those that the policy gives up."""
    return tuple([hit for hit in hits if _is_same(root, hit) and not is_given_up(hit.path, unmask)])


def is_given_up(path: str, unmask: tuple[str, ...]) -> bool:
    """Tell whether the policy says that a file need not be hidden."""
    return any(file_matches(glob, path) for glob in unmask)


def _is_same(root: str, hit: Hit) -> bool:
    try:
        status = os.lstat(f"{root}/{hit.path}")
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and stamp(status) == hit.stamp


def found(root: str, file: str, unmask: tuple[str, ...]) -> tuple[Found, ...]:
    """Return what the plan hides: files that hold keys, or did before they changed."""
    out = []
    for hit in load(file, root):
        if is_given_up(hit.path, unmask) or not _is_file(f"{root}/{hit.path}"):
            continue
        rule = rule_of(hit) if _is_same(root, hit) else f"held a key ({hit.places[0].rule}) before it changed"
        out.append(Found(path=hit.path, rule=rule, directory=False))
    return tuple(out)


def _is_file(path: str) -> bool:
    """Tell whether a file stands there, with no link on the way: a mask covers the file itself."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode) and os.path.realpath(path) == path
    except OSError:
        return False


def rule_of(hit: Hit) -> str:
    """Return why a file is hidden."""
    return f"holds a key ({hit.places[0].rule})"


def values(file: str, root: str, unmask: tuple[str, ...]) -> "Iterator[tuple[str, bytes]]":
    """Yield (path, value) for every key found, read from the files themselves."""
    for hit in present(root, load(file, root), unmask):
        path = f"{root}/{hit.path}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            content = os.read(fd, LARGEST) if stamp(os.fstat(fd)) == hit.stamp else b""
        finally:
            os.close(fd)
        for place in hit.places:
            value = content[place.start : place.start + place.length]
            if value:
                yield path, value
