"""`file:PATH`: a file that holds the value and nothing else.

Opened once and judged by that descriptor, so that it cannot be exchanged between the look and the
read. A file that others can write, or that the agent can, is no place for a secret.
"""

import os
import stat

from ringfence.credential.secret import MAX_LENGTH, Secret, SourceError
from ringfence.credential.sources import expand, inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def fetch(path: str, environment: "Mapping[str, str]", workspace: str) -> Secret:
    """Return the file's content without its final line break."""
    source = f"file:{path}"
    place = expand(path, _home(environment))
    if not os.path.isabs(place):
        raise SourceError(f"`{source}`: not an absolute path", hint="write file:/… or file:~/…")
    if inside(place, workspace):
        raise SourceError(
            f"`{source}`: the file lies inside the workspace, where the agent works",
            hint="move it out, for example to ~/.config/ringfence/",
        )
    return Secret(_text(_read(source, place), source), source)


def stamp(path: str, environment: "Mapping[str, str]") -> tuple[int, ...]:
    """Return what changes when the file does, to know when to read again."""
    try:
        state = os.stat(expand(path, _home(environment)))
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
    return text.removesuffix("\n").removesuffix("\r")


def _home(environment: "Mapping[str, str]") -> str:
    if environment.get("HOME"):
        return environment["HOME"]
    from pwd import getpwuid

    return getpwuid(os.getuid()).pw_dir
