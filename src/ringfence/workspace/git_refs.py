"""Where a repository's parts lie, which commit it is at, and a new branch in it: read and written by us.

Nothing of its configuration is obeyed but the two facts without which its files cannot be read: which
hash names objects and how references are stored.
"""

import errno
import os

from ringfence.errors import HostError, UsageError
from ringfence.value import Struct
from ringfence.workspace import beneath
from ringfence.workspace.steps import show

_HEX = frozenset("0123456789abcdef")
_BAD = frozenset(" ~^:?*[\\\x7f") | frozenset(map(chr, range(32)))
_DEEPEST = 5  # references that point at references


class Repository(Struct):
    """The folders of a repository."""

    own: str  # with HEAD: of this worktree
    common: str  # with objects and branches
    algorithm: str  # "sha1" or "sha256"


def find(workspace: str) -> Repository:
    """Return the repository of a workspace. Raises HostError where there is none that can be read."""
    place = f"{workspace}/.git"
    is_folder = os.path.isdir(place) and not os.path.islink(place)
    own = place if is_folder else _pointed_at(workspace, place)
    common = _line(f"{own}/commondir")
    folder = os.path.realpath(os.path.join(own, common)) if common else own
    if not os.path.isdir(f"{folder}/objects"):
        raise HostError(
            f"{place} is no repository that a commit can be made in", hint="apply without --commit"
        )
    return Repository(own=own, common=folder, algorithm=_algorithm(f"{folder}/config"))


def _pointed_at(workspace: str, place: str) -> str:
    """Return the folder of a linked worktree or a submodule."""
    word, _, path = _line(place).partition(" ")
    own = os.path.realpath(os.path.join(workspace, path)) if word == "gitdir:" and path else ""
    if not own or not os.path.isfile(f"{own}/HEAD"):
        raise HostError(f"{workspace} is not the top of a git repository", hint="apply without --commit")
    if workspace not in {_back(f"{own}/gitdir", own), _worktree(own)}:
        raise HostError(
            f"{place} names the repository {own}, which does not know this folder as its own",
            hint="`git worktree repair` mends a worktree that was moved",
        )
    return own


def _back(file: str, own: str) -> str:
    """Return the folder that a linked worktree's repository has for it."""
    named = _line(file)
    return os.path.realpath(os.path.join(own, os.path.dirname(named))) if named else ""


def _worktree(own: str) -> str:
    """Return the folder that a submodule's repository has for it."""
    named = _settings(f"{own}/config", "core").get("worktree", "")
    return os.path.realpath(os.path.join(own, named)) if named else ""


def _line(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno == errno.ELOOP:
            return ""
        raise
    with open(fd, "rb") as file:
        return os.fsdecode(file.read(1 << 16)).partition("\n")[0].rstrip()


def _algorithm(config: str) -> str:
    """Return which hash names objects; refuse storage that is not files."""
    found = {key: value.lower() for key, value in _settings(config, "extensions").items()}
    if found.get("refstorage", "files") != "files":
        raise HostError("the repository keeps its branches in a table, which is not known here",
                        hint="apply without --commit, and commit with git")  # fmt: skip
    algorithm = found.get("objectformat", "sha1")
    if algorithm not in {"sha1", "sha256"}:
        raise HostError(f"the repository names objects by {algorithm}, which is not known here")
    return algorithm


def _settings(config: str, wanted: str) -> dict[str, str]:
    """Return one section of a repository's configuration; files that it includes are not read."""
    section, found = "", {}
    try:
        with open(config, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError:
        return {}
    for raw in lines:
        line = raw.strip()
        if line.startswith("["):
            section = line[1:].partition("]")[0].strip().lower()
        elif section == wanted:
            key, _, value = line.partition("=")
            found[key.strip().lower()] = value.strip().strip('"')
    return found


# --- where it stands -----------------------------------------------------------------------------


def head(repository: Repository) -> bytes:
    """Return the name of the commit that is checked out; b"" before the first one."""
    text = _line(f"{repository.own}/HEAD")
    for _ in range(_DEEPEST):
        if not text.startswith("ref: "):
            return _named(text)
        name = text[5:].strip()
        if not is_branch(name.removeprefix("refs/heads/")):
            raise HostError(f"HEAD names {show(os.fsencode(name))}, which is no branch")
        text = _line(f"{repository.common}/{name}") or packed(repository).get(name, "")
        if not text:
            return b""
    raise HostError("HEAD names branches that name each other")


def _named(text: str) -> bytes:
    if len(text) not in {40, 64} or not _HEX.issuperset(text):
        raise HostError(f"{show(os.fsencode(text[:80]))} is no name of a commit")
    return bytes.fromhex(text)


def packed(repository: Repository) -> dict[str, str]:
    """Return the references that are kept in one file."""
    try:
        with open(f"{repository.common}/packed-refs", "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return {}
    rows = (os.fsdecode(line).partition(" ") for line in lines if line[:1] not in {b"#", b"^", b""})
    return {name: value for value, _, name in rows}


def is_branch(name: str) -> bool:
    """Tell whether git would take this for a branch's name (git-check-ref-format)."""
    parts = name.split("/")
    return (
        not any(part in {"", "@"} or part[0] == "." or part.endswith((".lock", ".")) for part in parts)
        and ".." not in name
        and "@{" not in name
        and not _BAD.intersection(name)
        and name[0] != "-"
        and name != "HEAD"
    )


# --- a new branch --------------------------------------------------------------------------------


def check_new(repository: Repository, branch: str) -> None:
    """Refuse a branch that cannot be made: no name for one, or there is one in the way."""
    if not is_branch(branch):
        raise UsageError(f"{branch!r} is no name for a branch", hint="--commit NAME, such as agent/fix")
    name = f"refs/heads/{branch}"
    there = packed(repository)
    parts = branch.split("/")
    above = {"refs/heads/" + "/".join(parts[:count]) for count in range(1, len(parts))}
    taken = name in there or any(one in above or one.startswith(name + "/") for one in there)
    loose = any(os.path.isfile(f"{repository.common}/{one}") for one in above)
    if taken or loose or os.path.lexists(f"{repository.common}/{name}"):
        raise UsageError(f"there is a branch {branch} already, or one in its way", hint="name another")


def create(repository: Repository, branch: str, commit: bytes) -> None:
    """Make a branch that is at a commit; one that appeared meanwhile is never moved."""
    root = beneath.open_real_root(repository.common)
    try:
        folder = os.fsencode(f"refs/heads/{branch}").rpartition(b"/")[0]
        _make_folders(root, folder)
        parent = beneath.open_folder(root, folder)
        try:
            _write(root, parent, os.fsencode(branch.rpartition("/")[2]), commit)
        finally:
            os.close(parent)
    finally:
        os.close(root)


def _make_folders(root: int, path: bytes) -> None:
    parts = path.split(b"/")
    for count in range(1, len(parts) + 1):
        one = b"/".join(parts[:count])
        if beneath.exists(root, one):
            continue
        parent, name = beneath.open_parent(root, one)
        try:
            os.mkdir(name, 0o777, dir_fd=parent)
            _give(root, parent, name)
        finally:
            os.close(parent)


def _write(root: int, parent: int, name: bytes, commit: bytes) -> None:
    """Write as git does: a lock file first, which then takes the name."""
    lock = name + b".lock"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(lock, flags, 0o666, dir_fd=parent)
    except FileExistsError:
        raise HostError(f"something else is making the branch {show(name)} at this moment") from None
    try:
        with open(fd, "wb") as file:
            file.write(commit.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _give(root, parent, lock)
        beneath.move(parent, lock, parent, name)
        os.fsync(parent)
    except FileExistsError:
        os.unlink(lock, dir_fd=parent)
        raise UsageError(f"there is a branch {show(name)} already", hint="name another") from None
    except BaseException:
        os.unlink(lock, dir_fd=parent)
        raise


def _give(root: int, parent: int, name: bytes) -> None:
    if os.geteuid() == 0:
        owner = os.fstat(root)
        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=parent, follow_symlinks=False)
