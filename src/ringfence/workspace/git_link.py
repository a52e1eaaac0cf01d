"""A project whose `.git` is a file: a linked worktree, a submodule, a repository kept elsewhere.

Git inside needs the folder that the file names, which lies outside the project. The file is part of the
project, so what it says is not believed alone: the folder that it names must name this project in turn
(`gitdir` of a linked worktree, `core.worktree` of a submodule), and be its owner's. So a planted file
opens no other folder, and no other repository, to the agent.
"""

import os
import stat

_LARGEST = 1 << 16  # bytes of a file that is read here
_PARTS = ("HEAD", "objects", "refs")


def repository(workspace: str) -> str:
    """Return the folder outside the project that its git needs, or nothing where there is none."""
    text = _read(f"{workspace}/.git")
    if not text.startswith("gitdir:"):
        return ""
    named = os.path.join(workspace, text.removeprefix("gitdir:").strip())
    folder = os.path.realpath(named)
    if f"{folder}/".startswith(workspace + "/") or folder != os.path.normpath(named):
        return ""
    found = _of_worktree(folder, workspace) if _read(f"{folder}/commondir") else _own(folder, workspace)
    return found if found and _is_repository(found, workspace) else ""


def _of_worktree(folder: str, workspace: str) -> str:
    """Return the repository that a worktree's folder belongs to, where it names the project."""
    parent, common = os.path.split(os.path.dirname(folder))
    back = _read(f"{folder}/gitdir").strip()
    if common != "worktrees" or _read(f"{folder}/commondir").strip() != "../..":
        return ""
    return parent if os.path.join(folder, back) == f"{workspace}/.git" else ""


def _own(folder: str, workspace: str) -> str:
    """Return a repository of its own, where its configuration names the project as its worktree."""
    for line in _read(f"{folder}/config").splitlines():
        key, equals, value = line.partition("=")
        named = os.path.normpath(os.path.join(folder, value.strip().strip('"')))
        if equals and key.strip().lower() == "worktree" and named == workspace:
            return folder
    return ""


def _is_repository(folder: str, workspace: str) -> bool:
    try:
        owner = os.stat(workspace).st_uid
        return all(os.path.lexists(f"{folder}/{name}") for name in _PARTS) and os.stat(folder).st_uid == owner
    except OSError:
        return False


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, _LARGEST).decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)
