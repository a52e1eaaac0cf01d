"""HTTP/2 field lists as heads: read strictly, written plainly. No input or output here.

Theory. A field list of HTTP/2 can carry what no HTTP/1.1 head could: blanks and line ends in names and
values, a second authority, a path that is a URL. Whoever passes such a list on to HTTP/1.1, or to a
library that is lenient, has smuggled it. So a list is read by one grammar, no wider than that of
`http1`, and whatever is outside it is malformed (RFC 9113 §8.1.1, §8.2, §8.3):
- pseudo-fields first, each once, all of them known, and all that a request needs there: `:method`,
  `:scheme` (that of the connection), `:authority`, `:path` (origin-form);
- names are tokens in lower case; values have no control characters and no blanks around them;
- nothing that speaks about an HTTP/1.1 connection (`connection`, `transfer-encoding`, `upgrade`, …);
  `te` says `trailers` or nothing;
- CONNECT is a WebSocket's (RFC 8441) or nothing; to the policy that is GET with an upgrade, as in HTTP/1.1;
- `host`, where there is one, repeats `:authority`; `content-length` stands once, in plain digits.

The checks of the h2 library are off (they end the whole connection at the first malformed request and
miss some of the above); these here stand in their place.
"""

import base64
import hashlib
import os
import re

from ringfence.egress import limits
from ringfence.egress.http1 import CHUNKED, Fields, MalformedError, RequestHead, ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_METHOD = re.compile(rb"[A-Z][A-Z0-9_-]{0,31}")
_PATH = re.compile(rb"/[\x21-\x22\x24-\x7e\x80-\xff]*")  # no `#`: a fragment is never sent
_AUTHORITY = re.compile(rb"[\x21-\x7e]+")
_STATUS = re.compile(rb"[1-5][0-9]{2}")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")

KEY, _ACCEPT = b"sec-websocket-key", b"sec-websocket-accept"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §4.2.2
_OF_REQUESTS = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_OF_RESPONSES = frozenset({b":status"})
_OF_CONNECTIONS = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
_ONCE = frozenset({b"content-length", b"host", b"expect", b"te"})


def parse_request(found: "Iterable[tuple[bytes, bytes]]", scheme: str, *, over: bool) -> RequestHead:
    """Read a request's field list; `over`: no body follows."""
    pseudo, fields, single = _read(found, _OF_REQUESTS, 400)
    method, path, authority = pseudo.get(b":method"), pseudo.get(b":path"), pseudo.get(b":authority")
    if method is None or not _METHOD.fullmatch(method):
        raise MalformedError("the request has no method, or a malformed one")
    upgrade = pseudo.get(b":protocol", b"")
    if method == b"CONNECT":
        method = _upgraded(upgrade, fields, over=over)
    elif b":protocol" in pseudo:
        raise MalformedError("a :protocol in something else than CONNECT")
    if authority is None or not _AUTHORITY.fullmatch(authority):
        raise MalformedError("the request has no :authority, or a malformed one")
    if pseudo.get(b":scheme") != scheme.encode("ascii"):
        raise MalformedError("the request's :scheme is not that of the connection")
    if path is None or not _PATH.fullmatch(path):
        raise MalformedError("the request has no :path that begins with a slash, or a malformed one")
    if len(path) > limits.TARGET:
        raise MalformedError("the request's :path is too long", answer=414)
    if single.get(b"host", authority) != authority:
        raise MalformedError("the request's :authority and host differ")
    trailers = single.get(b"te")
    if trailers is not None and trailers.lower() != b"trailers":
        raise MalformedError("te says something else than `trailers`")
    return RequestHead(
        method=method.decode("ascii"),
        target=path,
        minor=1,
        fields=_joined(fields),
        host=authority,
        framing=0 if upgrade else _request_framing(single.get(b"content-length"), over=over),
        close=False,
        expect=single.get(b"expect", b"").lower(),
        upgrade=upgrade,
        nominated=frozenset(),
        trailers=trailers is not None,
    )


def _upgraded(protocol: bytes, fields: Fields, *, over: bool) -> bytes:
    """Read an extended CONNECT as the request for a WebSocket that it is (RFC 8441); returns its method."""
    if not protocol:
        raise MalformedError("CONNECT is not served inside HTTP/2", answer=405)
    if protocol != b"websocket":
        raise MalformedError("the only protocol served by CONNECT is websocket", answer=501)
    names = {name for name, _ in fields}
    if over or names & {b"content-length", b"expect", KEY}:
        raise MalformedError("a request for a WebSocket has neither body nor key")
    fields.append((KEY, base64.b64encode(os.urandom(16))))
    return b"GET"


def accepted(fields: Fields, key: bytes) -> Fields:
    """Check an upstream's answer to our key; returns the fields that mean something in HTTP/2."""
    right = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    if [value for name, value in fields if name.lower() == _ACCEPT] != [right]:
        raise MalformedError("the upstream switched protocols without taking our key", answer=502)
    return [field for field in fields if field[0].lower() != _ACCEPT]


def parse_response(found: "Iterable[tuple[bytes, bytes]]", method: str, *, over: bool) -> ResponseHead:
    """Read an answer's field list; `over`: no body follows."""
    pseudo, fields, single = _read(found, _OF_RESPONSES, 502)
    status = pseudo.get(b":status")
    if status is None or not _STATUS.fullmatch(status):
        raise MalformedError("the answer has no status, or a malformed one", answer=502)
    length = single.get(b"content-length")
    size = None if length is None else _length(length, 502)
    code = int(status)
    bodiless = method == "HEAD" or code in {204, 304}
    if bodiless or over:
        if not bodiless and size:
            raise MalformedError("the answer ends before its content-length", answer=502)
        framing = 0
    else:
        framing = CHUNKED if size is None else size
    return ResponseHead(
        status=code,
        phrase=b"",
        minor=1,
        fields=fields,
        framing=framing,
        close=False,
        nominated=frozenset(),
        stated=length if bodiless and code != 204 else None,
        keep_for=0.0,
    )


def parse_trailers(found: "Iterable[tuple[bytes, bytes]]", answer: int) -> Fields:
    """Read a trailer section; the gate leaves out what it may not say."""
    _, fields, _ = _read(found, frozenset(), answer)
    if sum(len(name) + len(value) for name, value in fields) > limits.TRAILERS:
        raise MalformedError("the trailer section is too long", answer=431 if answer == 400 else answer)
    return fields


def _read(
    found: "Iterable[tuple[bytes, bytes]]", known: frozenset[bytes], answer: int
) -> tuple[dict[bytes, bytes], Fields, dict[bytes, bytes]]:
    """Return the pseudo-fields, the fields, and those of the fields that may stand once only."""
    pseudo: dict[bytes, bytes] = {}
    single: dict[bytes, bytes] = {}
    fields: Fields = []
    for name, value in found:
        if name[:1] == b":":
            if fields or name in pseudo or name not in known:
                raise MalformedError("a pseudo-field is unknown, repeated or out of place", answer=answer)
            pseudo[name] = bytes(value)
            continue
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise MalformedError("a field is malformed", answer=answer)
        if name in _OF_CONNECTIONS:
            raise MalformedError(f"the field {name.decode()} has no place in HTTP/2", answer=answer)
        if name in _ONCE:
            if name in single:
                raise MalformedError(f"the field {name.decode()} occurs twice", answer=answer)
            single[name] = bytes(value)
        fields.append((bytes(name), bytes(value)))
    if len(fields) > limits.FIELDS:
        raise MalformedError("too many fields", answer=431 if answer == 400 else answer)
    return pseudo, fields, single


def _request_framing(length: bytes | None, *, over: bool) -> int:
    size = None if length is None else _length(length, 400)
    if over:
        if size:
            raise MalformedError("the request ends before its content-length")
        return 0
    return CHUNKED if size is None else size


def _length(value: bytes, answer: int) -> int:
    if not _LENGTH.fullmatch(value):
        raise MalformedError("content-length is not a plain number", answer=answer)
    return int(value)


def _joined(fields: Fields) -> Fields:
    """Join what HTTP/2 splits for compression: one cookie field, as HTTP/1.1 has it (RFC 9113 §8.2.3)."""
    cookies = [value for name, value in fields if name == b"cookie"]
    if len(cookies) < 2:
        return fields
    kept = [field for field in fields if field[0] != b"cookie"]
    kept.append((b"cookie", b"; ".join(cookies)))
    return kept


def request_fields(method: str, scheme: str, authority: bytes, path: str, fields: Fields) -> Fields:
    """Return a request's field list: `fields` are those of a head that was read, or ours."""
    return [
        (b":method", method.encode("ascii")),
        (b":scheme", scheme.encode("ascii")),
        (b":authority", authority),
        (b":path", path.encode("ascii")),
        *[(name.lower(), value) for name, value in fields],
    ]


def response_fields(status: int, fields: Fields) -> Fields:
    """Return an answer's field list."""
    return [(b":status", b"%d" % status), *[(name.lower(), value) for name, value in fields]]
