"""HTTP/1 framing through the whole gate (THREATS.md §3.4): the upstream sees one clean request or nothing."""

import contextlib
import ssl
import time

import pytest
from gates import WAIT, drain, parse, read_head, rule

HOST = "api.example.com"
GET = b"GET / HTTP/1.1\r\nHost: api.example.com\r\n"
POST = b"POST / HTTP/1.1\r\nHost: api.example.com\r\n"
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: api.example.com\r\n\r\n"


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(rule(HOST), rule("plain.example.com", schemes=("http",))),
        static=((HOST, upstream.address), ("plain.example.com", upstream.address)),
    )


REFUSED = {
    "CL.TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + SECOND,
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + SECOND,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SECOND,
    "identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "two TE": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + SECOND,
    "TE with a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "TE with a vertical tab": POST + b"Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n" + SECOND,
    "CL twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx" + SECOND,
    "CL unequal": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx" + SECOND,
    "CL list": POST + b"Content-Length: 1, 1\r\n\r\nx" + SECOND,
    "CL +1": POST + b"Content-Length: +1\r\n\r\nx" + SECOND,
    "CL -1": POST + b"Content-Length: -1\r\n\r\nx" + SECOND,
    "CL 0x1": POST + b"Content-Length: 0x1\r\n\r\nx" + SECOND,
    "CL 00001": POST + b"Content-Length: 00001\r\n\r\nx" + SECOND,
    "CL huge": POST + b"Content-Length: 99999999999999999999999\r\n\r\nx" + SECOND,
    "chunk size 0x1": POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n" + SECOND,
    "chunk size -0": POST + b"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n" + SECOND,
    "chunk size 17 digits": POST
    + b"Transfer-Encoding: chunked\r\n\r\n00000000000000001\r\nx\r\n0\r\n\r\n"
    + SECOND,
    "chunk ext bare LF": POST + b"Transfer-Encoding: chunked\r\n\r\n1;a\nx\r\nx\r\n0\r\n\r\n" + SECOND,
    "chunk with a space": POST + b"Transfer-Encoding: chunked\r\n\r\n1 ;a\r\nx\r\n0\r\n\r\n" + SECOND,
    "garbage after a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxyz0\r\n\r\n" + SECOND,
    "bare LF after a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n" + SECOND,
    "obs-fold": GET + b"X-A: b\r\n c\r\n\r\n",
    "bare CR": GET + b"X-A: b\rX-B: c\r\n\r\n",
    "bare LF": GET + b"X-A: b\nX-B: c\r\n\r\n",
    "bare LF lines": b"GET / HTTP/1.1\nHost: api.example.com\n\n",
    "NUL": GET + b"X-A: b\0c\r\n\r\n",
    "NUL in a name": GET + b"X\0A: b\r\n\r\n",
    "leading space": b"GET / HTTP/1.1\r\n Host: api.example.com\r\n\r\n",
    "no colon": GET + b"X-A\r\n\r\n",
    "a name that is no token": GET + b"X@A: b\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\nX-A: b\r\n\r\n",
    "two Hosts": GET + b"Host: api.example.com\r\n\r\n",
    "a list in Host": b"GET / HTTP/1.1\r\nHost: api.example.com, api.example.com\r\n\r\n",
    "userinfo in Host": b"GET / HTTP/1.1\r\nHost: x@api.example.com\r\n\r\n",
    "a path in Host": b"GET / HTTP/1.1\r\nHost: api.example.com/x\r\n\r\n",
    "ftp:": b"GET ftp://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "file:": b"GET file:///etc/passwd HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "http: in TLS": b"GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "CONNECT in a tunnel": b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n",
    "authority-form on GET": b"GET api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2.0 in text": b"GET / HTTP/2.0\r\nHost: api.example.com\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "lower-case method": b"get / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "another expectation": GET + b"Expect: 200-ok\r\n\r\n",
    "a fragment": b"GET /#a HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "a backslash": b"GET /a\\b HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "an encoded NUL": b"GET /%00 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "an encoded line break": b"GET /%0d%0aX-A:b HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "a megabyte in one header": GET + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "ten thousand headers": GET + b"".join(b"X-%d: a\r\n" % at for at in range(10_000)) + b"\r\n",
    "TLS in TLS": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_ambiguous_is_answered_with_an_error_and_the_connection_closed(gate, upstream, raw):
    upstream.clear()
    with gate.connect(f"{HOST}:443") as sock:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            sock.sendall(raw)
        status, headers, _ = parse(drain(sock))
    assert status in {400, 405, 414, 417, 421, 431, 501, 505}
    assert headers["connection"] == "close"
    assert b"smuggled" not in upstream.seen
    assert not complete(upstream.seen)


def complete(seen):
    """Say whether the upstream saw a whole request."""
    head, found, body = seen.partition(b"\r\n\r\n")
    if not found:
        return False
    return b"chunked" not in head or body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://plain.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"GET http://plain.example.com:8080/ HTTP/1.1\r\nHost: plain.example.com\r\n\r\n",
        b"GET http://plain.example.com/ HTTP/1.1\r\nHost: plain.example.com:8080\r\n\r\n",
    ],
)
def test_a_url_and_a_host_that_differ_are_421(gate, upstream, raw):
    upstream.clear()
    status, _, body = parse(gate.converse(raw))
    assert status == 421
    assert b"ringfence_mismatch" in body
    assert upstream.seen == b""


@pytest.mark.parametrize(
    "inner",
    [
        b"GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.example.com:8443\r\n\r\n",
        b"GET https://other.example.com/ HTTP/1.1\r\nHost: other.example.com\r\n\r\n",
        b"GET https://other.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    ],
)
def test_a_host_other_than_the_tunnels_is_421_also_on_a_later_request(gate, upstream, inner):
    upstream.clear()
    assert parse(gate.tunnelled(f"{HOST}:443", inner))[0] == 421
    assert upstream.seen == b""
    answers = gate.tunnelled(f"{HOST}:443", GET + b"\r\n" + inner)
    assert answers.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 421 " in answers
    assert len(upstream.heads) == 1


def test_the_origin_form_on_the_proxy_port_is_refused(gate, upstream):
    upstream.clear()
    assert parse(gate.converse(b"GET / HTTP/1.1\r\nHost: plain.example.com\r\n\r\n"))[0] == 400
    assert upstream.seen == b""


def test_https_in_plain_absolute_form_is_refused(gate):
    assert (
        parse(gate.converse(b"GET https://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n"))[0]
        == 400
    )


@pytest.mark.usefixtures("gate")
def test_an_http_url_reaches_a_host_that_a_rule_opens_for_http(serve, start):
    plain = serve("plain.example.com", tls=False)
    own = start(
        allow=(rule("plain.example.com", schemes=("http",)),), static=(("plain.example.com", plain.address),)
    )
    raw = b"GET http://plain.example.com/a HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n\r\n"
    assert parse(own.converse(raw))[0] == 200
    assert plain.heads == [b"GET /a HTTP/1.1\r\nHost: plain.example.com"]


# --- what is forwarded is written anew


def forwarded(gate, upstream, raw):
    upstream.clear()
    answer = gate.tunnelled(f"{HOST}:443", raw)
    assert parse(answer)[0] == 200, answer
    return upstream.seen


def test_hop_by_hop_and_proxy_headers_stay_here(gate, upstream):
    seen = forwarded(
        gate,
        upstream,
        GET + b"Connection: close, X-Named\r\nX-Named: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\n"
        b"Proxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nForwarded: for=1\r\nVia: 1.1 x\r\n"
        b"X-Forwarded-For: 1\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 1\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
        b"X-Ringfence-Session: 1\r\nX-Kept: yes\r\n\r\n",
    )
    assert seen == b"GET / HTTP/1.1\r\nHost: api.example.com\r\nX-Kept: yes\r\n\r\n"


def test_an_absolute_url_in_a_tunnel_becomes_a_path(gate, upstream):
    seen = forwarded(
        gate,
        upstream,
        b"GET https://API.example.com:443/a?b HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n",
    )
    assert seen.startswith(b"GET /a?b HTTP/1.1\r\nHost: api.example.com\r\n")


def test_the_path_that_was_judged_is_the_path_that_is_sent(gate, upstream):
    raw = b"GET /x/../%61//b/. HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n"
    assert forwarded(gate, upstream, raw).startswith(b"GET /a/b/ HTTP/1.1\r\n")


def test_a_chunked_body_is_framed_again_without_extensions_and_trailers(gate, upstream):
    seen = forwarded(
        gate,
        upstream,
        POST + b"Connection: close\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b"00005;a=b\r\nhello\r\n1\r\n!\r\n0\r\nContent-Length: 9\r\nAuthorization: x\r\nHost: evil\r\n\r\n",
    )
    assert seen.endswith(b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello!\r\n0\r\n\r\n")
    assert b"evil" not in seen


def test_a_get_with_a_body_is_framed_by_its_length(gate, upstream):
    seen = forwarded(gate, upstream, GET + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc")
    assert seen.endswith(b"Content-Length: 3\r\n\r\nabc")


def test_an_empty_post_says_so(gate, upstream):
    assert b"Content-Length: 0\r\n" in forwarded(gate, upstream, POST + b"Connection: close\r\n\r\n")


def test_http_1_0_is_served_and_closed(gate, upstream):
    upstream.clear()
    answer = gate.tunnelled(f"{HOST}:443", b"GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n")
    assert parse(answer)[0] == 200
    assert upstream.seen.startswith(b"GET / HTTP/1.1\r\n")


def test_expect_100_is_answered_here_and_not_sent_on(gate, upstream):
    upstream.clear()
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n")
        assert read_head(sock) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        assert parse(drain(sock))[0] == 200
    assert b"xpect" not in upstream.seen


def test_a_refused_request_gets_no_100(gate, upstream):
    upstream.clear()
    raw = b"POST / HTTP/1.1\r\nHost: other.example.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    assert gate.tunnelled(f"{HOST}:443", raw).startswith(b"HTTP/1.1 421 ")


def test_a_hundred_pipelined_requests_are_served_in_order_up_to_the_bad_one(gate, upstream):
    upstream.clear()
    raw = b"".join(b"GET /%d HTTP/1.1\r\nHost: api.example.com\r\n\r\n" % at for at in range(60))
    raw += GET + b"X A: b\r\n\r\n"
    raw += b"".join(b"GET /after%d HTTP/1.1\r\nHost: api.example.com\r\n\r\n" % at for at in range(40))
    answers = gate.tunnelled(f"{HOST}:443", raw)
    assert answers.count(b"HTTP/1.1 200 OK") == 60
    assert answers.count(b"HTTP/1.1 400 ") == 1
    assert [one.split(b" ")[1] for one in upstream.heads] == [b"/%d" % at for at in range(60)]


def test_a_head_sent_byte_by_byte_is_read(gate, upstream):
    upstream.clear()
    with gate.connect(f"{HOST}:443") as sock:
        for byte in GET + b"Connection: close\r\n\r\n":
            sock.sendall(bytes((byte,)))
        assert parse(drain(sock))[0] == 200


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_no_whole_request_behind(gate, upstream):
    upstream.clear()
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        until = time.monotonic() + WAIT
        while b"hello" not in upstream.seen and time.monotonic() < until:
            time.sleep(0.01)
    until = time.monotonic() + WAIT
    while upstream.ended < 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert upstream.ended == 1
    assert not upstream.seen.endswith(b"0\r\n\r\n")


def test_every_refusal_is_on_record(gate):
    gate.tunnelled(f"{HOST}:443", b"GET /record-me HTTP/1.1\r\nHost: other.example.com\r\n\r\n")
    found = gate.wait_for("refused", target="/record-me")
    assert (found[0]["status"], found[0]["raw_host"]) == (421, "other.example.com")
