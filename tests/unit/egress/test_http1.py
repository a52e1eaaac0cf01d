"""The grammar of heads and bodies: what is refused, then what is read."""

import pytest

from ringfence.egress import http1, limits
from ringfence.egress.http1 import (
    CHUNKED,
    HOP_BY_HOP,
    UNTIL_CLOSE,
    MalformedError,
    body,
    chunk,
    head_end,
    parse_request,
    parse_response,
    without,
    write_head,
)
from ringfence.errors import PeerError


def request(*lines, start=b"GET / HTTP/1.1", host=b"Host: a.example"):
    return b"\r\n".join([start, *([host] if host else []), *lines]) + b"\r\n\r\n"


BAD_HEADS = {
    "two content lengths": request(b"Content-Length: 1", b"Content-Length: 1"),
    "unequal content lengths": request(b"Content-Length: 1", b"Content-Length: 2"),
    "a list of content lengths": request(b"Content-Length: 5, 5"),
    "a signed length": request(b"Content-Length: +5"),
    "a negative length": request(b"Content-Length: -1"),
    "a hexadecimal length": request(b"Content-Length: 0x5"),
    "a length with leading zeros": request(b"Content-Length: 00005"),
    "a huge length": request(b"Content-Length: 99999999999999999999"),
    "an empty length": request(b"Content-Length:"),
    "a length with a blank inside": request(b"Content-Length: 5 5"),
    "content length and transfer encoding": request(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "transfer encoding and content length": request(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "an unknown coding": request(b"Transfer-Encoding: xchunked"),
    "two codings": request(b"Transfer-Encoding: identity, chunked"),
    "chunked twice in a list": request(b"Transfer-Encoding: chunked, chunked"),
    "two transfer encodings": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "a vertical tab behind chunked": request(b"Transfer-Encoding: chunked\x0b"),
    "a space before the colon": request(b"Transfer-Encoding : chunked"),
    "chunked in HTTP/1.0": request(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0"),
    "two hosts": request(b"Host: b.example"),
    "a folded line": request(b"X-A: b", b" folded"),
    "a tab-folded line": request(b"X-A: b", b"\tfolded"),
    "a space before the first header": request(b"X-B: c", host=b" X-A: b"),
    "a header without a colon": request(b"X-A"),
    "a header without a name": request(b": x"),
    "a name that is no token": request(b"X(A): b"),
    "a NUL in a value": request(b"X-A: b\0c"),
    "a NUL in a name": request(b"X\0A: b"),
    "a bare CR in a value": request(b"X-A: b\rX-B: c"),
    "a bare LF in a value": request(b"X-A: b\nX-B: c"),
    "an escape in a value": request(b"X-A: \x1b[31m"),
    "two spaces in the request line": request(start=b"GET  / HTTP/1.1"),
    "a tab in the request line": request(start=b"GET\t/ HTTP/1.1"),
    "a space in the target": request(start=b"GET /a b HTTP/1.1"),
    "a trailing space in the request line": request(start=b"GET / HTTP/1.1 "),
    "a lower-case method": request(start=b"get / HTTP/1.1"),
    "a method that is no token": request(start=b"G(T / HTTP/1.1"),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/0.9 with a header": b"GET /\r\nHost: a\r\n\r\n",
    "HTTP/2.0": request(start=b"GET / HTTP/2.0"),
    "HTTP/1.2": request(start=b"GET / HTTP/1.2"),
    "HTTP/1.10": request(start=b"GET / HTTP/1.10"),
    "lower-case http": request(start=b"GET / http/1.1"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
    "an empty line first": b"\r\n" + request(),
    "two expectations": request(b"Expect: 100-continue", b"Expect: 100-continue"),
    "too many headers": request(*[b"X-%d: y" % at for at in range(limits.FIELDS + 1)]),
    "too long a target": request(start=b"GET /" + b"a" * limits.TARGET + b" HTTP/1.1"),
}


@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_a_request_head_that_two_parsers_could_read_differently_is_refused(head):
    with pytest.raises(MalformedError) as error:
        parse_request(head)
    assert error.value.answer in {400, 414, 431, 501, 505}


def test_the_version_that_is_not_spoken_is_named_by_its_own_status():
    with pytest.raises(MalformedError) as error:
        parse_request(b"PRI * HTTP/2.0\r\n\r\n")
    assert error.value.answer == 505


def test_a_plain_request_is_taken_apart():
    head = parse_request(request(b"X-A:  b \t", b"Content-Length: 5", start=b"POST /a?b HTTP/1.1"))
    assert (head.method, head.target, head.minor, head.host) == ("POST", b"/a?b", 1, b"a.example")
    assert head.framing == 5
    assert (b"X-A", b"b") in head.fields
    assert not head.close


def test_connection_options_of_several_lines_are_taken_together():
    head = parse_request(request(b"Connection: Close", b"connection: X-Foo , upgrade", b"Upgrade: WebSocket"))
    assert head.nominated == {b"close", b"x-foo", b"upgrade"}
    assert head.close
    assert head.upgrade == b"websocket"


def test_an_upgrade_that_connection_does_not_name_is_none():
    assert parse_request(request(b"Upgrade: websocket")).upgrade == b""


def test_an_upgrade_with_a_body_or_of_another_method_is_none():
    upgrade = (b"Connection: upgrade", b"Upgrade: websocket")
    assert parse_request(request(*upgrade)).upgrade == b"websocket"
    assert parse_request(request(*upgrade, b"Content-Length: 5")).upgrade == b""
    assert parse_request(request(*upgrade, b"Transfer-Encoding: chunked")).upgrade == b""
    assert parse_request(request(*upgrade, start=b"POST / HTTP/1.1")).upgrade == b""
    assert parse_request(request(*upgrade, start=b"GET / HTTP/1.0")).upgrade == b""


def test_http_1_0_ends_with_its_request_unless_it_says_otherwise():
    assert parse_request(request(start=b"GET / HTTP/1.0")).close
    assert not parse_request(request(b"Connection: keep-alive", start=b"GET / HTTP/1.0")).close


def test_a_header_of_blanks_is_read_in_linear_time():
    head = request(b"X-A: " + b" " * 60000 + b"b")
    assert (b"X-A", b"b") in parse_request(head).fields


# --- where a head ends


def test_a_head_with_bare_line_feeds_is_refused_before_it_ends():
    for text in (b"GET / HTTP/1.1\nHost: a\n\n", b"\nGET", b"GET / HTTP/1.1\r\nHost: a\n"):
        with pytest.raises(MalformedError):
            head_end(text)


def test_a_bare_line_feed_on_the_border_of_two_reads_is_found():
    text = b"GET / HTTP/1.1\r\nHost: a\nX: y"
    at = text.index(b"a\nX") + 1
    assert head_end(text[:at]) == 0
    with pytest.raises(MalformedError):
        head_end(text, at)


def test_a_head_longer_than_its_limit_is_431_whether_it_ends_or_not():
    for tail in (b"", b"\r\n\r\n"):
        with pytest.raises(MalformedError) as error:
            head_end(b"GET / HTTP/1.1\r\nX: " + b"a" * limits.HEAD + tail)
        assert error.value.answer == 431


def test_the_end_of_a_head_is_found_wherever_the_reads_were_cut():
    text = request() + b"rest"
    for cut in range(len(text)):
        first = head_end(text[:cut])
        assert (first or head_end(text, cut)) == len(text) - 4


# --- responses

BAD_ANSWERS = {
    "no status line": b"hello\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "a bare CR": b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n",
    "a bare LF in the phrase": b"HTTP/1.1 200 OK\nX: a\r\n\r\n",
}


@pytest.mark.parametrize("head", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_that_could_be_split_is_refused(head):
    with pytest.raises(MalformedError):
        parse_response(head, "GET")


@pytest.mark.parametrize(
    ("head", "method", "framing"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", 5),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", 0),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", 0),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "GET", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", CHUNKED),
        (b"HTTP/1.1 200\r\n\r\n", "GET", UNTIL_CLOSE),
    ],
)
def test_an_answers_framing_follows_rfc_9112(head, method, framing):
    assert parse_response(head, method).framing == framing


# --- bodies

BAD_CHUNKS = {
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus nothing": b"-0\r\n\r\n",
    "seventeen digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "a space before the extension": b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
    "a trailing space": b"5 \r\nhello\r\n0\r\n\r\n",
    "a bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "a bare LF in an extension": b"5;ext=\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "garbage behind the data": b"5\r\nhelloXX0\r\n\r\n",
    "a bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "a trailer without a colon": b"0\r\nTrailer\r\n\r\n",
    "a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "a bare LF at the end": b"0\r\n\n",
    "a long extension": b"5;" + b"a" * limits.CHUNK_LINE + b"\r\nhello\r\n0\r\n\r\n",
    "an unfinished long line": b"5;" + b"a" * limits.CHUNK_LINE * 2,
    "many extensions": b"".join(b"1;%b\r\nx\r\n" % (b"e" * 1000) for _ in range(20)) + b"0\r\n\r\n",
    "endless trailers": b"0\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
}


@pytest.mark.parametrize("data", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_chunked_body_that_is_not_plain_is_refused_however_it_is_cut(data):
    with pytest.raises(MalformedError):
        body(CHUNKED).take(data)
    decoder = body(CHUNKED)
    with pytest.raises(MalformedError):
        b"".join(decoder.take(bytes((byte,))) for byte in data)


def test_a_chunked_body_is_decoded_however_it_is_cut():
    data = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-T: y\r\n\r\nrest"
    for cut in range(len(data) - 4):
        decoder = body(CHUNKED)
        assert decoder.take(data[:cut]) + decoder.take(data[cut:]) == b"hello world"
        assert decoder.done
        assert decoder.rest == b"rest"


def test_a_body_of_known_length_stops_there():
    decoder = body(5)
    assert decoder.take(b"hel") == b"hel"
    assert not decoder.done
    assert decoder.take(b"lo!!") == b"lo"
    assert (decoder.done, decoder.rest) == (True, b"!!")


def test_a_body_that_ends_too_soon_is_an_error():
    for framing in (5, CHUNKED):
        with pytest.raises(PeerError):
            body(framing).finish()
    ends = body(UNTIL_CLOSE)
    ends.finish()
    assert ends.done


def test_an_empty_piece_never_becomes_the_last_chunk():
    assert chunk(b"") == b""
    assert chunk(b"hello") == b"5\r\nhello\r\n"


# --- writing


def test_what_connection_names_does_not_travel_on():
    head = parse_request(
        request(
            b"Connection: close, authorization",
            b"Authorization: x",
            b"Keep-Alive: 5",
            b"TE: trailers",
            b"X-A: b",
        )
    )
    assert without(head.fields, HOP_BY_HOP | {b"host"}, head.nominated) == [(b"X-A", b"b")]


def test_a_head_is_written_line_by_line():
    assert (
        write_head(b"GET / HTTP/1.1", [(b"Host", b"a"), (b"X", b"")])
        == b"GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
    )


# --- lines whose reading is kept


def test_a_head_reads_the_same_the_first_time_and_the_second():
    http1._known.clear()
    raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\nConnection: close\r\n\r\n"
    first = parse_request(raw)
    assert http1._known
    assert parse_request(raw) == first


def test_a_line_that_is_malformed_is_malformed_each_time():
    for _ in range(2):
        with pytest.raises(MalformedError):
            parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n")


def test_a_header_that_may_occur_once_is_counted_though_its_line_is_known():
    parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(MalformedError, match="occurs twice"):
        parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")


def test_lines_kept_are_bounded_and_none_that_carries_a_secret_is_among_them():
    http1._known.clear()
    for number in range(limits.LINES_KEPT + 10):
        parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % number)
    assert len(http1._known) <= limits.LINES_KEPT
    parse_request(
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: b\r\nCookie: c\r\nX: " + b"y" * 500 + b"\r\n\r\n"
    )
    assert not [
        line
        for line in http1._known
        if b"Authorization" in line or b"Cookie" in line or len(line) > limits.LINE_KEPT
    ]
