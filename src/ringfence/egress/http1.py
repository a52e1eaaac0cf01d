"""HTTP/1.1 as bytes: reading heads and bodies strictly, and writing them anew. No input or output here.

Theory. Request smuggling lives on two parsers that read the same bytes differently. So nothing that a
peer wrote is passed on as it stands: a head is read by one grammar (below), taken apart into method,
target and fields, and a new head is written from these; a body is decoded and framed again. What the
grammar does not cover is refused, never repaired, and the connection is closed after it, because where
the next message starts is then anybody's guess.

The grammar is RFC 9112 without its leniencies:
- lines end in CRLF; a bare CR, a bare LF, a NUL or another control character anywhere is malformed (§2.2);
- one space between method, target and version; versions 1.0 and 1.1 only (§3);
- a field is `token:` with nothing between, no folding (§5.1, §5.2);
- Host once (§3.2); Content-Length once, plain digits; Transfer-Encoding once, exactly `chunked`, only in
  1.1, never beside Content-Length (§6.1, §6.3);
- chunk sizes are up to eight hexadecimal digits; extensions are checked, bounded and dropped (§7.1.1);
  trailers are checked and bounded, and kept apart from the fields of the head (§7.1.2).
"""

import re
from functools import lru_cache

from ringfence.egress import limits
from ringfence.errors import PeerError
from ringfence.value import Struct, build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

Fields = list[tuple[bytes, bytes]]
# The lines of a head that were read: the fields, those that may occur only once, and what Connection names.
Lines = tuple[Fields, dict[bytes, bytes], frozenset[bytes]]

CHUNKED = -1  # framing: the body is chunked
UNTIL_CLOSE = -2  # framing: the body ends with the connection (responses only)

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*")
_LINE = re.compile(rb"(" + _TOKEN + rb"):[\t ]*([\t\x20-\x7e\x80-\xff]*)")
_REQUEST_LINE = re.compile(rb"([A-Z][A-Z0-9_-]{0,31}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
_OTHER_VERSION = re.compile(rb"[^\r\n]* HTTP/[0-9.]+\r\n")
_BARE_LF = re.compile(rb"(?:\A|[^\r])\n")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_TIMEOUT = re.compile(rb"timeout=([0-9]{1,6})")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(;[\t\x20-\x7e\x80-\xff]*)?\r\n")

_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"te"})
_SECRET = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key"})
_SPECIAL = _ONCE | {b"connection", b"keep-alive"}
HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding"),
        *(b"upgrade", b"content-length"),  # written anew from the framing
    }
)


_NOBODY: frozenset[bytes] = frozenset()


class MalformedError(PeerError):
    """A peer's bytes are not HTTP as we read it: answer with `status` and close."""

    def __init__(self, message: str, *, answer: int = 400) -> None:
        super().__init__(message)
        self.answer = answer


class OtherVersionError(MalformedError):
    """What begins here is HTTP/2, from a client that knows (or thinks) that it is spoken (RFC 9113 §3.3)."""


class RequestHead(Struct):
    """A request's head, taken apart."""

    method: str
    target: bytes
    minor: int  # of HTTP/1.x
    fields: Fields  # as sent, without surrounding blanks
    host: bytes | None
    framing: int  # the body's length, or CHUNKED
    close: bool  # the client will not send another request
    expect: bytes  # the value of Expect, lower case
    upgrade: bytes  # the value of Upgrade in a GET whose Connection names it, lower case
    nominated: frozenset[bytes]  # field names that Connection makes hop-by-hop
    trailers: bool = False  # the client takes trailers: it says `TE: trailers`, to us (RFC 9110 §10.1.4)


class ResponseHead(Struct):
    """A response's head, taken apart."""

    status: int
    phrase: bytes
    minor: int
    fields: Fields
    framing: int  # the body's length, CHUNKED or UNTIL_CLOSE
    close: bool  # the upstream will not take another request
    nominated: frozenset[bytes]
    stated: bytes | None  # Content-Length where no body shows it (HEAD, 304)
    keep_for: float  # seconds the upstream says it keeps an idle connection; 0 where it does not say


def head_end(data: bytes, seen: int = 0) -> int:
    """Return where a head ends in `data`, or 0; raises on what can become none. `seen`: looked at before."""
    start = max(seen - 3, 0)
    end = data.find(b"\r\n\r\n", start) + 4
    if end >= 4:
        if end > limits.HEAD:
            raise MalformedError("the head is too long", answer=431)
        return end
    if len(data) >= limits.HEAD:
        raise MalformedError("the head is too long", answer=431)
    if _BARE_LF.search(data, start):
        raise MalformedError("a line ends in a bare line feed")
    return 0


def parse_request(head: bytes) -> RequestHead:
    """Read one whole request head, from its first byte to the empty line."""
    line = request_line(head)
    return request_head(line, field_lines(head, line.end()))


def request_line(head: bytes) -> re.Match[bytes]:
    """Read a head's first line: method, target and the version's last digit."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise _bad_request_line(head)
    if line.end(2) - line.start(2) > limits.TARGET:
        raise MalformedError("the request's target is too long", answer=414)
    return line


def request_head(line: re.Match[bytes], lines: Lines) -> RequestHead:
    """Put a head together from its first line and the others."""
    method, target, minor = line.group(1).decode(), line.group(2), int(line.group(3))
    fields, single, nominated = lines
    framing = _request_framing(single, minor)
    # An upgrade with a body is read in two ways by the parsers there are: it is no upgrade.
    upgradable = b"upgrade" in nominated and method == "GET" and minor == 1 and framing == 0
    return build(
        RequestHead,
        {
            "method": method,
            "target": target,
            "minor": minor,
            "fields": fields,
            "host": single.get(b"host"),
            "framing": framing,
            "close": b"close" in nominated or (minor == 0 and b"keep-alive" not in nominated),
            "expect": single.get(b"expect", b"").lower(),
            "upgrade": single.get(b"upgrade", b"").lower() if upgradable else b"",
            "nominated": nominated,
            "trailers": b"te" in nominated and minor == 1 and single.get(b"te", b"").lower() == b"trailers",
        },
    )


def head_again(former: RequestHead, line: re.Match[bytes], fields: Fields, framing: int) -> RequestHead:
    """Return a head with another's version and lines, but for the number in Content-Length, and no upgrade.

    All else that is known of the other follows from these.
    """
    values = former.__dict__.copy()
    values["method"], values["target"] = line.group(1).decode(), line.group(2)
    values["fields"], values["framing"] = fields, framing
    return build(RequestHead, values)


def parse_response(head: bytes, method: str) -> ResponseHead:
    """Read one whole response head; how its body is framed depends on the request's method."""
    line = _STATUS_LINE.match(head)
    if line is None:
        raise MalformedError("the answer has no status line", answer=502)
    minor, status, phrase = int(line.group(1)), int(line.group(2)), line.group(3) or b""
    fields, single, nominated = field_lines(head, line.end())
    framing, stated = _response_framing(single, status, method)
    close = b"close" in nominated or framing == UNTIL_CLOSE or (minor == 0 and b"keep-alive" not in nominated)
    return build(
        ResponseHead,
        {
            "status": status,
            "phrase": phrase,
            "minor": minor,
            "fields": fields,
            "framing": framing,
            "close": close,
            "nominated": nominated,
            "stated": stated,
            "keep_for": _keep_for(single[b"keep-alive"]) if b"keep-alive" in single and not close else 0.0,
        },
    )


def is_length(value: bytes) -> bool:
    """Say whether the value of a Content-Length is one."""
    return _LENGTH.fullmatch(value) is not None


def _bad_request_line(head: bytes) -> MalformedError:
    """Say what is wrong with a request line, as exactly as is safe."""
    if head == b"PRI * HTTP/2.0\r\n\r\n":
        return OtherVersionError("HTTP/2 is not spoken here", answer=505)
    if _OTHER_VERSION.match(head):
        line = head[: head.index(b"\r\n")]
        if not line.endswith((b" HTTP/1.0", b" HTTP/1.1")):
            return MalformedError("only HTTP/1.0 and HTTP/1.1 are spoken here", answer=505)
    return MalformedError("the request line is malformed")


def field_lines(head: bytes, start: int) -> Lines:
    """Read the lines behind the first, which mean the same whatever that says."""
    lines = head[start:-4].split(b"\r\n") if len(head) - start > 2 else []
    if len(lines) > limits.FIELDS:
        raise MalformedError("too many header lines", answer=431)
    known = _known
    read = [known.get(line) or _line(line) for line in lines]
    fields = [one[0] for one in read]
    single: dict[bytes, bytes] = {}
    nominated = _NOBODY
    for field, name in [one for one in read if one[1]]:
        if name == b"connection":
            nominated |= _nominated(field[1])
        elif name in single and name in _ONCE:
            raise MalformedError(f"the header {name.decode()} occurs twice")
        else:
            single[name] = field[1]
    return fields, single, nominated


# How lines were read: most of a head's lines come again with the next one, and mean the same each time.
_known: dict[bytes, tuple[tuple[bytes, bytes], bytes]] = {}


def _line(line: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    """Read one line: the field, and its name in lower case where it says something about the connection."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise MalformedError("a header line is malformed")
    name, value = found.group(1), found.group(2)
    lower = name.lower()
    read = (name, value.rstrip(b" \t")), lower if lower in _SPECIAL else b""
    if len(line) <= limits.LINE_KEPT and lower not in _SECRET:
        if len(_known) >= limits.LINES_KEPT:
            _known.clear()
        _known[line] = read
    return read


@lru_cache(maxsize=64)
def _nominated(value: bytes) -> frozenset[bytes]:
    """Return what a line of Connection names."""
    return frozenset(item.strip(b" \t").lower() for item in value.split(b","))


def _request_framing(single: dict[bytes, bytes], minor: int) -> int:
    """Return the body's framing (RFC 9112 §6.3), refusing whatever two parsers could read differently."""
    coding, length = single.get(b"transfer-encoding"), single.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise MalformedError("Content-Length beside Transfer-Encoding")
        if coding.lower() != b"chunked" or minor == 0:
            raise MalformedError("a transfer coding other than `chunked`", answer=501 if minor else 400)
        return CHUNKED
    return 0 if length is None else _length(length)


def _response_framing(single: dict[bytes, bytes], status: int, method: str) -> tuple[int, bytes | None]:
    """Return the framing, and the Content-Length where no body shows it."""
    coding, length = single.get(b"transfer-encoding"), single.get(b"content-length")
    if coding is not None and length is not None:
        raise MalformedError("the answer has Content-Length beside Transfer-Encoding", answer=502)
    if coding is not None and coding.lower() != b"chunked":
        raise MalformedError("the answer has a transfer coding other than `chunked`", answer=502)
    size = 0 if length is None else _length(length)
    if status < 200 or status == 204:
        return 0, None
    if method == "HEAD" or status == 304:
        return 0, length
    if coding is not None:
        return CHUNKED, None
    return (UNTIL_CLOSE, None) if length is None else (size, None)


def _length(value: bytes) -> int:
    if not _LENGTH.fullmatch(value):
        raise MalformedError("Content-Length is not a plain number")
    return int(value)


def _keep_for(value: bytes) -> float:
    found = _TIMEOUT.search(value)
    return float(found.group(1)) if found else 0.0


class Body:
    """Decodes one body of a peer: `take` gives the payload in what arrived; `rest` holds what follows it."""

    def __init__(self, framing: int) -> None:
        self.framing = framing
        self.done = framing == 0
        self.rest = b""
        self.trailers: Fields = []
        self._left = max(framing, 0)

    def take(self, data: bytes) -> bytes:
        """Return the payload found in `data`; never buffers payload."""
        if self.framing == UNTIL_CLOSE:
            return data
        if len(data) < self._left:
            self._left -= len(data)
            return data
        payload, self.rest = data[: self._left], data[self._left :]
        self._left, self.done = 0, True
        return payload

    def finish(self) -> None:
        """Take note that the connection has ended; raises where that cuts the body short."""
        if self.framing == UNTIL_CLOSE:
            self.done = True
        if not self.done:
            raise PeerError("the connection ended in the middle of a body")


_SIZE, _DATA, _DATA_END, _TRAILER = range(4)


class ChunkedBody(Body):
    """Decodes a chunked body. States: a size line, its data, the CRLF behind it, the trailer section."""

    def __init__(self) -> None:
        super().__init__(CHUNKED)
        self._state = _SIZE
        self._held = b""  # an unfinished line, bounded by the limits on lines
        self._extensions = 0
        self._trailing = 0  # bytes of the trailer section

    def take(self, data: bytes) -> bytes:
        """Return the payload of all chunks, or parts of chunks, in `data`."""
        data = self._held + data if self._held else data
        self._held = b""
        payload: list[bytes] = []
        at = 0
        while not self.done and at < len(data):
            moved = self._step(data, at, payload)
            if moved == at:
                self._held = data[at:]
                break
            at = moved
        if self.done:
            self.rest = data[at:]
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _step(self, data: bytes, at: int, payload: list[bytes]) -> int:
        """Consume one element; returns `at` where more bytes are needed."""
        if self._state == _DATA:
            piece = data[at : at + self._left]
            payload.append(piece)
            self._left -= len(piece)
            self._state = _DATA if self._left else _DATA_END
            return at + len(piece)
        if self._state == _DATA_END:
            return self._data_end(data, at)
        end = data.find(b"\n", at) + 1
        if not end:
            self._check_unfinished(len(data) - at)
            return at
        return self._size_line(data, at, end) if self._state == _SIZE else self._trailer_line(data, at, end)

    def _data_end(self, data: bytes, at: int) -> int:
        mark = data[at : at + 2]
        if not b"\r\n".startswith(mark):
            raise MalformedError("a chunk is longer than its size")
        if len(mark) < 2:
            return at
        self._state = _SIZE
        return at + 2

    def _check_unfinished(self, length: int) -> None:
        if length > (limits.CHUNK_LINE if self._state == _SIZE else limits.TRAILERS):
            raise MalformedError("a line of a chunked body is too long")

    def _size_line(self, data: bytes, at: int, end: int) -> int:
        line = _CHUNK_LINE.fullmatch(data, at, end)
        if line is None or end - at > limits.CHUNK_LINE:
            raise MalformedError("a chunk's size line is malformed")
        self._extensions += len(line.group(2) or b"")
        if self._extensions > limits.CHUNK_EXTENSIONS:
            raise MalformedError("too many chunk extensions")
        self._left = int(line.group(1), 16)
        self._state = _DATA if self._left else _TRAILER
        return end

    def _trailer_line(self, data: bytes, at: int, end: int) -> int:
        line = data[at:end]
        self._trailing += len(line)
        if line == b"\r\n":
            self.done = True
            return end
        if self._trailing > limits.TRAILERS or not _FIELDS.fullmatch(line):
            raise MalformedError("the trailer section is malformed")
        name, _, value = line.partition(b":")
        self.trailers.append((name, value.strip(b" \t\r\n")))
        return end


def body(framing: int) -> Body:
    """Return the decoder for a framing."""
    return ChunkedBody() if framing == CHUNKED else Body(framing)


def chunk(data: bytes) -> bytes:
    """Frame one piece of a body; an empty piece would end it, so it frames to nothing."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


_COLON = b": "
LAST_CHUNK = b"0\r\n\r\n"


def last_chunk(trailers: "Sequence[tuple[bytes, bytes]]") -> bytes:
    """End a chunked body."""
    return write_head(b"0", list(trailers)) if trailers else LAST_CHUNK


def write_head(start: bytes, fields: Fields) -> bytes:
    """Write a head; the fields come from a head that was read, or from us."""
    return b"\r\n".join([start, *map(_COLON.join, fields), b"\r\n"])


def write_lines(fields: Fields) -> bytes:
    """Write fields as lines of a head."""
    return b"\r\n".join([*map(_COLON.join, fields), b""])


def without(fields: Fields, gone: frozenset[bytes], nominated: frozenset[bytes] = _NOBODY) -> Fields:
    """Return the fields whose lower-case name is in neither set."""
    if nominated:
        gone |= nominated
    return [one for one in fields if one[0].lower() not in gone]
