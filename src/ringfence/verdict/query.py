"""Query strings, read in every way an upstream might read them.

Theory. Keys are parted by `&`, by some servers also by `;`. They are percent-decoded, by some twice; some
cut them at `[`, some ignore case. A rule that allows keys takes the strictest reading: every key that any
server could see has to be named, exactly, and a named key stands once, because which of two counts is
anybody's guess. A rule that denies a key takes the widest.
"""

from urllib.parse import unquote_to_bytes

from ringfence.policy.conditions import NO_QUERY
from ringfence.subject import text_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_HEX = frozenset("0123456789abcdefABCDEF")
_DECODINGS = 3


def refused(names: tuple[str, ...], query: str) -> str:
    """Say what in a query (with its `?`) is beyond the keys that may occur, or return ""."""
    text = query[1:]
    if not text:
        return ""
    if names == (NO_QUERY,):
        return "the rule takes no query"
    found = _keys(text.replace(";", "&"))
    for raw in (*found, *(_keys(text) if ";" in text else ())):
        if malformed(raw):
            return f"query key {_shown(raw)} is encoded wrongly"
        if not _named(names, decoded(raw)):
            return f"query key {_shown(decoded(raw))} is not in the rule"
    seen: set[str] = set()
    for key in map(decoded, found):
        if key in seen:
            return f"query key {_shown(key)} occurs twice"
        seen.add(key)
    return ""


def touched(names: tuple[str, ...], query: str) -> str:
    """Name a key of a query that any server could take for one of these, or return ""."""
    text = query[1:]
    if names == (NO_QUERY,):
        return "" if text else "there is no query"
    for raw in {*_keys(text), *_keys(text.replace(";", "&"))}:
        if malformed(raw) or any(_named(names, reading, fold=True) for reading in _readings(raw)):
            return f"query key {_shown(decoded(raw))}"
    return ""


def pairs(query: str) -> list[tuple[str, str]]:
    """Return keys and values of a query (with its `?`), parted by `&` and decoded once."""
    parts = (piece.partition("=") for piece in query[1:].split("&") if piece)
    return [(decoded(key), decoded(value)) for key, _, value in parts]


def decoded(raw: str) -> str:
    """Decode once, `+` as a blank; what is no UTF-8 keeps its bytes."""
    return unquote_to_bytes(raw.replace("+", " ")).decode("utf-8", "surrogateescape")


def _keys(text: str) -> list[str]:
    return [piece.partition("=")[0] for piece in text.split("&") if piece]


def _named(names: "Iterable[str]", key: str, *, fold: bool = False) -> bool:
    if fold:
        return any(text_matches(name.lower(), key.lower()) for name in names)
    return any(text_matches(name, key) for name in names)


def _readings(raw: str) -> "Iterable[str]":
    """Yield what servers make of a key: decoded again and again, cut at `[`, blanks and dots as `_`."""
    key = raw
    for _ in range(_DECODINGS):
        key = decoded(key)
        for text in (key, key.strip(), key.partition("[")[0]):
            yield text
            yield text.strip().replace(".", "_").replace(" ", "_")


def malformed(raw: str) -> bool:
    """Say whether a percent sign is not followed by two digits."""
    rest = raw.split("%")[1:]
    return any(len(part) < 2 or not _HEX.issuperset(part[:2]) for part in rest)


def _shown(key: str) -> str:
    text = "".join(char if char.isprintable() and char != '"' else "?" for char in key[:60])
    return f'"{text}"'
