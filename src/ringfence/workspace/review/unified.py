"""One change as a unified diff, the way git writes it: what is plain text can be given to patch readers.

Nothing of the project has a say in it: no attribute, filter or ignore rule is read. What git has no
words for (folders, devices, exact modes, digests) stands in lines that begin with `#`, which patch
readers skip. A line that had to be escaped is no longer what the file holds: a `#` line says so.
"""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import DIRECTORY, FILE, LINK, OTHER, RENAMED, TYPE, Change, Entry
from ringfence.workspace.review import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD, META, HUNK, ADD, REMOVE, SAME, NOTE = "head", "meta", "hunk", "add", "remove", "same", "note"
_SIGNS = {"+": ADD, "-": REMOVE, " ": SAME}
_NO_END = "\\ No newline at end of file"
# More control bytes than this share of a text, or more that are no UTF-8, and it is shown as binary
_BINARY_SHARE = 0.1
_CONTROLS = bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])
_FOREIGN = re.compile("[\udc80-\udcff]")
_FORMATS = (
    (b"\x7fELF", "ELF program"), (b"MZ", "Windows program"), (b"\xcf\xfa\xed\xfe", "macOS program"),
    (b"\xca\xfe\xba\xbe", "Java class or macOS program"), (b"PK\x03\x04", "zip archive"),
    (b"\x1f\x8b", "gzip"),
    (b"\x89PNG", "PNG image"), (b"\xff\xd8\xff", "JPEG image"), (b"GIF8", "GIF image"), (b"%PDF", "PDF"),
    (b"\0asm", "WebAssembly"), (b"SQLite format 3", "SQLite database"), (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"), (b"!<arch>", "library archive"),
)  # fmt: skip

Line = tuple[str, str]  # what it is, and its text without an end


def lines(change: Change, content: Content) -> "Iterator[Line]":
    """Yield the lines of one change."""
    yield from _remarks(change)
    before, after = change.before, change.after
    if change.kind == TYPE and before is not None and after is not None:
        # As git does: the old is deleted, then the new is made.
        yield from _side_alone(change.path, before, content.before, "deleted", content)
        yield from _side_alone(change.path, after, content.after, "new", content)
    elif before is None and after is not None:
        yield from _side_alone(change.path, after, content.after, "new", content)
    elif after is None and before is not None:
        yield from _side_alone(change.path, before, content.before, "deleted", content)
    elif before is not None and after is not None:
        yield from _both(change, before, after, content)


def is_binary(data: bytes | None) -> bool:
    """Say whether lines would tell nothing: many control bytes. One NUL alone hides no text."""
    if not data:
        return False
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if controls > len(data) * _BINARY_SHARE:
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        odd = len(_FOREIGN.findall(data.decode("utf-8", "surrogateescape")))
        return odd + controls > len(data) * _BINARY_SHARE
    return False


def format_of(data: bytes | None) -> str:
    """Name what a binary file is, by how it starts."""
    return next((name for start, name in _FORMATS if data and data.startswith(start)), "binary")


def summed_up(content: Content) -> str:
    """Return why a change's lines are not shown, or nothing."""
    if content.large:
        return "too large to show"
    if content.is_plain:
        return ""
    for side in (content.after, content.before):
        if is_binary(side):
            return format_of(side)
    return ""


def _remarks(change: Change) -> "Iterator[Line]":
    name = text.shown_path(change.path)
    if change.conflict:
        yield NOTE, f"# {name}: CONFLICT: {change.conflict}"
    for note in change.notes:
        yield NOTE, f"# {name}: {note}"
    if change.after is not None and change.after.attributes:
        names = ", ".join(
            text.shown_path(one.encode("utf-8", "surrogateescape")) for one in change.after.attributes
        )
        yield NOTE, f"# {name}: extended attributes, which are not applied: {names}"


def _side_alone(
    path: bytes, entry: Entry, data: bytes | None, word: str, content: Content
) -> "Iterator[Line]":
    name = text.shown_path(path)
    if entry.kind in {DIRECTORY, OTHER}:
        what = "folder" if entry.kind == DIRECTORY else text.shown(entry.target)[0]
        yield NOTE, f"# {name}: {word} {what}, mode {entry.mode:04o}"
        return
    yield from _named(path, path)
    yield META, f"{word} file mode {_git_mode(entry)}"
    if entry.kind == FILE and not _is_usual(entry.mode):
        yield NOTE, f"# {name}: {word} with mode {entry.mode:04o}"
    old, new = (None, data) if word == "new" else (data, None)
    one = Content(old, new, large=data is None and content.large)
    yield from _body(path, path, one, (entry, None) if new is None else (None, entry))


def _both(change: Change, before: Entry, after: Entry, content: Content) -> "Iterator[Line]":
    name = text.shown_path(change.path)
    if after.kind in {DIRECTORY, OTHER}:
        yield NOTE, f"# {name}: {_what(before)} -> {_what(after)}"
        return
    source = change.source or change.path
    same_bytes = (before.digest, before.target) == (after.digest, after.target)
    moded = _git_mode(before) != _git_mode(after)
    if same_bytes and not moded and change.kind != RENAMED:
        yield NOTE, f"# {name}: mode {before.mode:04o} -> {after.mode:04o}"
        return
    yield from _named(source, change.path)
    if moded:
        yield META, f"old mode {_git_mode(before)}"
        yield META, f"new mode {_git_mode(after)}"
    if before.mode != after.mode and not {before.mode, after.mode} <= {0o644, 0o755}:
        yield NOTE, f"# {name}: mode {before.mode:04o} -> {after.mode:04o}"
    if change.kind == RENAMED:
        yield META, "similarity index 100%"
        yield META, f"rename from {text.shown_path(source)}"
        yield META, f"rename to {name}"
        return
    if not same_bytes:
        yield from _body(source, change.path, content, (before, after))


def _what(entry: Entry) -> str:
    what = "folder" if entry.kind == DIRECTORY else text.shown(entry.target)[0] or entry.kind
    return f"{what}, mode {entry.mode:04o}"


def _named(old: bytes, new: bytes) -> "Iterator[Line]":
    yield HEAD, f"diff --git {_prefixed(b'a/', old)} {_prefixed(b'b/', new)}"


def _prefixed(prefix: bytes, path: bytes) -> str:
    return text.shown_path(prefix + path)


def _body(
    old: bytes, new: bytes, content: Content, sides: "tuple[Entry | None, Entry | None]"
) -> "Iterator[Line]":
    """Yield the hunks, or sizes and digests where lines would not tell or cannot be had."""
    reason = "" if LINK in {side.kind for side in sides if side is not None} else summed_up(content)
    missing = any(
        side is not None and data is None
        for side, data in zip(sides, (content.before, content.after), strict=True)
    )
    names = [
        "/dev/null" if side is None else _prefixed(prefix, path)
        for side, prefix, path in zip(sides, (b"a/", b"b/"), (old, new), strict=True)
    ]
    if reason or missing:
        yield META, f"Binary files {names[0]} and {names[1]} differ"
        for side, word in zip(sides, ("before", "after"), strict=True):
            if side is not None:
                digest = side.digest or "not read"
                yield NOTE, f"# {word}: {side.size} bytes, SHA-256 {digest}"
        yield NOTE, f"# lines not shown: {reason or 'not read'}"
        return
    hunks = content.hunks()
    if not hunks:
        return
    tabs = ["\t" if " " in name and name[0] != '"' else "" for name in names]
    yield META, f"--- {names[0]}{tabs[0]}"
    yield META, f"+++ {names[1]}{tabs[1]}"
    ends = not content.is_plain and _crlf_ends(content)
    plain = content.is_plain or (ends and all(map(_is_plain_crlf, (content.before, content.after))))
    for hunk in hunks:
        yield HUNK, hunk.header
        for sign, line in hunk.lines:
            if content.is_plain and line[-1:] == b"\n":  # most lines of most reviews
                yield _SIGNS[sign], sign + line[:-1].decode("ascii")
                continue
            yield from _line(sign, line, plain=plain, ends=ends)


def _line(sign: str, line: bytes, *, plain: bool, ends: bool) -> "Iterator[Line]":
    body = line.removesuffix(b"\n")
    tail = ""
    if ends and body.endswith(b"\r") and body is not line:
        body, tail = body[:-1], "\r"
    if plain:
        yield _SIGNS[sign], sign + body.decode("ascii") + tail
    else:
        shown, kinds = text.shown(body)
        yield _SIGNS[sign], sign + shown + tail
        if kinds:
            yield NOTE, f"# the line above is shown escaped: {', '.join(sorted(kinds))}"
    if not line.endswith(b"\n"):
        yield META, _NO_END


def _crlf_ends(content: Content) -> bool:
    """Say whether every line on both sides ends in CR LF: then they are no news."""
    sides = [side for side in (content.before, content.after) if side]
    return bool(sides) and all(b"\n" in side and side.count(b"\r\n") == side.count(b"\n") for side in sides)


def _is_plain_crlf(side: bytes | None) -> bool:
    return text.is_plain((side or b"").replace(b"\r\n", b"\n"))


def _git_mode(entry: Entry) -> str:
    if entry.kind == LINK:
        return "120000"
    return "100755" if entry.mode & 0o100 else "100644"


def _is_usual(mode: int) -> bool:
    return mode in {0o644, 0o755, 0o664, 0o775, 0o600, 0o700, 0o640, 0o750}
