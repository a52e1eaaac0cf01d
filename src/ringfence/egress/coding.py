"""Content codings, undone while a body streams by, so that what is inside can be looked at (RFC 9110 §8.4).

A coding that is not known, or several on top of each other, cannot be looked into: `UnknownCodingError`.
A small piece that unfolds into more than a limit is a bomb, and so is refused (THREATS.md T14).
"""

import functools
import zlib

from ringfence.egress import limits
from ringfence.egress.filters import Looking
from ringfence.egress.http1 import Fields, ResponseHead
from ringfence.errors import PeerError
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib finds out which from the first bytes
_PLAIN = frozenset({b"", b"identity"})


class UnknownCodingError(PeerError):
    """A body is in a coding that cannot be undone here."""


class BombError(PeerError):
    """A body unfolds into more than the limit."""


class Inflate:
    """Undoes gzip (also several members) and deflate, with and without the zlib header."""

    def __init__(self, coding: bytes, *, single: bool = False) -> None:
        """With `single`, what follows the first member is none of ours: a file inside something else."""
        self._single = single
        self._object = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._choose = coding == b"deflate"  # some send it without the zlib header
        self._begun = b""

    def feed(self, data: bytes) -> bytes:
        """Return what `data` unfolds into."""
        if self._choose:
            data = self._begun + data
            if len(data) < 2:
                self._begun = data
                return b""
            self._choose = False
            if data[0] & 15 != 8 or int.from_bytes(data[:2], "big") % 31:  # RFC 1950 §2.2
                self._object = zlib.decompressobj(-zlib.MAX_WBITS)
        return self._unfolded(data)

    def _unfolded(self, data: bytes) -> bytes:
        out: list[bytes] = []
        room = limits.DECODED_PIECE
        while data:
            self._begun = b"x"
            if self._object.eof:
                if self._single:
                    break
                self._object = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                piece = self._object.decompress(data, room + 1)
            except zlib.error as error:
                raise PeerError("a compressed body is damaged") from error
            room -= len(piece)
            if room < 0:
                raise BombError("a compressed body unfolds into too much")
            out.append(piece)
            data = self._object.unused_data if self._object.eof else self._object.unconsumed_tail
        return b"".join(out)

    @property
    def over(self) -> bool:
        """Whether the one member that was meant has ended."""
        return self._single and self._object.eof

    def finish(self) -> bytes:
        """Return what is left; a body cut short is an error."""
        if self._begun and not self._object.eof:
            raise PeerError("a compressed body is cut short")
        return b""


class Brotli:
    """Undoes br, where the `brotli` package is installed."""

    def __init__(self, library: "Any") -> None:
        self._library = library
        self._object = library.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Return what `data` unfolds into."""
        self._begun = self._begun or bool(data)
        try:
            piece: bytes = self._object.process(data, output_buffer_limit=limits.DECODED_PIECE)
        except self._library.error as error:
            raise PeerError("a compressed body is damaged") from error
        if not self._object.can_accept_more_data():
            raise BombError("a compressed body unfolds into too much")
        return piece

    def finish(self) -> bytes:
        """Return what is left; a body cut short is an error."""
        if self._begun and not self._object.is_finished():
            raise PeerError("a compressed body is cut short")
        return b""


class Zstandard:
    """Undoes zstd (RFC 8878, also several frames), where the `zstandard` package is installed."""

    _STEP = 1024  # bytes at a time: a frame's block of 128 KiB can stand in a few bytes

    def __init__(self, library: "Any") -> None:
        self._library = library
        # RFC 9659: a window of 8 MiB is what every decoder of HTTP content has to hold, and no more.
        self._maker = library.ZstdDecompressor(max_window_size=8 << 20)
        self._object = self._maker.decompressobj()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Return what `data` unfolds into."""
        out: list[bytes] = []
        room = limits.DECODED_PIECE
        while data:
            if self._object.eof:
                self._object = self._maker.decompressobj()
            self._begun = True
            step, data = data[: self._STEP], data[self._STEP :]
            try:
                piece = self._object.decompress(step)
            except self._library.ZstdError as error:
                raise PeerError("a compressed body is damaged") from error
            data = self._object.unused_data + data if self._object.eof else data
            room -= len(piece)
            if room < 0:
                raise BombError("a compressed body unfolds into too much")
            out.append(piece)
        return b"".join(out)

    def finish(self) -> bytes:
        """Return what is left; a body cut short is an error."""
        if self._begun and not self._object.eof:
            raise PeerError("a compressed body is cut short")
        return b""


def known() -> tuple[bytes, ...]:
    """Return the codings that can be undone here, for an Accept-Encoding of ours."""
    found = [b"gzip", b"deflate"]
    found += [name for name, library in ((b"br", _brotli), (b"zstd", _zstandard)) if library() is not None]
    return tuple(found)


Decoder = Inflate | Brotli | Zstandard


def decoder(coding: bytes) -> Decoder | None:
    """Return what undoes a Content-Encoding; None where there is nothing to undo."""
    name = coding.strip(b" \t").lower()
    if name in _PLAIN:
        return None
    if name in {b"gzip", b"x-gzip", b"deflate"}:
        return Inflate(name)
    if name == b"br" and (brotli := _brotli()) is not None:
        return Brotli(brotli)
    if name == b"zstd" and (zstandard := _zstandard()) is not None:
        return Zstandard(zstandard)
    shown = name[:40].decode("latin-1")
    raise UnknownCodingError(f"a body in the coding {shown!r} cannot be looked into here")


class Decoded(Looking):
    """A filter that undoes a content coding for those behind it."""

    keeps_length = False

    def __init__(self, inside: Decoder) -> None:
        self._decoder = inside

    def feed(self, data: bytes) -> bytes:
        """Return what the piece unfolds into."""
        return self._decoder.feed(data) if data else b""

    def finish(self) -> bytes:
        """Check that nothing is missing."""
        return self._decoder.finish()


# What speaks of the coded bytes, and is not true of the others any more.
_ABOUT_CODED = frozenset(
    (b"content-encoding", b"content-length", b"content-md5", b"content-digest", b"digest")
)
_NO_BODY = frozenset((204, 304))


def opened(head: ResponseHead, fields: Fields) -> tuple[ResponseHead, Fields, Decoded | None]:
    """Return an answer's head as it is without its content coding, and the filter that undoes it."""
    coded = [content for name, content in fields if name.lower() == b"content-encoding"]
    if not coded or head.framing == 0 or head.status in _NO_BODY:
        return head, fields, None
    inside = decoder(b", ".join(coded))
    if inside is None:
        return head, fields, None
    if head.status == 206:
        raise UnknownCodingError("a part of a compressed body cannot be looked into")
    kept = [field for field in fields if field[0].lower() not in _ABOUT_CODED]
    return replace(head, fields=kept), kept, Decoded(inside)


def acceptable(fields: Fields) -> Fields:
    """Return a request's fields with those codings left in Accept-Encoding that can be undone here."""
    for at, (name, content) in enumerate(fields):
        if len(name) == _LENGTH and name.lower() == b"accept-encoding":
            left = _acceptable(content)
            if left != content:
                fields = [*fields[:at], (name, left), *fields[at + 1 :]]
    return fields


_LENGTH = len(b"accept-encoding")


@functools.lru_cache(maxsize=64)
def _acceptable(content: bytes) -> bytes:
    """Take out what is not known, `*` and what is refused by weight (RFC 9110 §12.5.3)."""
    wanted = []
    for item in content.split(b","):
        name, _, weight = item.strip().partition(b";")
        refused = weight.replace(b" ", b"").lower() in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
        if name.strip().lower() in known() and not refused:
            wanted.append(item.strip())
    return b", ".join(wanted) or b"identity"


def _brotli() -> "Any":
    try:
        import brotli  # type: ignore[import-untyped,unused-ignore] # it has no types
    except ImportError:
        return None
    return brotli


def _zstandard() -> "Any":
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard
