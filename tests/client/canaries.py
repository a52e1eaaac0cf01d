"""Secrets that exist only to be looked for, and the search that finds them in any dress.

A canary that got out may have been encoded on the way, more than once. `canary.py` knows the value's
simple encodings; the search here also peels the data: every run that could be base64, base32, hex,
percent encoding or a compressed stream is decoded and searched in turn.
"""

import base64
import binascii
import itertools
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator

from canary import Canary

DEPTH = 3  # encodings on top of each other
RUNS = 4000  # decoded runs looked at in one layer

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{20,}={0,2}")
_BASE32 = re.compile(rb"[A-Za-z2-7]{32,}={0,6}")
_HEX = re.compile(rb"[0-9A-Fa-f]{32,}")


def mint(name: str, prefix: str = "") -> Canary:
    """Return a new canary: `prefix` lets it look like the real thing, such as `sk-ant-`."""
    return Canary(name, f"{prefix}canary-")


def found_in(data: bytes, canaries: Iterable[Canary]) -> list[str]:
    """Return the names of the canaries that `data` gives away."""
    layers = [layer.lower() for layer in _layers(data, DEPTH)]
    return [one.name for one in canaries if one.found_in(data) or _shows(one, layers)]


def _shows(canary: Canary, layers: list[bytes]) -> bool:
    # Host names come in lower case, and values are cut: a long piece is as good as the whole.
    value = canary.value.lower().encode()
    return any(piece in layer for piece in (value[-54:-30], value[-24:]) for layer in layers)


def _layers(data: bytes, depth: int) -> Iterator[bytes]:
    yield data
    joined = re.sub(rb"[\r\n.]", b"", data)
    if joined != data:
        yield joined
    if not depth:
        return
    for decoded in itertools.islice(_decoded(data, joined), RUNS):
        yield from _layers(decoded, depth - 1)


def _decoded(*texts: bytes) -> Iterator[bytes]:
    for data in texts:
        if b"%" in data:
            plain = urllib.parse.unquote_to_bytes(data)
            if plain != data:
                yield plain
        for run in _BASE64.findall(data):
            yield from _base64(run)
        for run in _BASE32.findall(data):
            plain = run.rstrip(b"=").upper()
            yield from _try(base64.b32decode, plain + b"=" * (-len(plain) % 8), 8)
        for run in _HEX.findall(data):
            yield binascii.unhexlify(run[: len(run) // 2 * 2])
        yield from _inflated(data)


def _base64(run: bytes) -> Iterator[bytes]:
    plain = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    for offset in range(4):  # the run may begin in the middle of another word
        rest = plain[offset:]
        yield from _try(base64.b64decode, rest + b"=" * (-len(rest) % 4), 4)


def _try(decode: object, run: bytes, block: int) -> Iterator[bytes]:
    whole = run[: len(run) // block * block]
    if len(whole) < 16:
        return
    try:
        decoded = decode(whole)  # type: ignore[operator]
    except (binascii.Error, ValueError):
        return
    if sum(32 <= byte < 127 for byte in decoded) * 10 >= len(decoded) * 6 or decoded[:1] in b"\x1f\x78":
        yield decoded


def _inflated(data: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", data):
        try:
            yield zlib.decompressobj(47).decompress(data[match.start() :], 1 << 22)
        except zlib.error:
            continue
