"""Direct mode's end: what appeared where the host would later run or obey it is set aside.

A protected path that existed at the start is bound read-only inside. One that did not exist cannot
be bound without leaving a stub file in the project, so it is looked for when the session is over
and moved out of the project, into the session's folder, and reported.
"""

import marshal
import os

from ringfence.value import Struct
from ringfence.workspace import git_config
from ringfence.workspace.scan import UNSEEN, WORKTREE, Findings, Found, Names, walk


class Identity(Struct):
    """Which file stood at a protected path when the session began."""

    path: str
    device: int
    inode: int


class Moved(Struct):
    """One path that was set aside."""

    path: str
    to: str  # "" when it could not be moved; then `problem` says why
    problem: str = ""
    what: str = "which programs on this machine obey"

    @property
    def text(self) -> str:
        """What the operator is told."""
        what = f"{self.path.encode('unicode_escape').decode()} appeared, {self.what}"
        if self.problem:
            return f"ringfence: warning: {what}, and could not be moved: {self.problem}"
        return f"ringfence: {what}: moved to {self.to}"


def identities(root: str, findings: Findings) -> tuple[Identity, ...]:
    """Note which files stand at the protected paths, and which folders cannot be looked into."""
    out = []
    for found in _judged(findings):
        try:
            status = os.lstat(f"{root}/{found.path}")
        except OSError:
            continue
        out.append(Identity(path=found.path, device=status.st_dev, inode=status.st_ino))
    return tuple(out)


def set_aside(
    root: str, before: tuple[Identity, ...], names: Names, folder: str, cache_file: str = ""
) -> tuple[Moved, ...]:
    """Move every protected path that was not there `before` into `folder`.

    A folder that cannot be looked into goes whole: what lies in it could be reached by name.
    """
    known = {(one.path, one.device, one.inode) for one in before}
    moved: list[Moved] = []
    for found in _judged(walk(root, names, cache_file)):
        if found.rule == WORKTREE and found.path.endswith("/commondir"):
            continue
        try:
            status = os.lstat(f"{root}/{found.path}")
        except OSError:
            continue
        if (found.path, status.st_dev, status.st_ino) not in known and not _is_harmless(
            f"{root}/{found.path}"
        ):
            moved.append(_move(root, found, folder, len(moved)))
    return tuple(moved)


def _judged(findings: Findings) -> tuple[Found, ...]:
    unseen = tuple(one for one in findings.hidden if one.rule == UNSEEN)
    return (*findings.protected, *unseen)


def _is_harmless(path: str) -> bool:
    """Tell whether a new path is what `git init` or `git clone` leaves: nothing that git would run."""
    name = os.path.basename(path)
    if name == "hooks":
        return git_config.is_untouched_hooks(path)
    return name == "config" and git_config.is_plain(path)


def remember(file: str, root: str, before: tuple[Identity, ...], names: Names) -> None:
    """Write down what `set_aside` needs, for the case that the launcher does not live to call it."""
    known = [(one.path, one.device, one.inode) for one in before]
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as out:
        out.write(marshal.dumps((root, names.protect, known)))


def recall(file: str, folder: str) -> tuple[Moved, ...]:
    """Set aside what a session left whose launcher was killed."""
    try:
        with open(file, "rb") as kept:
            root, protect, known = marshal.loads(kept.read())  # noqa: S302 - our own file in a 0700 folder
    except (OSError, ValueError, EOFError, TypeError):
        return ()
    before = tuple(Identity(path=path, device=device, inode=inode) for path, device, inode in known)
    moved = set_aside(root, before, Names(protect=protect), folder) if os.path.isdir(root) else ()
    os.unlink(file)
    return moved


def _move(root: str, found: Found, folder: str, number: int) -> Moved:
    path, name = found.path, os.path.basename(found.path)
    what = f"which {UNSEEN}" if found.rule == UNSEEN else Moved.what
    target = f"{folder}/{number:03d}-{name}"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        parent = _open_parent(root, path)
        try:
            if found.rule == UNSEEN:
                _open_up(parent, name)
            _rename_or_copy(parent, name, target)
        finally:
            os.close(parent)
    except OSError as error:
        return Moved(path=path, to="", problem=error.strerror or str(error), what=what)
    return Moved(path=path, to=target, what=what)


def _open_up(parent: int, name: str) -> None:
    """Make a folder movable: into another parent it moves only when it can be written itself."""
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{fd}", 0o700)
    finally:
        os.close(fd)


def _open_parent(root: str, path: str) -> int:
    """Open the folder of `path` without following a link in any component."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split("/")[:-1]:
        try:
            inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _rename_or_copy(parent: int, name: str, target: str) -> None:
    try:
        os.rename(name, target, src_dir_fd=parent)
    except OSError as error:
        import errno

        if error.errno != errno.EXDEV:
            raise
        _copy_and_remove(parent, name, target)


def _copy_and_remove(parent: int, name: str, target: str) -> None:
    import shutil

    source = f"/proc/self/fd/{parent}/{name}"
    if os.path.isdir(source) and not os.path.islink(source):
        shutil.copytree(source, target, symlinks=True)
        shutil.rmtree(name, dir_fd=parent)
        return
    shutil.copy2(source, target, follow_symlinks=False)
    os.unlink(name, dir_fd=parent)
