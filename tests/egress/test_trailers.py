"""Trailers travel on where both sides can carry them, and never as what a head would mean by them."""

import pytest
from gates import credential, drain, read_head, rule

HOST = "api.example.com"
KEY = "canary-key-1234567890"
ASK = b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close"
CHUNKED = b"HTTP/1.1 200 OK\r\nTrailer: grpc-status\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
TRAILED = (
    CHUNKED
    + b"grpc-status: 7\r\nX-Echo: "
    + KEY.encode()
    + b"\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n"
)


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST, answer=TRAILED)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
    )


def answered(gate, raw):
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(raw)
        read_head(sock)
        return drain(sock)


def test_a_client_that_does_not_ask_for_trailers_gets_none(gate):
    assert answered(gate, ASK + b"\r\n\r\n") == b"2\r\nok\r\n0\r\n\r\n"


def test_te_counts_only_where_connection_names_it(gate):
    assert answered(gate, ASK + b"\r\nTE: trailers\r\n\r\n") == b"2\r\nok\r\n0\r\n\r\n"


def test_a_client_that_asks_gets_those_that_mean_nothing_in_a_head_and_scrubbed(gate, upstream):
    upstream.clear()
    found = answered(gate, ASK + b", TE\r\nTE: trailers\r\n\r\n")
    assert found == b"2\r\nok\r\n0\r\ngrpc-status: 7\r\nX-Echo: " + b"*" * len(KEY) + b"\r\n\r\n"
    assert b"Connection: TE\r\nTE: trailers\r\n" in upstream.seen


def with_trailers(upstream, sock, held):
    """Read a chunked body up to the end of its trailers."""
    while not held.endswith(b"\r\n\r\n"):
        held += upstream._more(sock, needed=True)
    return held


def test_a_requests_trailers_go_on_without_what_a_head_would_mean_by_them(start, serve, monkeypatch):
    upstream = serve(HOST)
    monkeypatch.setattr(upstream, "_body", lambda sock, _, held: (with_trailers(upstream, sock, held), b""))
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),), credentials=(credential(HOST),))
    raw = (
        b"POST / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close, TE\r\nTE: trailers\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nAuthorization: mine\r\n"
        b"Host: evil.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nForwarded: for=me\r\n\r\n"
    )
    assert b"200" in gate.tunnelled(f"{HOST}:443", raw)
    (body,) = [body for _, body in upstream.requests]
    assert body == b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"


def test_a_trailer_section_that_is_malformed_is_refused(gate, upstream):
    upstream.clear()
    raw = ASK + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX y\r\n\r\n"
    assert b" 400 " in gate.tunnelled(f"{HOST}:443", raw.replace(b"GET", b"POST"))
    assert upstream.requests == []
