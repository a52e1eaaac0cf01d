"""Whatever bytes a client sends, an upstream sees nothing or exactly the request that was judged.

What the gate writes is read back by parsers that are not ours: llhttp (Node.js's) and h11.
"""

import collections
import contextlib

import h11
import httptools
import pytest
from gates import Running, Upstream, Upstreams, rule
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from ringfence.egress import http1, second
from ringfence.egress.gate import TUNNEL, Gate, Origin, Target
from ringfence.egress.http1 import MalformedError
from ringfence.egress.http1_client import ClientConnection
from ringfence.handover import Handover

HOST = "api.example.com"

PIECES = st.sampled_from(
    [
        *(
            b"GET / HTTP/1.1\r\n",
            b"POST /a HTTP/1.1\r\n",
            b"GET /x/../y?z HTTP/1.1\r\n",
            b"PUT /a%2fb HTTP/1.0\r\n",
        ),
        *(
            b"GET https://api.example.com/ HTTP/1.1\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\n",
            b"G\0T / HTTP/1.1\r\n",
        ),
        *(
            b"Host: api.example.com\r\n",
            b"Host: api.example.com:443\r\n",
            b"host:api.example.com\r\n",
            b"Host: evil.test\r\n",
        ),
        *(
            b"Content-Length: 5\r\n",
            b"Content-Length: 0\r\n",
            b"Content-Length: 5, 5\r\n",
            b"Content-Length: +5\r\n",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: x, chunked\r\n",
            b"Transfer-Encoding : chunked\r\n",
        ),
        *(
            b"Connection: close\r\n",
            b"Connection: keep-alive, host\r\n",
            b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        ),
        *(
            b"Expect: 100-continue\r\n",
            b"X-A: b\r\n c\r\n",
            b"X-A: \xff\r\n",
            b"X-A: b\rX: c\r\n",
            b"X A: b\r\n",
        ),
        *(
            b"\r\n",
            b"\r\n",
            b"\r\n",
            b"hello",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"0\r\nA: b\r\n\r\n",
            b"5;x\r\nhello\r\n",
            b"\n",
        ),
        *(
            b"GET /2 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
            b"GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        ),
    ]
)
NOISE = st.lists(st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=4)), max_size=14).map(b"".join)
FIELD = st.sampled_from(
    [
        *(
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"X-A:\t b \r\n",
            b"X-A:\r\n",
        ),
        *(
            b"Connection: host, x-a, content-length\r\n",
            b"Connection: transfer-encoding\r\n",
            b"X-A: \xff\xfe\r\n",
            b"TE: x\r\n",
        ),
        *(
            b"Expect: 100-continue\r\n",
            b"Connection: upgrade\r\nUpgrade: websocket\r\n",
            b"Upgrade: h2c\r\n",
            b"Trailer: x\r\n",
        ),
    ]
)
BODY = st.sampled_from(
    [
        b"",
        b"",
        b"hello",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
        b"0\r\n\r\n",
    ]
)
TARGET = st.one_of(
    st.sampled_from(
        [
            b"/",
            b"/a?b",
            b"/x/../y",
            b"/%61",
            b"/a%2Fb",
            b"//a;b",
            b"https://API.example.com",
            b"/\xc3\xa4?\xff",
        ]
    ),
    st.binary(min_size=1, max_size=6).map(lambda tail: b"/" + tail),
)
NEARLY_GOOD = st.builds(
    lambda method, target, fields, body: (
        method + b" " + target + b" HTTP/1.1\r\nHost: api.example.com\r\n" + b"".join(fields) + b"\r\n" + body
    ),
    st.sampled_from([b"GET", b"POST", b"HEAD", b"M-SEARCH", b"OPTIONS"]),
    TARGET,
    st.lists(FIELD, max_size=4, unique=True),
    BODY,
)
BYTES = st.one_of(NEARLY_GOOD, NEARLY_GOOD, NOISE)


def pure_gate():
    empty = dict.fromkeys(
        ("listeners", "allow", "ask", "deny", "splice", "static", "extra_ca", "publish"), ()
    )
    return Gate(
        Handover(
            **empty,
            **dict.fromkeys(("dns_fd", "secrets_fd", "vend_fd")),
            **dict.fromkeys(("session", "policy_digest", "audit_path", "authority_dir", "ready_dir"), ""),
            control_fd=0,
            credentials=(),
            gateways=(),
            gate_address="127.0.0.1",
            proxy_port=3128,
        )
    )


class Reader:
    """Counts what llhttp reads."""

    def __init__(self):
        self.urls, self.complete, self.headers, self.body = [], 0, [], b""

    def on_url(self, url):
        self.urls.append(url)

    def on_header(self, name, value):
        self.headers.append((name, value))

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.complete += 1


GATE = pure_gate()
ORIGIN = Origin(kind=TUNNEL, scheme="https", host=HOST, port=443)


@settings(max_examples=400, deadline=None)
@example(b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: host\r\n\r\n")
@example(
    b"POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)
@given(BYTES)
def test_a_head_that_is_accepted_is_written_so_that_every_parser_reads_the_same_one_request(data):
    try:
        end = http1.head_end(data)
        if not end:
            return
        head = http1.parse_request(data[:end])
        second.agree(data[:end], head)
        target = GATE.target(head, ORIGIN)
        if not isinstance(target, Target):
            return
        decoder = http1.body(head.framing)
        payload = decoder.take(data[end:]) if not decoder.done else b""
    except MalformedError:
        return
    if not decoder.done:
        return
    event("written")
    whole = sent(head, target, payload)
    seen = Reader()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(whole)
    except httptools.HttpParserUpgrade:
        assert head.upgrade == b"websocket"
    assert (seen.complete, seen.body) == (1, payload)
    assert seen.urls == [(target.path.text + target.path.query).encode()]
    assert [value for name, value in seen.headers if name.lower() == b"host"] == [HOST.encode()]
    assert one_request_for_h11(whole) == (head.method.encode(), seen.urls[0], payload)


class Wire:
    """Takes what a connection writes."""

    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data


def sent(head, target, payload):
    """Return the bytes that go upstream for a request."""
    wire = Wire()
    connection = ClientConnection((), wire, HOST.encode(), None)
    out = GATE.outgoing(head, target)
    connection.send(
        out.method,
        out.path + out.query,
        out.fields,
        out.framing,
        upgrade=head.upgrade if head.upgrade == b"websocket" else b"",
        trailers=head.trailers,
    )
    connection.write(payload)
    connection.finish()
    return wire.written


def one_request_for_h11(data):
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    payload = b""
    while isinstance(part := connection.next_event(), h11.Data):
        payload += part.data
    assert isinstance(part, h11.EndOfMessage)
    assert connection.trailing_data[0] == b""
    return event.method, event.target, payload


# --- the same through the whole process


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    certificates = Upstreams(tmp_path_factory.mktemp("upstreams"))
    upstream = Upstream(certificates.context(HOST))
    gate = Running(
        tmp_path_factory.mktemp("gate"),
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        extra_ca=(certificates.ca,),
    )
    yield gate, upstream
    gate.stop()
    upstream.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BYTES, min_size=1, max_size=3))
@pytest.mark.guarantee("N10")
def test_whole_connections_of_any_bytes_bring_upstream_only_what_was_allowed(world, pieces):
    gate, upstream = world
    with gate.connect(f"{HOST}:443") as sock:
        sock.settimeout(0.03)
        for piece in pieces:
            sock.sendall(piece)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass
    # A verdict is on record before its request is sent, so what was seen is read first.
    heads = list(upstream.heads)
    seen = collections.Counter(head.split(b"\r\n")[0].decode() for head in heads)
    allowed = [one for one in gate.records("verdict") if one["effect"] == "allow"]
    assert seen <= collections.Counter(f"{one['method']} {one['path']} HTTP/1.1" for one in allowed)
    assert b"evil.test" not in b"".join(heads)
    assert all(head.count(b"\r\nHost: ") == 1 for head in heads)
