"""S12: files that the host later runs or obeys, written in every spelling.

They are the user's own, so nothing is written: a file opened for writing is proof enough, a rename
that worked is undone at once. What must hold is the object, not its name: the path itself, its
parents moved away, links to it, and the calls that exchange two names are all tried.
"""

import ctypes
import os

from ringfence.verify.prelude import NO_CHANGE, Tally, can_open, syscall

_AT_FDCWD, _AT_EMPTY_PATH, _AT_SYMLINK_FOLLOW = -100, 0x1000, 0x400
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_O_PATH = 0o10000000
_NOT = NO_CHANGE | {22, 39}  # EINVAL: a parent into its child; ENOTEMPTY
_MOST = 40  # files; each is tried in a dozen ways


def attack(facts):
    """Try every way on every protected path of the plan."""
    tally = Tally()
    if facts.get("copied"):
        tally.expect("the project", True, "a copy: what is written lands there, O17 looks at the real one")
    paths = []
    for path in facts.get("protected", []):
        if os.path.lexists(path):
            paths.append(path)
        else:
            tally.expect(path, True, "not there")
    for path in paths[:_MOST]:
        if os.path.isdir(path):
            _folder(tally, path)
        else:
            _file(tally, path)
        _names(tally, path)
    if len(paths) > _MOST:
        tally.skip(f"{len(paths) - _MOST} more", f"the first {_MOST} stand for all")
    return tally.finding()


def _file(tally, path):
    parent, name = os.path.split(path)
    spellings = (
        path, f"/proc/self/root{path}", f"/proc/1/root{path}", f"/proc/thread-self/root{path}",
        f"{parent}//./{name}",
        f"{parent}/../{os.path.basename(parent)}/{name}", _by_descriptor(parent, name),
    )  # fmt: skip
    for spelling in spellings:
        tally.refuse(f"write {spelling}", lambda s=spelling: can_open(s, os.O_WRONLY), NO_CHANGE)
    tally.refuse(f"append {path}", lambda: can_open(path, os.O_WRONLY | os.O_APPEND), NO_CHANGE)
    tally.refuse(
        f"truncate {path} to its length", lambda: os.truncate(path, os.stat(path).st_size), NO_CHANGE
    )
    tally.refuse(f"chmod {path}", lambda: os.chmod(path, os.stat(path).st_mode & 0o7777), NO_CHANGE)
    tally.refuse(f"touch {path}", lambda: _touch(path), NO_CHANGE)
    tally.refuse(f"hard link to {path}", lambda: _by_link(path, by_descriptor=False), NO_CHANGE)
    tally.refuse(f"linkat by descriptor to {path}", lambda: _by_link(path, by_descriptor=True), NO_CHANGE)
    tally.refuse(f"symbolic link to {path}", lambda: _by_symlink(path), NO_CHANGE)
    tally.refuse(f"reopen {path}", lambda: _reopen(path), NO_CHANGE)


def _folder(tally, path):
    inner = os.path.join(path, ".ringfence-verify")
    for spelling in (
        inner,
        f"/proc/self/root{inner}",
        f"{path}/../{os.path.basename(path)}/.ringfence-verify",
    ):
        tally.refuse(f"new file {spelling}", lambda s=spelling: _create(s), NO_CHANGE)
    tally.refuse(f"new folder in {path}", lambda: _make_folder(inner), NO_CHANGE)
    tally.refuse(f"chmod {path}", lambda: os.chmod(path, os.stat(path).st_mode & 0o7777), NO_CHANGE)
    tally.refuse(f"link into {path}", lambda: _link_into(path), NO_CHANGE)
    for folder, _, files in os.walk(path):
        for name in files[:3]:
            file = os.path.join(folder, name)
            tally.refuse(f"write {file}", lambda file=file: can_open(file, os.O_WRONLY), NO_CHANGE)
        break


def _names(tally, path):
    """Move the thing, or any folder above it, out of the way: a new one could take its name."""
    tally.refuse(f"rename {path}", lambda: _renamed(path), _NOT)
    tally.refuse(f"exchange {path}", lambda: _exchanged(path), _NOT)
    folder = os.path.dirname(path)
    while folder.startswith(os.getcwd() + "/"):
        tally.refuse(f"rename {folder}", lambda folder=folder: _renamed(folder), _NOT)
        tally.refuse(f"exchange {folder}", lambda folder=folder: _exchanged(folder), _NOT)
        folder = os.path.dirname(folder)


def _by_descriptor(parent, name):
    fd = os.open(parent, _O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{fd}/{name}"


def _touch(path):
    status = os.stat(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _by_link(path, *, by_descriptor):
    """Write through a second name of the same file."""
    other = os.path.join(_beside(path), ".ringfence-verify-link")
    if by_descriptor:
        fd = os.open(path, _O_PATH)
        syscall(
            "linkat", _AT_FDCWD, f"/proc/self/fd/{fd}".encode(), _AT_FDCWD, other.encode(), _AT_SYMLINK_FOLLOW
        )
    else:
        os.link(path, other)
    try:
        can_open(other, os.O_WRONLY)
    finally:
        os.unlink(other)


def _by_symlink(path):
    other = os.path.join(_beside(path), ".ringfence-verify-link")
    os.symlink(path, other)
    try:
        can_open(other, os.O_WRONLY)
    finally:
        os.unlink(other)


def _beside(path):
    """Return a folder of the same mount if it can be: a link to elsewhere would only say EXDEV."""
    return os.path.dirname(path) if os.access(os.path.dirname(path), os.W_OK) else os.getcwd()


def _reopen(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        can_open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    finally:
        os.close(fd)


def _create(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(path)


def _make_folder(path):
    os.mkdir(path)
    os.rmdir(path)


def _link_into(path):
    target = os.path.join(path, ".ringfence-verify-link")
    os.symlink("/tmp", target)
    os.unlink(target)


def _renamed(path):
    other = f"{path}.ringfence-verify"
    _rename(path, other, _RENAME_NOREPLACE)
    _rename(other, path, _RENAME_NOREPLACE)


def _exchanged(path):
    """Put something of ours under the name, in one step, and take it away again."""
    other = os.path.join(os.getcwd(), ".ringfence-verify-exchange")
    if os.path.isdir(path):
        os.mkdir(other)
    else:
        os.close(os.open(other, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        _rename(path, other, _RENAME_EXCHANGE)
        _rename(path, other, _RENAME_EXCHANGE)
    finally:
        os.rmdir(other) if os.path.isdir(path) else os.unlink(other)


def _rename(source, target, flags):
    syscall(
        "renameat2",
        _AT_FDCWD,
        ctypes.c_char_p(os.fsencode(source)),
        _AT_FDCWD,
        ctypes.c_char_p(os.fsencode(target)),
        flags,
    )
