"""The path of a request: one canonical spelling, and every other reading an upstream could give it.

Theory. `/x/../admin`, `//admin`, `/%61dmin`, `/x%2f..%2fadmin` and `/x;v/../admin` are all `/admin` to
some server. The canonical path has unreserved characters decoded, percent triplets in upper case, dot
segments resolved and empty segments collapsed (RFC 3986 §6.2.2); it is what rules are matched against
*and* what is forwarded. Where a path still holds an encoded delimiter (npm's own client asks for
`/@scope%2fname`, so refusing is no way out) or path parameters, an upstream may decode once more than
we did. Each such reading is kept beside the canonical one: a deny rule holds if it matches any reading,
an allow rule only if it matches all of them. Endless encodings, encoded control characters, backslashes
and malformed triplets are refused.
"""

import re

from ringfence.egress.http1 import MalformedError
from ringfence.value import Struct, build

_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)*/?")
_TRIPLET = re.compile(rb"%([0-9A-Fa-f]{2})?")
_KEEP = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_READINGS = 3  # how many times an upstream might decode


class Path(Struct):
    """A request's path and query."""

    text: str  # canonical, begins with "/"
    readings: tuple[str, ...]  # what an upstream might take it for; the canonical path is the first
    query: str  # with its "?", or ""


def canonical_path(target: bytes) -> Path:
    """Read an origin-form target (`/path?query`)."""
    raw, mark, query = target.partition(b"?")
    if b"#" in target:
        raise MalformedError("a request's target never holds a fragment")
    suffix = (mark + _encode(query)).decode("ascii") if mark else ""
    if raw and _PLAIN.fullmatch(raw):
        text = raw.decode("ascii")
        return build(Path, {"text": text, "readings": (text,), "query": suffix})
    if not raw.startswith(b"/") or b"\\" in raw:
        raise MalformedError("the request's path is malformed")
    canonical = _resolve(_normalise(raw))
    text = canonical.decode("ascii")
    return Path(text=text, readings=_readings(raw, canonical), query=suffix)


def _encode(raw: bytes) -> bytes:
    """Percent-encode bytes beyond ASCII."""
    if raw.isascii():
        return raw
    return b"".join(b"%%%02X" % byte if byte > 0x7F else bytes((byte,)) for byte in raw)


def _normalise(raw: bytes) -> bytes:
    """Decode unreserved triplets, write the others in upper case, encode what has no place in a path."""
    text = _TRIPLET.sub(_triplet, raw)
    return _KEEP.sub(lambda match: b"%%%02X" % match.group()[0], text)


def _triplet(match: re.Match[bytes]) -> bytes:
    if match.group(1) is None:
        raise MalformedError("the request's path holds a malformed percent-encoding")
    byte = int(match.group(1), 16)
    if byte < 0x20 or byte == 0x7F:
        raise MalformedError("the request's path holds an encoded control character")
    return bytes((byte,)) if byte in _UNRESERVED else match.group().upper()


def _resolve(text: bytes) -> bytes:
    """Resolve dot segments and collapse empty ones; above the root there is nothing."""
    kept: list[bytes] = []
    segments = text.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    folder = segments[-1] in {b"", b".", b".."} and kept
    return b"/" + b"/".join(kept) + (b"/" if folder else b"")


def _readings(raw: bytes, canonical: bytes) -> tuple[str, ...]:
    """Return the canonical path and every different reading, decoding until nothing changes."""
    found = {canonical: None}
    text = raw
    for _ in range(_READINGS):
        decoded = _decode(text)
        for reading in (decoded, _without_parameters(decoded)):
            found[_resolve(reading.replace(b"\\", b"/"))] = None
        if decoded == text:
            return tuple(reading.decode("utf-8", "surrogateescape") for reading in found)
        text = decoded
    raise MalformedError("the request's path is encoded over and over")


def _decode(text: bytes) -> bytes:
    """Decode every triplet once; a control character that comes out is refused like one written plainly."""
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes((int(match.group(1), 16),)), text)
    if re.search(rb"[\x00-\x1f\x7f]", decoded):
        raise MalformedError("the request's path holds an encoded control character")
    return decoded


def _without_parameters(text: bytes) -> bytes:
    """Drop `;…` from each segment, as servlet containers do before they resolve dots."""
    return re.sub(rb";[^/]*", b"", text)
