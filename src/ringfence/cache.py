"""Parsed files, kept: reading TOML costs 8 ms of imports that an unchanged file need not pay again.

An entry is named by the SHA-256 of everything it depends on, the file's bytes included, so there is
nothing to go stale. What is read back is trusted like our own memory; therefore an entry counts only if
it is a regular file of ours that nobody else can write, in a folder of which the same holds. A cache
that cannot be read or written is no cache, and never an error.
"""

import marshal
import os
import stat
import sys

from ringfence.canonical import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST = 1 << 20


def usable(cache_dir: str, workspace: str) -> str:
    """Return the cache's folder, or "" where it lies in the workspace: an agent could have filled it."""
    return "" if inside(cache_dir, workspace) else cache_dir


def inside(path: str, folder: str) -> bool:
    """Say whether a path lies in a folder, by the names given or by what they lead to."""
    pairs = ((path, folder), (os.path.realpath(path), os.path.realpath(folder)))
    return any(f"{one}/".startswith(other.rstrip("/") + "/") for one, other in pairs)


def key(*parts: bytes) -> str:
    """Return the name of an entry that depends on `parts`, and on this interpreter."""
    about = f"{sys.implementation.cache_tag}-{sys.hexversion:x}-{marshal.version}".encode()
    return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in (about, *parts)))


def stamp(*modules: str) -> bytes:
    """Return what tells one state of some source files from another: part of the key of what they made."""
    try:
        marks = [os.stat(path) for path in modules]
    except OSError:
        return b""
    return ",".join(f"{mark.st_mtime_ns}.{mark.st_size}" for mark in marks).encode()


def load(cache_dir: str, name: str) -> "Any":
    """Return what was kept under a name, or None."""
    if not cache_dir:
        return None
    try:
        folder = os.open(cache_dir + "/parsed", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return marshal.loads(_read(folder, name)) if _ours(folder) else None  # noqa: S302 - only what we wrote
    except (OSError, ValueError, EOFError, TypeError):
        return None
    finally:
        os.close(folder)


def store(cache_dir: str, name: str, value: "Any") -> None:
    """Keep plain data under a name; do nothing where that is impossible."""
    if not cache_dir:
        return
    folder = cache_dir + "/parsed"
    mine = f"{folder}/.{name}.{os.getpid()}"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        data = marshal.dumps(value)
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError):
        return
    try:
        with open(descriptor, "wb", buffering=0) as file:
            file.write(data)
        os.rename(mine, f"{folder}/{name}")  # another process may be writing the same
    except OSError:
        _remove(mine)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _read(folder: int, name: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=folder)
    try:
        if not _ours(descriptor):
            raise OSError("not ours")
        return os.read(descriptor, LARGEST)
    finally:
        os.close(descriptor)


def _ours(descriptor: int) -> bool:
    facts = os.fstat(descriptor)
    return facts.st_uid == os.geteuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
