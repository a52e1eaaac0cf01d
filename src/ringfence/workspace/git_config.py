"""A repository's configuration without the credentials that lie in it.

Tokens stand in remote URLs (`https://TOKEN@host/…`) and in `http.extraHeader`, where CI's checkout
step leaves them. The agent needs the file, so it sees a copy without them; git pushes through the
gate, which puts the credential in. Written line by line: nothing in the file is obeyed here.
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
