"""Says whether two git indexes hold the same, whatever they remember of files' times and inodes.

Any git command, `git status` too, writes the index anew to remember that nothing changed. Such a rewrite
is no change of the project, and would otherwise be one in every session, and a conflict after every `git
status` of the operator's. The format is git's own (gitformat-index(5), versions 2 to 4). What cannot be read
for certain is not the same.
"""

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

INDEX = b".git/index"  # the project's own
LARGEST = 64 << 20  # bytes of an index that is read
_ENTRY = struct.Struct(">10I")  # times, device, inode, mode, owner, size: 40 bytes
_MODE = 6
_EXTENDED = 0x4000
_OPTIONAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # an extension that begins so may be ignored by git itself
_HASHES = {20: "sha1", 32: "sha256"}


def is_index(path: bytes) -> bool:
    """Say whether a path is an index: of a repository, a worktree of it or a submodule."""
    above, _, name = path.rpartition(b"/")
    return name == b"index" and b".git" in above.split(b"/")


def same(one: bytes, other: bytes) -> bool:
    """Say whether two indexes name the same contents at the same paths."""
    for size in _HASHES:
        try:
            if _facts(one, size) == _facts(other, size):
                return True
        except (ValueError, IndexError, struct.error):
            continue
    return False


def digest_below(root: str) -> str:
    """Return the digest of what a project's own index holds; "" where there is none that can be read."""
    from hashlib import sha256

    data = _read_below(root)
    for size in _HASHES:
        try:
            return sha256(repr(_facts(data, size)).encode()).hexdigest()
        except (ValueError, IndexError, struct.error):
            continue
    return ""


def same_below(one: str, other: str) -> bool:
    """Say whether the indexes below two folders hold the same."""
    return same(_read_below(one), _read_below(other))


def _read_below(root: str) -> bytes:
    from ringfence.workspace import beneath

    try:
        folder = beneath.open_root(root)
    except OSError:
        return b""
    try:
        fd = beneath.open_file(folder, INDEX)
    except OSError:
        return b""
    finally:
        os.close(folder)
    with open(fd, "rb") as file:
        return file.read(LARGEST + 1)


def _facts(data: bytes, size: int) -> "list[tuple[int, bytes, int, bytes]]":
    """Return (mode, object, flags, path) of every entry; raises ValueError on what is no index."""
    import hashlib

    made = hashlib.new(_HASHES[size], data[:-size], usedforsecurity=False).digest()
    if len(data) > LARGEST or (data[-size:] not in {made, bytes(size)}):
        raise ValueError("no such index")
    mark, version, count = struct.unpack_from(">4sII", data)
    if mark != b"DIRC" or version not in {2, 3, 4}:
        raise ValueError("no such index")
    facts, at = _entries(data, version, count, size)
    if any(name[:1] not in _OPTIONAL for name in _extensions(data, at, size)):
        raise ValueError("an extension that changes what entries mean")
    return facts


def _entries(
    data: bytes, version: int, count: int, size: int
) -> "tuple[list[tuple[int, bytes, int, bytes]], int]":
    facts = []
    at, path = 12, b""
    for _ in range(count):
        begin = at
        mode = _ENTRY.unpack_from(data, at)[_MODE]
        named = data[at + 40 : at + 40 + size]
        at += 40 + size
        flags = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if flags & _EXTENDED:
            flags |= int.from_bytes(data[at : at + 2], "big") << 16
            at += 2
        if version == 4:
            cut, at = _number(data, at)
            end = data.index(b"\0", at)
            path = path[: len(path) - cut] + data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            path = data[at:end]
            at = begin + (end - begin + 8) // 8 * 8  # padded with one to eight NULs
        facts.append((mode, named, flags & ~0xFFF, path))
    return facts, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number as pack offsets are written: seven bits a byte, each further one counting from one."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1


def _extensions(data: bytes, at: int, size: int) -> "Iterator[bytes]":
    while at < len(data) - size:
        yield data[at : at + 4]
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    if at != len(data) - size:
        raise ValueError("an extension goes beyond the end")
