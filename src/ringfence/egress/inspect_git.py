"""Reads what a push asks for: the list of commands before the pack (gitprotocol-pack(5), "reference update").

Theory. A pkt-line is four hexadecimal digits of length, themselves counted, and the payload; `0000` is the
flush that ends the list. A line is `old new ref`, the first with the client's capabilities behind a NUL;
`shallow` lines may stand before. An all-zero new id deletes. What a server could take for a command and we
could not, or the other way round, is not read: a signed push (its commands stand inside a certificate),
delimiters, a NUL anywhere else, an odd ref. A push that is compressed as a whole is no push here.

git LFS says what it wants in a JSON object: its `operation`.
"""

import json
import re

from ringfence.verdict.facts import Commands, Lfs, Unread, Update

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINE = re.compile(
    rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (refs/[^\x00-\x20\x7f~^:?*\[\\]+)"
)
_ODD = re.compile(rb"\.\.|//|/\.|[/.]$|@\{|\.lock(?:/|$)")  # git-check-ref-format(1)
_SHALLOW = re.compile(rb"shallow (?:[0-9a-f]{40}|[0-9a-f]{64})")
_NOT_READ = "the push cannot be read: "
_LONGEST = 65520  # a pkt-line, gitprotocol-common(5)


class CommandReader:
    """Takes a push piece by piece until its commands are known."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._updates: list[Update] = []
        self._first = True
        self.found: Commands | Unread | None = None

    def feed(self, data: bytes) -> bool:
        """Take the next piece; returns whether enough is known."""
        self._data += data
        while self.found is None:
            line = self._next()
            if line is None:
                return False
            self._take(line)
        return True

    def finish(self) -> Commands | Unread:
        """Return what the push asks for; a list that has not ended is unreadable."""
        return self.found or _unread("its list of commands does not end")

    def _next(self) -> bytes | None:
        """Return the next line's payload, b"" for the flush, None where it has not arrived."""
        header = self._data[self._at : self._at + 4]
        if len(header) < 4:
            return None
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", header):
            self.found = _unread("it is no list of pkt-lines")
            return b""
        length = int(header, 16)
        if length == 0:
            self.found = Commands(updates=tuple(self._updates))
            return b""
        if not 4 < length <= _LONGEST:
            self.found = _unread("a line of it has no usable length")
            return b""
        if len(self._data) < self._at + length:
            return None
        line = self._data[self._at + 4 : self._at + length]
        self._at += length
        return line

    def _take(self, line: bytes) -> None:
        if self.found is not None:
            return
        if line.startswith(b"push-cert"):
            self.found = _unread("it is a signed push")
            return
        line = line.removesuffix(b"\n")
        if self._first and _SHALLOW.fullmatch(line):
            return
        if self._first:
            line, _, _capabilities = line.partition(b"\0")
            self._first = False
        found = _LINE.fullmatch(line)
        if found is None:
            self.found = _unread("a line of it is no command")
            return
        old, new, ref = found.groups()
        if _ODD.search(ref):
            self.found = _unread("a ref in it has no plain name")
            return
        self._updates.append(Update(action=_action(old, new), ref=ref.decode("utf-8", "surrogateescape")))


def _action(old: bytes, new: bytes) -> str:
    if not new.strip(b"0"):
        return "delete"
    return "update" if old.strip(b"0") else "create"


def _unread(reason: str) -> Unread:
    return Unread(reason=_NOT_READ + reason)


def read_lfs(body: bytes) -> Lfs | Unread:
    """Return what a git LFS batch wants."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return Unread(reason="the git LFS batch cannot be read")
    members = found if isinstance(found, dict) else {}
    named = [name for name in members if name.lower() == "operation"]  # some servers ignore case
    operation = members.get("operation")
    if named != ["operation"] or operation not in ("upload", "download"):
        return Unread(reason="the git LFS batch is neither an upload nor a download")
    return Lfs(operation=operation)


def _once(items: "list[tuple[str, Any]]") -> "dict[str, Any]":
    found = dict(items)
    if len(found) < len(items):
        raise ValueError("a member stands there twice")
    return found
