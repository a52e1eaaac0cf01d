"""A repository's configuration: shown without the credentials in it, and judged when it is new.

Tokens stand in remote URLs (`https://TOKEN@host/…`) and in `http.extraHeader`, where CI's checkout
step leaves them. The agent needs the file, so it sees a copy without them; git pushes through the
gate, which puts the credential in. Written line by line: nothing in the file is obeyed here.

A configuration can also name programs for git to run (`core.fsmonitor`, `core.sshCommand`, filters,
aliases, …). One that is new after a session stays only when each of its lines is of a kind that `git
init` and `git clone` write and that names nothing to run; anything else, or anything not understood, is
no such line.
"""

import os

_LARGEST = 1 << 20  # bytes; a longer one is hidden whole
_WEB = ("http", "https", "ftp", "ftps")


def clean_copy(path: str) -> str | None:
    """Return the text without credentials, or None where the file holds none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        return "# hidden by ringfence: too long to be looked through for credentials\n"
    if b"@" not in raw and b"extraheader" not in raw.lower():
        return None
    text = raw.decode("utf-8", "surrogateescape")
    cleaned = "".join(map(_without_credentials, text.splitlines(keepends=True)))
    return None if cleaned == text else cleaned


def _without_credentials(line: str) -> str:
    key = line.partition("=")[0].strip().lower()
    if key == "extraheader" or key.endswith((".extraheader", "] extraheader")):
        return "# hidden by ringfence: extraHeader\n"
    out, rest = "", line
    while "://" in rest:
        before, _, after = rest.partition("://")
        end = next((at for at, char in enumerate(after) if char in "/\\ \t\"'\r\n?#"), len(after))
        authority = after[:end]
        scheme = _scheme(before)
        user, at, place = authority.rpartition("@")
        if at and (scheme in _WEB or ":" in user):
            authority = place
        out += f"{before}://{authority}"
        rest = after[end:]
    return out + rest


def _scheme(before: str) -> str:
    word = before
    for mark in " \t=\"'":
        word = word.rpartition(mark)[2]
    return word.lower()


# What stands in a fresh clone. `core.worktree`, `core.hooksPath` and all that is not here can redirect git.
_PLAIN = {
    "core": {"repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "symlinks"},
    "remote": {"url", "fetch"},
    "branch": {"remote", "merge"},
    "user": {"name", "email"},
}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
_TRANSPORTS = ("https://", "http://", "ssh://", "git://")


def is_plain(path: str) -> bool:
    """Tell whether a configuration holds only what `git init` and `git clone` write."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(fd, "rb") as file:
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST or not raw.isascii() or b"\\" in raw or b"\r" in raw or b"\0" in raw:
        return False
    section = ""
    for line in raw.decode("ascii").split("\n"):
        text = line.strip()
        if text.startswith("["):
            section = _section(text)
        elif text and not _is_plain_line(section, text):
            return False
        if section not in _PLAIN and text:
            return False
    return True


def _section(text: str) -> str:
    """Return the section's name, or "" for a header that is more than a name and a plain subsection."""
    inner = text[1:-1] if text.endswith("]") else ""
    name, space, rest = inner.partition(" ")
    quoted = len(rest) > 2 and rest[0] == rest[-1] == '"' and not set(rest[1:-1]) - _WORD
    return name if name.isalpha() and name.islower() and (not space or quoted) else ""


def _is_plain_line(section: str, text: str) -> bool:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or key.lower() not in _PLAIN.get(section, ()) or any(mark in value for mark in "\"';#"):
        return False
    if section == "branch":
        return value[:1].isalnum() and not set(value) - _WORD
    return key.lower() != "url" or _is_plain_url(value)


def _is_plain_url(url: str) -> bool:
    """Tell whether git would fetch a URL by a transport of its own, with no program or option in it."""
    if url.startswith(_TRANSPORTS):
        rest = url.partition("://")[2]
        return rest[:1].isalnum() and " " not in rest
    place, colon, path = url.partition(":")  # git@host:owner/name
    named = place.replace("@", "").replace(".", "").replace("-", "").isalnum() and place[:1].isalnum()
    return bool(colon) and named and "::" not in url and not path.startswith("-")


def is_untouched_hooks(path: str) -> bool:
    """Tell whether a folder of hooks holds only git's samples, which nothing runs."""
    try:
        with os.scandir(path) as entries:
            return all(
                entry.name.endswith(".sample") and entry.is_file(follow_symlinks=False) for entry in entries
            )
    except OSError:
        return False
