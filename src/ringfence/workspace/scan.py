"""One walk over a tree for the names that masks and protections are about.

Costs at most 1 ms per 1,000 entries; for an unchanged tree one stat per folder, because each
folder's findings are kept in the cache under its change time, which nobody can set back (as an agent
can the modification time). A folder changed in the last two seconds is not kept: another change in
the same clock tick would not show.

Symbolic links are reported when their name matches and never followed.
"""

import errno
import marshal
import os
import stat
import sys
import time

from ringfence.subject import file_matches
from ringfence.value import Struct
from ringfence.workspace.tables import (
    BARE_REPOSITORY,
    CREDENTIAL_PREFIXES,
    CREDENTIAL_SUFFIXES,
    DEPENDENCY_FOLDERS,
    PROTECTED_IN_GIT,
    TELLING_NAMES,
    credential_rule,
    git_rule,
    is_protected,
    is_telling_parent,
)

# The rule of what `git worktree add` makes: not to be written once it is there, but harmless when new
WORKTREE = "worktree"
# The rule of a folder that cannot be looked into: no permission, or a path that is too long
UNSEEN = "cannot be looked into"
_SETTLED = 2.0  # seconds
_FORMAT = 3


class Found(Struct):
    """One matching path, relative to the root of the walk."""

    path: str
    rule: str
    directory: bool


class Findings(Struct):
    """What a walk found."""

    hidden: tuple[Found, ...]
    protected: tuple[Found, ...]
    entries: int  # how many were looked at in this walk; fewer when the cache served


class Names(Struct):
    """What to look for beside the built-in tables: globs relative to the root."""

    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()


# of one folder: subfolders to visit, hidden and protected entries, number of entries
_Folder = tuple[list[str], list[tuple[str, str, bool]], list[tuple[str, str, bool]], int]


def walk(root: str, names: Names, cache_file: str = "", *, protections: bool = True) -> Findings:
    """Walk `root`; keep and use findings in `cache_file` when one is given.

    Without `protections` installed dependencies are not entered, unless the policy masks something there.
    """
    enter_dependencies = protections or bool(names.mask)
    known = _load(cache_file, root, names)
    fresh: dict[str, tuple[int, int, _Folder]] = {}
    hidden: list[Found] = []
    protected: list[Found] = []
    looked_at = 0
    settled_before = int((time.time() - _SETTLED) * 1e9)
    changed = False
    todo = [("", False)]
    while todo:
        folder, dependency = todo.pop()
        where = f"{root}/{folder}" if folder else root
        try:
            status = os.stat(where, follow_symlinks=False)
            kept = known.get(folder)
            if kept is not None and kept[0] == status.st_ctime_ns and kept[1] == status.st_ino:
                result = kept[2]
                fresh[folder] = kept
            else:
                result = _look(where, folder, names, dependency=dependency)
                looked_at += result[3]
                changed = True
                if status.st_ctime_ns < settled_before:
                    fresh[folder] = (status.st_ctime_ns, status.st_ino, result)
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone since its parent was read
        except OSError as error:
            if not folder:
                raise
            hidden.append(_unseen(folder, error))
            continue
        hidden += [Found(path=path, rule=rule, directory=is_folder) for path, rule, is_folder in result[1]]
        protected += [Found(path=path, rule=rule, directory=is_folder) for path, rule, is_folder in result[2]]
        for path in result[0]:
            inner = dependency or path[path.rfind("/") + 1 :] in DEPENDENCY_FOLDERS
            if enter_dependencies or not inner:
                todo.append((path, inner))
    if cache_file and changed:
        _store(cache_file, root, names, fresh)
    return Findings(
        hidden=tuple(sorted(hidden, key=_by_path)),
        protected=tuple(sorted(protected, key=_by_path)),
        entries=looked_at,
    )


def _unseen(folder: str, error: OSError) -> Found:
    """Return what to hide instead of a folder that cannot be looked into.

    The agent may own it and could open it up. Of one whose path is too long its parent is hidden.
    """
    path = os.path.dirname(folder) if error.errno == errno.ENAMETOOLONG else folder
    return Found(path=path, rule=UNSEEN, directory=True)


def _by_path(found: Found) -> str:
    return found.path


def _look(where: str, folder: str, names: Names, *, dependency: bool) -> _Folder:
    parent = os.path.basename(folder)
    visit: list[str] = []
    hidden: list[tuple[str, str, bool]] = []
    protected: list[tuple[str, str, bool]] = []
    prefix = f"{folder}/" if folder else ""
    count = 0
    seen: set[str] = set()  # of the telling names
    names_tell = not (names.mask or names.protect or is_telling_parent(parent))
    telling, starts, ends = TELLING_NAMES, CREDENTIAL_PREFIXES, CREDENTIAL_SUFFIXES
    with os.scandir(where) as entries:
        for entry in entries:
            count += 1
            name = entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if names_tell and not (name in telling or name.endswith(ends) or name.startswith(starts)):
                if is_folder:
                    visit.append(prefix + name)
                continue
            seen.add(name)
            path = prefix + name
            rule = "" if dependency else credential_rule(name, parent)
            rule = _judge(path, rule, names, is_folder=is_folder)
            kept = not dependency and is_protected(name, parent)
            kept = kept or bool(_any(names.protect, path, is_folder=is_folder))
            if kept:
                protected.append((path, name, is_folder))
            if rule:
                hidden.append((path, rule, is_folder))  # beside `kept`: .envrc holds keys, and direnv runs it
            elif kept:
                if is_folder and parent != ".git":
                    visit.append(path)  # credentials inside protected folders stay hidden
            elif is_folder and not (parent.endswith(".git") and name == "objects"):
                visit.append(path)
    if parent != ".git" and "HEAD" in seen:
        own = _is_worktree(where, folder)
        rule = WORKTREE if own else git_rule(folder)
        protected += [(prefix + name, rule, name == "hooks") for name in _obeyed_by_git(seen)]
    return visit, hidden, protected, count


def _obeyed_by_git(seen: set[str]) -> list[str]:
    """Return what git would obey in a folder that is a repository, but not the project's own `.git`.

    A folder with HEAD is one when objects and refs lie there too, whatever its name, or where a
    `commondir` points to: then the configuration is read from there, out of our sight.
    """
    found = []
    if seen >= BARE_REPOSITORY:
        found = [name for name in PROTECTED_IN_GIT if name in seen]
    elif "config.worktree" in seen:
        found = ["config.worktree"]
    if "commondir" in seen and "commondir" not in found:
        found.append("commondir")
    return found


def _is_worktree(where: str, folder: str) -> bool:
    """Tell whether `commondir` is what `git worktree add` writes: the way back to the repository itself."""
    if os.path.basename(os.path.dirname(folder)) != "worktrees":
        return False
    try:
        fd = os.open(f"{where}/commondir", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.read(fd, 64).rstrip(b"\n") == b"../.."
    finally:
        os.close(fd)


def _judge(path: str, built_in: str, names: Names, *, is_folder: bool) -> str:
    if built_in and _any(names.unmask, path, is_folder=is_folder):
        built_in = ""
    return built_in or _any(names.mask, path, is_folder=is_folder)


def _any(globs: tuple[str, ...], path: str, *, is_folder: bool) -> str:
    for glob in globs:
        # `private/` means the folder itself too: with it hidden, what appears in it later is hidden as well
        pattern = glob[:-1] if is_folder and len(glob) > 1 and glob[-1] == "/" else glob
        if file_matches(pattern, path):
            return glob
    return ""


def _key(root: str, names: Names) -> tuple[object, ...]:
    return (_FORMAT, sys.version_info[:2], root, names.mask, names.unmask, names.protect)


def _load(cache_file: str, root: str, names: Names) -> dict[str, tuple[int, int, _Folder]]:
    if not cache_file:
        return {}
    try:
        fd = os.open(cache_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            return {}
        try:
            key, folders = marshal.loads(file.read())  # noqa: S302 - our own file, owner and mode checked above
        except (ValueError, EOFError, TypeError):
            return {}
    return folders if key == _key(root, names) else {}


def _store(cache_file: str, root: str, names: Names, folders: dict[str, tuple[int, int, _Folder]]) -> None:
    temporary = f"{cache_file}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(cache_file), 0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(marshal.dumps((_key(root, names), folders)))  # type: ignore[arg-type] # plain values only
        os.rename(temporary, cache_file)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else
