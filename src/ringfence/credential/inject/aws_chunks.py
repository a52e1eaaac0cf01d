r"""Bodies that AWS clients sign chunk by chunk (`aws-chunked`), signed anew as they stream by.

Each chunk is `SIZE;chunk-signature=HEX\r\n`, its bytes, `\r\n`; the last has size 0, and behind it there may
be trailing headers with a signature of their own. The agent's signatures are left out and ours put in:
as long as theirs, so the body's length stays true. A chunk is held until it is whole: its signature
stands before it.
"""

import re

from ringfence.credential.inject.outgoing import UnfitError
from ringfence.credential.sigv4 import Chain

CHUNK = 4 * 1024 * 1024  # bytes of one chunk; clients send 64 KiB to 1 MiB
LINE = 256  # bytes of a chunk's first line
TRAILERS = 8 * 1024  # bytes of all trailing headers

_LINE = re.compile(rb"([0-9a-fA-F]{1,8});chunk-signature=[0-9a-f]{64}")
_TRAILER = re.compile(rb"(x-amz-[a-z0-9-]+):([!-~ ]+)")
_SEAL = b"x-amz-trailer-signature:"


class Chunks:
    """Signs one body. `feed` gives what may be sent; `finish` checks that the body was whole."""

    def __init__(self, chain: Chain, *, trailer: bool) -> None:
        self._chain = chain
        self._trailer = trailer
        self._held = b""
        self._last = False  # the chunk of size 0 has been passed on
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Return the whole chunks that are at hand, signed."""
        self._held += data
        out: list[bytes] = []
        while piece := self._next():
            out.append(piece)
        return b"".join(out)

    def finish(self) -> None:
        """Refuse a body that ended too early."""
        if self._held or not self._over:
            raise _malformed()

    def _next(self) -> bytes:
        if self._over:
            if self._held:
                raise _malformed()
            return b""
        return self._end() if self._last else self._chunk()

    def _chunk(self) -> bytes:
        line, mark, rest = self._held.partition(b"\r\n")
        if not mark:
            if len(line) > LINE:
                raise _malformed()
            return b""
        match = _LINE.fullmatch(line)
        size = int(match.group(1), 16) if match else -1
        if size < 0:
            raise _malformed()
        if size > CHUNK:
            raise UnfitError(f"a signed chunk of the body is larger than {CHUNK} bytes", status=413)
        if size == 0:
            self._last = True
            self._held = rest
            return match.group(1) + b";chunk-signature=" + self._chain.chunk(b"").encode() + b"\r\n"  # type: ignore[union-attr]
        if len(rest) < size + 2:
            return b""
        chunk, self._held = rest[:size], rest[size + 2 :]
        if rest[size : size + 2] != b"\r\n":
            raise _malformed()
        signature = self._chain.chunk(chunk).encode()
        return b"%b;chunk-signature=%b\r\n%b\r\n" % (line.partition(b";")[0], signature, chunk)

    def _end(self) -> bytes:
        """Return the empty line behind the last chunk, after the trailing headers where there are any."""
        if not self._trailer:
            if len(self._held) < 2:
                return b""
            self._over = True
            if self._held != b"\r\n":
                raise _malformed()
            self._held = b""
            return b"\r\n"
        text, mark, rest = self._held.partition(b"\r\n\r\n")
        if not mark:
            if len(text) > TRAILERS:
                raise _malformed()
            return b""
        self._over, self._held = True, rest
        *lines, seal = text.split(b"\r\n")
        if not seal.startswith(_SEAL) or len(seal) != len(_SEAL) + 64:
            raise _malformed()
        pairs = [_TRAILER.fullmatch(line) for line in lines]
        if not all(pairs):
            raise _malformed()
        canonical = b"".join(pair.group(1) + b":" + pair.group(2).strip() + b"\n" for pair in pairs if pair)
        return b"\r\n".join([*lines, _SEAL + self._chain.trailer(canonical).encode()]) + b"\r\n\r\n"


def _malformed() -> UnfitError:
    return UnfitError("the body is not framed as its signature says (aws-chunked)", status=400)
