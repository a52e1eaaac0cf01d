"""Names and values in a settings file (dotenv, JSON, YAML, INI, TOML, properties): found, and replaced.

One reading serves two ends, so that they cannot disagree: the gate takes a credential's value from the
real file, and the agent sees a copy in which that value is a placeholder and every other one that looks
secret is `hidden-by-ringfence`. Comments and plain settings stay.

Reading is by line, or by string for JSON; nothing is executed or expanded. What is not understood is
treated as the worst it could mean: hidden where it could be a secret. The launcher makes the copy, so
there is no `re` and no `json` here.
"""

import os
import stat

from ringfence.value import Struct

HIDDEN = "hidden-by-ringfence"
LARGEST = 64 * 1024  # bytes of such a file

# Parts of names whose values are hidden whatever they look like.
_TELLING = (
    "KEY", "TOKEN", "SECRET", "PASS", "PWD", "CREDENTIAL", "PRIVATE", "AUTH", "SALT", "COOKIE", "DSN",
    "WEBHOOK", "SIGNATURE", "PASSPHRASE", "CERT", "SESSION", "JWT", "BEARER", "MNEMONIC",
)  # fmt: skip
# Values that say nothing, whatever they are called.
_PLAIN = frozenset({"", "true", "false", "yes", "no", "on", "off", "null", "none", "~", "0", "1"})
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_SPLIT = "/?&=:@,; \t\"'()[]{}<>|#"
_SHORTEST_KEY = 6  # characters of a credential's value that is hidden wherever it stands
_SHORTEST = 12  # characters of a value that is hidden for its looks


class Pair(Struct):
    """One name with its value, and where that stands in the text (quotes are outside)."""

    name: str
    start: int
    end: int
    quote: str = ""  # the mark around the value
    closed: bool = True  # whether its end is on the same line
    json: bool = False


def pairs(text: str, *, json: bool) -> "tuple[Pair, ...]":
    """Return every pair of a text, in its order."""
    return tuple(_json_pairs(text) if json else [pair for pair, _line in _line_pairs(text) if pair])


def is_json(path: str) -> bool:
    """Tell by its name whether a file is JSON."""
    return path.endswith((".json", ".jsonc", ".json5"))


def copy(text: str, placeholders: dict[str, str], *, json: bool) -> str:
    """Return the text with placeholders for the values named, and no other that looks secret."""
    made = _json_copy(text, placeholders) if json else _line_copy(text, placeholders)
    for pair in pairs(text, json=json):
        value = text[pair.start : pair.end]
        if pair.name in placeholders and len(value) >= _SHORTEST_KEY:
            made = made.replace(value, HIDDEN)  # the same once more, under another name
    return made


def content(workspace: str, path: str) -> tuple[str, str]:
    """Return the text of a file in the workspace, and why it cannot hold a credential; one of them is ""."""
    try:
        fd = _open(workspace, path)
    except OSError as error:
        return "", f"cannot be opened without following links: {error.strerror}"
    try:
        problem = _unfit(os.fstat(fd))
        data = b"" if problem else os.read(fd, LARGEST + 1)
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"
    finally:
        os.close(fd)
    text = data.decode("utf-8", "replace")
    return ("", "not text") if "\ufffd" in text else (text, problem)


def _open(workspace: str, path: str) -> int:
    """Open a file below the workspace, no part of its path a link."""
    *folders, name = path.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    here = os.open(workspace, flags | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, flags | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=here)
    finally:
        os.close(here)


def _unfit(status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_nlink != 1:
        return "the file has other names (hard links), under which it may not be hidden"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others can write this file"
    if status.st_size > LARGEST:
        return f"larger than {LARGEST} bytes"
    return ""


def looks_secret(value: str) -> bool:
    """Tell whether a value, or a part of it, could be a secret for its looks alone."""
    if "://" in value and "@" in value.partition("://")[2].partition("/")[0]:
        return True  # a URL with a user
    for mark in _SPLIT:
        value = value.replace(mark, "\n")
    return any(map(_is_mixed, value.split("\n")))


def _names_secret(name: str) -> bool:
    """Tell whether what stands in the place of a name looks like a key itself."""
    for mark in "_-.":
        name = name.replace(mark, "\n")
    return looks_secret(name)


def _is_mixed(word: str) -> bool:
    if len(word) < _SHORTEST:
        return False
    kinds = len(set(word))
    digits = any(char.isdigit() for char in word)
    letters = any(char.isalpha() for char in word)
    cases = word.lower() != word != word.upper() and "-" not in word and "_" not in word and "." not in word
    return kinds >= 6 and ((digits and letters) or (digits and len(word) >= 16) or (cases and kinds >= 10))


def _hides(name: str, value: str) -> bool:
    if value.strip().lower() in _PLAIN:
        return False
    telling = name.upper().replace("AUTHOR", "")
    return any(part in telling for part in _TELLING) or looks_secret(value)


# --- by line -------------------------------------------------------------------------------------


def _line_pairs(text: str) -> "list[tuple[Pair | None, tuple[int, int]]]":
    """Return each line's pair, or None, with where the line stands (its end without the line break)."""
    out = []
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        out.append((_line_pair(bare, at), (at, at + len(bare))))
        at += len(line)
    return out


def _line_pair(line: str, offset: int) -> Pair | None:
    at = _skip(line, 0)
    if line.startswith("export ", at):
        at = _skip(line, at + 7)
    elif line.startswith("- ", at):
        at = _skip(line, at + 2)
    mark = line[at : at + 1] if line[at : at + 1] in {'"', "'"} else ""
    begin = at = at + len(mark)
    while at < len(line) and line[at] in _NAME:
        at += 1
    name = line[begin:at]
    if not name or (mark and line[at : at + 1] != mark):
        return None
    at = _skip(line, at + len(mark))
    sign = line[at : at + 1]
    if sign not in {"=", ":"} or (sign == ":" and line[at + 1 : at + 2] not in {"", " ", "\t"}):
        return None
    return _value(line, _skip(line, at + 1), name, offset)


def _value(line: str, at: int, name: str, offset: int) -> Pair:
    mark = line[at : at + 1]
    if mark not in {'"', "'"} or not mark:
        end = _bare_end(line, at)
        continued = line[end - 1 : end] == "\\" if end > at else False
        return Pair(name=name, start=offset + at, end=offset + end, closed=not continued)
    if line.startswith(mark * 3, at):
        mark *= 3
    at += len(mark)
    end = at
    while end < len(line) and not line.startswith(mark, end):
        end += 2 if line[end] == "\\" and mark[0] == '"' else 1
    closed = end < len(line)
    return Pair(name=name, start=offset + at, end=offset + min(end, len(line)), quote=mark, closed=closed)


def _bare_end(line: str, at: int) -> int:
    """Return where a value without quotes ends: before a comment that follows a space."""
    end = len(line)
    for mark in (" #", "\t#", " ;"):
        found = line.find(mark, at)
        if found >= 0:
            end = min(end, found)
    return at + len(line[at:end].rstrip())


def _skip(line: str, at: int) -> int:
    while at < len(line) and line[at] in " \t\ufeff":
        at += 1
    return at


def _line_copy(text: str, placeholders: dict[str, str]) -> str:
    out: list[str] = []
    done = 0  # what of the text is in `out`
    until = ""  # the mark that ends a value over several lines
    for pair, (start, end) in _line_pairs(text):
        line = text[start:end]
        out.append(text[done:start])
        done = end
        if until:
            over = until in line if until != "\\" else not line.endswith("\\")
            until = "" if over else until
            out.append(f"# {HIDDEN}" if line.strip() else line)
        elif pair is None:
            out.append(_free_line(line))
        elif _names_secret(pair.name):
            out.append(f"# {HIDDEN}")
            until = "" if pair.closed else (pair.quote or "\\")
        else:
            out.append(text[start : pair.start] + _shown(text, pair, placeholders))
            out.append(_rest(text[pair.end : end]))
            until = "" if pair.closed else (pair.quote or "\\")
    return "".join([*out, text[done:]])


def _shown(text: str, pair: Pair, placeholders: dict[str, str]) -> str:
    value = text[pair.start : pair.end]
    if pair.name in placeholders:
        shown = placeholders[pair.name]
    else:
        shown = HIDDEN if not pair.closed or _hides(pair.name, value) or _inner(value) else value
    return shown + (pair.quote if not pair.closed and len(pair.quote) == 1 else "")


def _inner(value: str) -> bool:
    """Tell whether a value is a map or a list of its own in which a name tells of a secret."""
    return value[:1] in {"{", "["} and any(part in value.upper() for part in _TELLING)


def _rest(rest: str) -> str:
    """Return what follows a value on its line: a closing quote, a comment."""
    if not looks_secret(rest):
        return rest
    mark = rest[:1] if rest[:1] in {'"', "'"} else ""
    return f"{mark} # {HIDDEN}"


def _free_line(line: str) -> str:
    """Return a comment, a section or a line that is not understood, hidden where it could be a secret."""
    commented = line.lstrip().lstrip("#;").strip()
    inner = _line_pair(commented, 0) if commented != line.strip() else None
    if inner is not None:
        hidden = _hides(inner.name, commented[inner.start : inner.end])
        return f"# {inner.name}={HIDDEN}" if hidden or looks_secret(commented) else line
    if not looks_secret(line):
        return line
    return f"# {HIDDEN}"


# --- JSON ----------------------------------------------------------------------------------------


def _json_pairs(text: str) -> list[Pair]:
    out: list[Pair] = []
    name = ""
    at = 0
    while at < len(text):
        char = text[at]
        if char == '"':
            end = _string_end(text, at)
            if _is_name(text, end):
                name = text[at + 1 : end]
            if not _is_name(text, end) or _names_secret(name):
                closed = end < len(text)
                out.append(Pair(name=name, start=at + 1, end=end, quote='"', closed=closed, json=True))
            at = end + 1
        elif char.isalnum() or char in "-+.":
            end = at
            while end < len(text) and text[end] not in ' \t\r\n,]}:"':
                end += 1
            out.append(Pair(name=name, start=at, end=end, json=True))
            at = end
        else:
            at += 1
    return out


def _string_end(text: str, at: int) -> int:
    end = at + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    return min(end, len(text))


def _is_name(text: str, end: int) -> bool:
    at = end + 1
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return text[at : at + 1] == ":"


def _json_copy(text: str, placeholders: dict[str, str]) -> str:
    out: list[str] = []
    done = 0
    for pair in _json_pairs(text):
        value = text[pair.start : pair.end]
        if pair.name in placeholders:
            shown = placeholders[pair.name]
        elif pair.closed and not _hides(pair.name, value):
            continue
        else:
            shown = HIDDEN
        out += [text[done : pair.start], shown if pair.quote else f'"{shown}"']
        done = pair.end
    return "".join([*out, text[done:]])
