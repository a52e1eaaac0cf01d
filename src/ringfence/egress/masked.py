"""The values that stand in masked files, so that they can be recognised on their way out.

Read once, in the gate's process, when the first request goes out; bounded in number and size. Only what
looks like a secret counts: a long value of a `NAME=value` line, of a JSON or YAML pair, or a line of a PEM
block. Short and plain words would stand in innocent text.
"""

import itertools
import os
import re
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST = 64 * 1024  # bytes read of one file
FILES = 512  # files read
VALUES = 1024  # values kept
SHORTEST = 12  # characters of a value

_PAIR = re.compile(
    rb"""(?m)^\s*(?:export\s+)?["']?[\w.\-:/]{1,200}["']?\s*[=:]\s*["']?([^\s"',;#]{12,4096})"""
)
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----\s+([A-Za-z0-9+/=\s]{40,}?)-----END")
_TOKEN = re.compile(rb"(?<![\w\-])[A-Za-z0-9_\-]{20,4096}(?![\w\-])")


def values(files: "Iterable[str]") -> "Iterator[tuple[str, bytes]]":
    """Yield (file, value) for everything in the files that looks like a secret."""
    seen: set[bytes] = set()
    for path in itertools.islice(_each(files), FILES):
        for value in secrets_in(_read(path)):
            if value not in seen:
                seen.add(value)
                yield path, value
            if len(seen) >= VALUES:
                return


def _each(paths: "Iterable[str]") -> "Iterator[str]":
    """Yield the files among the paths, and those directly in the folders among them."""
    for path in paths:
        try:
            inside = sorted(os.listdir(path)) if stat.S_ISDIR(os.lstat(path).st_mode) else None
        except OSError:
            continue
        yield from [path] if inside is None else [f"{path}/{name}" for name in inside]


def secrets_in(content: bytes) -> "Iterator[bytes]":
    """Yield what in a file's content looks like a secret."""
    for block in _PEM.findall(content):
        yield from (line for line in block.split() if len(line) >= 40)
    for value in (*_PAIR.findall(content), *_TOKEN.findall(content)):
        if looks_secret(value):
            yield value


def looks_secret(value: bytes) -> bool:
    """Say whether a value is long and mixed enough to be recognised without mistaking words for it."""
    if len(value) < SHORTEST or value.startswith((b"$", b"<", b"{", b"http://", b"https://", b"/")):
        return False
    letters = bool(re.search(rb"[A-Za-z]", value))
    digits = bool(re.search(rb"[0-9]", value))
    return len(set(value)) >= 8 and ((letters and digits) or len(set(value)) >= 14)


def _read(path: str) -> bytes:
    """Read the beginning of a file that is a plain file; anything else is empty."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        return os.read(fd, LARGEST)
    except OSError:
        return b""
    finally:
        os.close(fd)
