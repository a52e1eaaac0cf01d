"""Malformed requests of HTTP/2, by hand (THREATS.md T5, the kinds of h2spec): nothing of them goes upstream.

Three upstreams watch: one that speaks HTTP/2, one that speaks HTTP/1.1 (what an HTTP/2 request becomes there
is where smuggling lives), and none at all for faults of the connection.
"""

import pytest
from gates import rule
from http2_peers import PREFACE, connect2, data, literal, ping, reset, settings, window
from hyperframe.frame import ContinuationFrame, HeadersFrame, PriorityFrame, PushPromiseFrame, SettingsFrame

NEW, OLD = "new.example.com", "old.example.com"


@pytest.fixture(scope="module")
def new(serve2):
    return serve2(NEW)


@pytest.fixture(scope="module")
def old(serve):
    return serve(OLD)


@pytest.fixture(scope="module")
def gate(start, new, old):
    return start(allow=(rule(NEW), rule(OLD)), static=((NEW, new.address), (OLD, old.address)))


def head(*, method="GET", scheme="https", authority="HOST", path="/", more=(), drop=()):
    found = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]
    return [field for field in found if field[0] not in drop]


MALFORMED = {
    "no :method": head(drop=(":method",)),
    "no :scheme": head(drop=(":scheme",)),
    "no :path": head(drop=(":path",)),
    "no :authority": head(drop=(":authority",)),
    "no :authority, but host": head(drop=(":authority",), more=[("host", "HOST")]),
    "two :authority": [*head(more=[])[:3], (":authority", "HOST"), (":path", "/")],
    "two :authority, the second another": [*head()[:3], (":authority", "evil.test"), (":path", "/")],
    "two :method": [(":method", "GET"), *head()],
    "two :path": [*head(), (":path", "/other")],
    "host beside another :authority": head(more=[("host", "evil.test")]),
    "two host": head(more=[("host", "HOST"), ("host", "HOST")]),
    "an empty :authority": head(authority=""),
    "an :authority with a user": head(authority="evil.test@HOST"),
    "an :authority with a blank": head(authority="HOST evil.test"),
    "an :authority with a line end": head(authority="HOST\r\nx: y"),
    "an :authority with a path": head(authority="HOST/x"),
    "an :authority in upper-case-looking Unicode": head(authority=b"HOST\xc3\xa9".decode("latin-1")),
    "an empty :path": head(path=""),
    "a :path that is a URL": head(path="https://HOST/"),
    "a :path that is another's URL": head(path="http://evil.test/"),
    "a :path without a slash": head(path="admin"),
    "a :path that is a star": head(path="*"),
    "a :path with a blank": head(path="/a b"),
    "a :path with a request line": head(path="/ HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /x"),
    "a :path with CR": head(path="/a\rb"),
    "a :path with LF": head(path="/a\nb"),
    "a :path with NUL": head(path="/a\0b"),
    "a :path with a tab": head(path="/a\tb"),
    "a :path with a fragment": head(path="/a#b"),
    ":scheme http": head(scheme="http"),
    ":scheme empty": head(scheme=""),
    ":scheme in capitals": head(scheme="HTTPS"),
    ":scheme with a line end": head(scheme="https://x/\r\ny: z"),
    "an empty method": head(method=""),
    "a method with a blank": head(method="GET /x HTTP/1.1"),
    "a method with a line end": head(method="GET\r\n"),
    "a method in lower case": head(method="get"),
    "an unknown pseudo-field": [*head(more=[])[:4], (":fancy", "1")],
    "a response's pseudo-field": [*head(), (":status", "200")],
    ":protocol without CONNECT": [*head(), (":protocol", "websocket")],
    "a pseudo-field behind a field": [*head()[:3], ("x-a", "1"), (":path", "/")],
    "a name in capitals": head(more=[("X-Mine", "1")]),
    "Content-Length in capitals": head(more=[("Content-Length", "5")]),
    "an empty name": head(more=[("", "1")]),
    "a name with a blank": head(more=[("x mine", "1")]),
    "a name with a colon": head(more=[("x:mine", "1")]),
    "a name with a line end": head(more=[("x\r\ny", "1")]),
    "a name with NUL": head(more=[("x\0", "1")]),
    "a name beyond ASCII": head(more=[("x\xe9", "1")]),
    "a value with CR": head(more=[("x", "a\rb")]),
    "a value with LF": head(more=[("x", "a\nb")]),
    "a value with another field": head(more=[("x", "a\r\ntransfer-encoding: chunked")]),
    "a value with NUL": head(more=[("x", "a\0b")]),
    "a value with DEL": head(more=[("x", "a\x7fb")]),
    "a value that begins with a blank": head(more=[("x", " a")]),
    "a value that ends with a blank": head(more=[("x", "a ")]),
    "a value that begins with a tab": head(more=[("x", "\ta")]),
    "connection": head(more=[("connection", "close")]),
    "connection that names a field": head(more=[("connection", "authorization")]),
    "keep-alive": head(more=[("keep-alive", "1")]),
    "proxy-connection": head(more=[("proxy-connection", "keep-alive")]),
    "transfer-encoding": head(more=[("transfer-encoding", "chunked")]),
    "transfer-encoding beside content-length": head(
        method="POST", more=[("transfer-encoding", "chunked"), ("content-length", "3")]
    ),
    "upgrade": head(more=[("upgrade", "websocket")]),
    "http2-settings": head(more=[("http2-settings", "AA")]),
    "te that is not trailers": head(more=[("te", "gzip")]),
    "te with more than trailers": head(more=[("te", "trailers, chunked")]),
    "two te": head(more=[("te", "trailers"), ("te", "trailers")]),
    "two content-length": head(method="POST", more=[("content-length", "0"), ("content-length", "0")]),
    "content-length without content": head(method="POST", more=[("content-length", "5")]),
    "a content-length with a leading zero": head(method="POST", more=[("content-length", "00")]),
    "an ordinary CONNECT": [(":method", "CONNECT"), (":authority", "HOST")],
    "a CONNECT with all else": head(method="CONNECT"),
    "an extended CONNECT": head(method="CONNECT", more=[(":protocol", "websocket")]),
    "too many fields": head(more=[(f"x-{number}", "1") for number in range(300)]),
    "a :path that is too long": head(path="/" + "a" * 40_000),
    "TRACE": head(method="TRACE"),
    "an encoded NUL": head(path="/a%00b"),
}


def placed(fields, host):
    return [(name, value.replace("HOST", host)) for name, value in fields]


@pytest.mark.parametrize("host", [NEW, OLD])
@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.guarantee("N10")
def test_a_malformed_request_is_refused_and_its_neighbours_are_not(gate, new, old, case, host):
    new.clear()
    old.clear()
    with connect2(gate, f"{host}:443") as client:
        client.ask(1, host, path="/before")
        client.send(client.headers(3, placed(MALFORMED[case], host), raw=True))
        client.ask(5, host, path="/after")
        assert client.done(1, 3, 5)
        statuses = [client.status(one) for one in (1, 3, 5)]
    assert statuses[0] == statuses[2] == 200
    assert statuses[1] in {400, 403, 405, 414, 421, 431}
    paths = [one.named[":path"] for one in new.requests] + [one.split(b" ")[1].decode() for one in old.heads]
    assert sorted(paths) == ["/after", "/before"]
    assert new.faults == []


def frame(kind, number, content=b"", **given):
    made = kind(number)
    made.data = content
    for flag in given.get("flags", ()):
        made.flags.add(flag)
    return made


def block(fields):
    return literal(placed(fields, OLD))


# Faults of the connection, or of a body: sent behind one good request.
BROKEN = {
    "a body longer than content-length": lambda c: [
        c.headers(3, post("3"), end=False, raw=True),
        data(3, b"hello", end=True),
    ],
    "a body shorter than content-length": lambda c: [
        c.headers(3, post("9"), end=False, raw=True),
        data(3, b"hello", end=True),
    ],
    "a body shorter than content-length, with trailers": lambda c: [
        c.headers(3, post("9"), end=False, raw=True),
        data(3, b"hello"),
        c.headers(3, [("x", "1")], raw=True),
    ],
    "a body where content-length is nought": lambda c: [
        c.headers(3, post("0"), end=False, raw=True),
        data(3, b"hello", end=True),
    ],
    "a content-length that is no number": lambda c: [
        c.headers(3, post("+5"), end=False, raw=True),
        data(3, b"hello", end=True),
    ],
    "two content-lengths that differ": lambda c: [
        c.headers(3, [*post("5"), ("content-length", "6")], end=False, raw=True),
        data(3, b"hello", end=True),
    ],
    "a pseudo-field in trailers": lambda c: [
        c.headers(3, post(None), end=False, raw=True),
        c.headers(3, [(":path", "/x")], raw=True),
    ],
    "trailers with a line end": lambda c: [
        c.headers(3, post(None), end=False, raw=True),
        c.headers(3, [("x", "a\r\nb: c")], raw=True),
    ],
    "trailers that do not end the stream": lambda c: [
        c.headers(3, post(None), end=False, raw=True),
        c.headers(3, [("x", "1")], end=False, raw=True),
    ],
    "transfer-encoding in trailers": lambda c: [
        c.headers(3, post(None), end=False, raw=True),
        c.headers(3, [("transfer-encoding", "chunked")], raw=True),
    ],
    "data before a head": lambda _: [data(3, b"hello", end=True)],
    "data on stream nought": lambda _: [raw(0, 0, b"hello")],
    "a head on stream nought": lambda _: [raw(1, 0, block(head()), flags=5)],
    "a head on an even stream": lambda c: [c.headers(2, placed(head(), OLD), raw=True)],
    "a head on an older stream": lambda c: [
        c.headers(9, placed(head(path="/nine"), OLD), raw=True, end=False),
        c.headers(3, placed(head(), OLD), raw=True),
    ],
    "a continuation of nothing": lambda _: [frame(ContinuationFrame, 3, b"", flags=["END_HEADERS"])],
    "a frame in the middle of a head": lambda _: [frame(HeadersFrame, 3, block(head())[:9]), ping()],
    "another stream in the middle of a head": lambda c: [
        frame(HeadersFrame, 3, block(head())[:9]),
        c.headers(5, placed(head(), OLD), raw=True),
    ],
    "a compression error": lambda _: [
        frame(HeadersFrame, 3, b"\xff\xff\xff\xff\xff\x0f", flags=["END_HEADERS", "END_STREAM"])
    ],
    "a head that is cut": lambda _: [
        frame(HeadersFrame, 3, block(head())[:-3], flags=["END_HEADERS", "END_STREAM"])
    ],
    "a table larger than allowed": lambda _: [
        frame(HeadersFrame, 3, b"\x3f\xe1\xff\x03" + block(head()), flags=["END_HEADERS", "END_STREAM"])
    ],
    "a table resized over and over": lambda _: [
        frame(HeadersFrame, 3, b"\x20" * 1000 + block(head()), flags=["END_HEADERS", "END_STREAM"])
    ],
    "a promise": lambda _: [promise()],
    "a window that grows by nothing": lambda _: [raw(8, 0, b"\0\0\0\0")],
    "a window beyond 2^31": lambda _: [window(0, 2**31 - 1), window(0, 2**31 - 1)],
    "a setting that is not allowed": lambda _: [raw_settings(b"\x00\x05\x00\x00\x00\x01")],
    "an initial window beyond 2^31": lambda _: [raw_settings(b"\x00\x04\xff\xff\xff\xff")],
    "settings of a broken length": lambda _: [raw(4, 0, b"\0\5\0")],
    "an acknowledgement with settings": lambda _: [raw(4, 0, b"\0\3\0\0\0\1", flags=1)],
    "a ping of a broken length": lambda _: [raw(6, 0, b"1234567")],
    "a ping on a stream": lambda _: [raw(6, 3, b"12345678")],
    "a reset of an idle stream": lambda _: [reset(7)],
    "a frame that is too long": lambda _: [b"\x00\x40\x01\x00\x00\x00\x00\x00\x03" + bytes(0x4001)],
    "padding longer than the frame": lambda c: [
        c.headers(3, post(None), end=False, raw=True),
        raw(0, 3, b"\xffabc", flags=8),
    ],
    "a stream that depends on itself": lambda _: [priority(3)],
    "HTTP/1.1": lambda _: [b"GET / HTTP/1.1\r\nHost: " + OLD.encode() + b"\r\n\r\n"],
    "the preface once more": lambda _: [PREFACE],
}


def post(length):
    more = [] if length is None else [("content-length", length)]
    return placed(head(method="POST", path="/body", more=more), OLD)


def raw(kind, number, content, flags=0):
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + content


def raw_settings(content):
    return raw(4, 0, content)


def promise():
    made = PushPromiseFrame(3)
    made.promised_stream_id = 4
    made.data = block(head())
    made.flags.add("END_HEADERS")
    return made


def priority(number):
    made = PriorityFrame(number)
    made.depends_on = number
    return made


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_the_protocol_ends_the_stream_or_the_connection(gate, old, case):
    """No whole request comes of it: an upstream that was begun on is cut off."""
    old.clear()
    with connect2(gate, f"{OLD}:443") as client:
        client.ask(1, OLD, path="/before")
        assert client.done(1)
        client.send(*BROKEN[case](client))
        assert (
            client.read(lambda: 3 in client.resets or (client.status(3) or 0) >= 400 or client.closed)
            or client.closed
        )
        assert client.goaway not in {None, 0} or 3 in client.resets or client.status(3) == 400
    whole = [one for one in old.heads if not one.startswith(b"GET /before ")]
    assert whole == []


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", PREFACE[:-1] + b"X", b"\0" * 24, PREFACE + data(1, b"x").serialize()]
)
def test_a_connection_that_does_not_begin_right_is_closed(gate, old, first):
    old.clear()
    with connect2(gate, f"{OLD}:443", begin=False) as client:
        client.send(first)
        assert client.ended()
    assert old.requests == []


def test_what_is_unusual_and_right_is_served(gate, old):
    """Padding, priorities, unknown frames and settings, a head in pieces, a body in pieces, empty pieces."""
    old.clear()
    with connect2(gate, f"{OLD}:443") as client:
        fields = block(head(method="POST", path="/odd", more=[("x-long", "a" * 20_000)]))
        padded = data(1, b"hello")
        padded.flags.add("PADDED")
        padded.pad_length = 20
        client.send(
            settings(HEADER_TABLE_SIZE=0, INITIAL_WINDOW_SIZE=100_000),
            raw_settings(b"\x7a\x7a\x00\x00\x00\x01"),
            raw(0xBB, 0, b"unknown"),
            frame(HeadersFrame, 1, fields[:100]),
            frame(ContinuationFrame, 1, b""),
            frame(ContinuationFrame, 1, fields[100:15_000]),
            frame(ContinuationFrame, 1, fields[15_000:], flags=["END_HEADERS"]),
            padded,
            data(1, b""),
            data(1, b" world"),
            data(1, b"", end=True),
            raw(2, 5, b"\0\0\0\0\x10"),
        )
        assert client.done(1)
        assert client.status(1) == 200
        client.send(SettingsFrame(0), ping())
        client.ask(7, OLD, path="/again")
        assert client.done(7)
    (first, body), _ = old.requests
    assert first.startswith(b"POST /odd HTTP/1.1\r\n")
    assert body == b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" or b"hello world" in body
