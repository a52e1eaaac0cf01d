"""`file:PATH`: a file that holds the value and nothing else.

Opened once and judged by that descriptor, so that it cannot be exchanged between the look and the
read. A file that others can write, or that the agent can, is no place for a secret.
"""

import os
import stat

from ringfence.credential.secret import MAX_LENGTH, SourceError
from ringfence.credential.sources import Access, Reading, expand, inside


def read(path: str, access: Access) -> Reading:
    """Return the file's content without its final line break."""
    source = f"file:{path}"
    return Reading(_bare(content(source, expand(path, access.home), access.workspace)))


def content(source: str, place: str, workspace: str) -> str:
    """Return the text of a file that is fit to hold a secret; `source` names it in errors."""
    if not os.path.isabs(place):
        raise SourceError(f"`{source}`: not an absolute path", hint="write file:/… or file:~/…")
    if inside(place, workspace):
        raise SourceError(
            f"`{source}`: the file lies inside the workspace, where the agent works",
            hint="move it out, for example to ~/.config/ringfence/",
        )
    return _text(_read(source, place), source)


def stamp(place: str) -> tuple[int, ...]:
    """Return what changes when the file does, to know when to read again."""
    try:
        state = os.stat(place)
    except OSError:
        return ()
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


def _read(source: str, place: str) -> bytes:
    try:
        # Not blocking: a FIFO would hold us here before it can be refused.
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise SourceError(
            f"`{source}`: {error.strerror}", hint="create the file, or name another source"
        ) from None
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise SourceError(f"`{source}`: not a regular file", hint="name a file that holds only the value")
        if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise SourceError(f"`{source}`: others can write this file", hint=f"chmod 600 {place}")
        if state.st_size > MAX_LENGTH + 2:
            raise SourceError(
                f"`{source}`: larger than {MAX_LENGTH} bytes", hint="the file holds only the value"
            )
        return os.read(fd, MAX_LENGTH + 2)
    finally:
        os.close(fd)


def _text(data: bytes, source: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # Raised outside the handler's chain: the exception holds the bytes.
        text = ""
    if data and not text:
        raise SourceError(f"`{source}`: not text", hint="the file holds only the value, as plain text")
    return text


def _bare(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
