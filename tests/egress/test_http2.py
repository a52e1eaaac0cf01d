"""HTTP/2 through the gate: streams judged one by one, bodies both ways, windows, trailers, upstreams that leave."""

import time

import pytest
from gates import WAIT, credential, drain, rule
from http2_peers import Client2, connect2, data, reset, settings, window

from ringfence.handover import Canary
from ringfence.policy.model import Gateway, Watch

HOST, OTHER = "api.example.com", "other.example.com"
KEY = "canary-key-0123456789abcdef"


@pytest.fixture(scope="module")
def upstream(serve2):
    return serve2(HOST, OTHER, answer=answer)


@pytest.fixture(scope="module")
def old(serve):
    return serve("old.example.com")


def answer(peer, request):
    """Answer as the path asks."""
    path = request.named[":path"]
    if path == "/trailers":
        peer.reply(
            request,
            200,
            b"body",
            [("content-type", "application/grpc")],
            [("grpc-status", "5"), ("x-sum", "1"), ("set-cookie", "a=b")],
        )
    elif path == "/alone":
        peer.reply(request, 200, b"", [("grpc-status", "5"), ("content-type", "application/grpc")])
    elif path == "/echo":
        peer.reply(request, 200, request.body)
    elif path.startswith("/big"):
        peer.reply(request, 200, bytes(int(path[4:])))
    elif path == "/leak":
        peer.reply(
            request,
            200,
            request.named["authorization"].encode(),
            [("x-leak", request.named["authorization"])],
        )
    elif path == "/never":
        return
    else:
        peer.reply(request, 200, b"ok")


@pytest.fixture(scope="module")
def gate(start, upstream, old):
    return start(
        allow=(rule(HOST, paths=("/**",)), rule(OTHER, paths=("/open/**",)), rule("old.example.com")),
        static=((HOST, upstream.address), (OTHER, upstream.address), ("old.example.com", old.address)),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
    )


def test_a_request_goes_through_and_is_recorded_once(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, path="/a?b=c", fields=[("x-mine", "1"), ("cookie", "a=1"), ("cookie", "b=2")])
        assert client.done(1)
        assert (client.status(1), client.bodies[1]) == (200, b"ok")
    (request,) = upstream.requests
    assert upstream.faults == []
    assert request.fields[:4] == [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/a?b=c"),
    ]
    assert request.named["x-mine"] == "1"
    assert request.named["cookie"] == "a=1; b=2"
    assert len(gate.wait_for("verdict", path="/a?b=c")) == 1


@pytest.mark.guarantee("N8")
@pytest.mark.guarantee("N9")
def test_each_stream_is_judged_by_its_own_authority(gate, upstream):
    """One connection, two names on the upstream's certificate: the connection's name counts (T6)."""
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, OTHER, path="/open/x")
        client.ask(3, HOST, path="/fine")
        client.ask(5, f"{HOST}:8443", path="/fine")
        client.ask(7, "evil.test", path="/")
        client.ask(9, f"{HOST}:443", path="/named")
        assert client.done(1, 3, 5, 7, 9)
    assert [client.status(one) for one in (1, 3, 5, 7, 9)] == [421, 200, 421, 421, 200]
    assert b"ringfence_mismatch" in client.bodies[1]
    assert [one.named[":path"] for one in upstream.requests] == ["/fine", "/named"]
    assert {one.named[":authority"] for one in upstream.requests} == {HOST}


def test_a_denied_request_says_why_and_the_connection_goes_on(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{OTHER}:443") as client:
        client.ask(1, OTHER, path="/closed")
        client.ask(3, OTHER, "POST", "/closed", body=b"x" * 1000)
        client.ask(5, OTHER, path="/open/a")
        assert client.done(1, 3, 5)
        client.ask(7, OTHER, "HEAD", "/closed")
        assert client.done(7)
    assert [client.status(one) for one in (1, 3, 5, 7)] == [403, 403, 200, 403]
    assert b"ringfence_denied" in client.bodies[1]
    assert 7 not in client.bodies
    assert ("x-ringfence-denied", "1") in client.heads[1][0]
    assert [one.named[":path"] for one in upstream.requests] == ["/open/a"]


@pytest.mark.guarantee("C3")
@pytest.mark.guarantee("C4")
def test_a_credential_is_put_in_and_scrubbed_out_again(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, path="/leak", fields=[("authorization", "Bearer mine")])
        assert client.done(1)
    assert upstream.requests[0].named["authorization"] == KEY
    assert KEY.encode() not in client.bodies[1]
    assert KEY not in str(client.heads[1])


def test_fields_that_speak_to_proxies_or_of_them_go_neither_way(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(
            1,
            HOST,
            path="/a",
            fields=[
                ("x-forwarded-for", "1"),
                ("forwarded", "x"),
                ("proxy-authorization", "y"),
                ("te", "trailers"),
            ],
        )
        assert client.done(1)
    assert not {"x-forwarded-for", "forwarded", "proxy-authorization"} & set(upstream.requests[0].named)
    assert upstream.requests[0].named["te"] == "trailers"


def test_bodies_and_trailers_go_both_ways(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/trailers"),
            ("te", "trailers"),
        ]
        client.send(client.headers(1, head, end=False), data(1, b"some"), data(1, b""), data(1, b"thing"))
        client.send(client.headers(1, [("x-sum", "2"), ("authorization", "mine"), ("content-length", "3")]))
        assert client.done(1)
    (request,) = upstream.requests
    assert (request.body, request.trailers) == (b"something", [("x-sum", "2")])
    assert client.bodies[1] == b"body"
    assert client.heads[1][1] == [("grpc-status", "5"), ("x-sum", "1")]


def test_an_answer_without_a_body_ends_with_its_head(gate):
    """gRPC's clients tell an error by this form ("trailers only")."""
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, path="/alone")
        assert client.done(1)
        assert 1 not in client.bodies
        assert len(client.heads[1]) == 1


def test_a_large_upload_arrives_whole(gate, upstream):
    upstream.clear()
    body = bytes(range(256)) * 4000
    with connect2(gate, f"{HOST}:443") as client:
        head = [
            (":method", "PUT"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/echo"),
            ("content-length", str(len(body))),
        ]
        client.send(client.headers(1, head, end=False), window(0, 2**20), window(1, 2**20))
        room = 262_144
        for at in range(0, len(body), 16384):
            piece = body[at : at + 16384]
            while room < len(piece):
                seen = len(client.frames)
                assert client.read(lambda seen=seen: len(client.frames) > seen)
                room = 262_144 + opened(client, 1) - at
            client.send(data(1, piece, end=at + 16384 >= len(body)))
            room -= len(piece)
        assert client.done(1)
    assert upstream.requests[0].named["content-length"] == str(len(body))
    assert client.bodies[1] == body


def opened(client, number):
    """Return by how much the gate has opened a window."""
    return sum(getattr(one, "window_increment", 0) for one in client.frames if one.stream_id == number)


def test_who_does_not_read_stops_the_upstream(gate, upstream):
    """50 MB are asked for, and the windows stay as they are: only what windows and buffers hold is sent."""
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, path="/big50000000")
        assert client.read(lambda: len(client.bodies.get(1, b"")) == 65_535)
        time.sleep(0.5)
        assert not client.read(lambda: 1 in client.over, 0.3)
        client.ask(3, HOST, path="/quick")
        client.send(window(0, 1000))
        assert client.read(lambda: 3 in client.over)
        client.send(reset(1))
    until = time.monotonic() + WAIT
    while upstream.requests[0].reset is None and time.monotonic() < until:
        time.sleep(0.02)
    assert upstream.requests[0].reset is not None
    while not (found := [one for one in gate.records("response") if one["down"] > 60_000 > one["up"]]):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert [one["down"] < 1_500_000 for one in found] == [True]


def test_windows_that_grow_by_a_setting_count(gate):
    with connect2(gate, f"{HOST}:443") as client:
        client.send(settings(INITIAL_WINDOW_SIZE=0))
        client.ask(1, HOST, path="/big5000")
        assert client.read(lambda: 1 in client.heads)
        assert not client.read(lambda: 1 in client.bodies, 0.2)
        client.send(settings(INITIAL_WINDOW_SIZE=3000))
        assert client.read(lambda: len(client.bodies.get(1, b"")) == 3000)
        client.send(settings(INITIAL_WINDOW_SIZE=1000), window(1, 3000))
        assert client.read(lambda: len(client.bodies[1]) == 4000)
        client.send(settings(INITIAL_WINDOW_SIZE=9000))
        assert client.done(1)
        assert len(client.bodies[1]) == 5000


def test_a_request_that_is_cancelled_is_cancelled_at_the_upstream(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, path="/never")
        wait(lambda: upstream.requests)
        client.send(reset(1))
        wait(lambda: upstream.requests[0].reset is not None)
        client.ask(3, HOST, path="/after")
        assert client.done(3)
    assert upstream.requests[0].reset == 8
    assert upstream.connections <= 1


def test_an_agent_that_goes_takes_its_requests_along(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        for number in (1, 3, 5):
            client.ask(number, HOST, path="/never")
        wait(lambda: len(upstream.requests) == 3)
    wait(lambda: all(one.reset is not None for one in upstream.requests))


def wait(holds):
    until = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_upstream_that_speaks_http_1_only_is_served_by_it(gate, old):
    old.clear()
    with connect2(gate, "old.example.com:443") as client:
        client.ask(1, "old.example.com", path="/a")
        client.ask(3, "old.example.com", "POST", "/b", body=b"hello")
        client.ask(5, "old.example.com", "POST", "/c", [("content-length", "5")], body=b"hello")
        assert client.done(1, 3, 5)
        assert [client.bodies[one] for one in (1, 3, 5)] == [b"ok"] * 3
    heads = {head.split(b" ")[1]: (head, body) for head, body in old.requests}
    assert heads[b"/a"][0].startswith(b"GET /a HTTP/1.1\r\nHost: old.example.com\r\n")
    assert heads[b"/b"][1] == b"5\r\nhello\r\n0\r\n\r\n"
    assert b"Content-Length: 5\r\n" in heads[b"/c"][0]


def test_http_1_clients_keep_to_http_1_upstream(gate):
    """Who asks by HTTP/1.1 gets the cheaper protocol all the way."""
    assert gate.ask("old.example.com:443")[0] == 200


def test_prior_knowledge_is_taken_without_tls_where_plain_http_is_allowed(start, serve2):
    upstream = serve2(tls=False)
    gate = start(
        allow=(rule("plain.example.com", schemes=("http",)),),
        static=(("plain.example.com", upstream.address),),
    )
    sock = gate.plain()
    sock.sendall(b"CONNECT plain.example.com:80 HTTP/1.1\r\nHost: plain.example.com:80\r\n\r\n")
    assert b" 200 " in sock.recv(4096)
    with Client2(sock) as client:
        client.ask(1, "plain.example.com", scheme="http")
        client.ask(3, "plain.example.com", scheme="https")
        assert client.done(1, 3)
        assert (client.status(1), client.status(3)) == (200, 400)
    (request,) = upstream.requests
    assert request.named[":scheme"] == "http"


def test_prior_knowledge_is_not_taken_by_the_proxy_nor_inside_tls(gate):
    answer = gate.converse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", end=True)
    assert answer.startswith(b"HTTP/1.1 505 ")
    answer = gate.tunnelled("old.example.com:443", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 505 ")


def test_prior_knowledge_is_not_taken_after_a_request(start, serve):
    upstream = serve(tls=False)
    plain = "plain.example.com"
    gate = start(allow=(rule(plain, schemes=("http",)),), static=((plain, upstream.address),))
    with gate.plain() as sock:
        head = f"{plain}:80".encode()
        sock.sendall(b"CONNECT " + head + b" HTTP/1.1\r\nHost: " + head + b"\r\n\r\n")
        assert b" 200 " in sock.recv(4096)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: plain.example.com\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        answer = drain(sock)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 505 " in answer


def test_a_gateway_takes_http_2_and_goes_on_by_it(start, serve2):
    upstream = serve2(HOST)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
        gateways=(Gateway(name="model", upstream=f"https://{HOST}/v1"),),
    )
    name = "model.gateway.internal"
    sock = gate.plain()
    sock.sendall(f"CONNECT {name}:80 HTTP/1.1\r\nHost: {name}:80\r\n\r\n".encode())
    assert b" 200 " in sock.recv(4096)
    with Client2(sock) as client:
        client.ask(1, name, path="/messages", scheme="http")
        assert client.done(1)
        assert client.status(1) == 200
    (request,) = upstream.requests
    assert (request.named[":path"], request.named[":scheme"]) == ("/v1/messages", "https")
    assert request.named["authorization"] == KEY


def test_an_upgrade_to_http_2_is_not_taken(gate, old):
    old.clear()
    raw = b"GET / HTTP/1.1\r\nHost: old.example.com\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    answer = gate.tunnelled("old.example.com:443", raw)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"pgrade" not in old.heads[0]
    assert b"settings" not in old.heads[0].lower()


def test_a_canary_in_a_requests_trailers_goes_nowhere(start, serve2):
    canary = "rf8Zq27LmXw0TnPvKc5Bd1Ys"
    upstream = serve2(HOST)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        canaries=(Canary(place="BACKUP_TOKEN", value=canary),),
        watch=Watch(alarm="refuse"),
    )
    with connect2(gate, f"{HOST}:443") as client:
        head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/"),
            ("te", "trailers"),
        ]
        client.send(client.headers(1, head, end=False), data(1, b"x"), client.headers(1, [("x-sum", canary)]))
        assert client.done(1)
        assert client.status(1) == 403
        client.send(client.headers(3, head, end=False), data(3, b"x"), client.headers(3, [("x-sum", "1")]))
        assert client.done(3)
        assert client.status(3) == 200
    assert [one.trailers for one in upstream.requests if one.over] == [[("x-sum", "1")]]
    gate.wait_for("alarm")


def test_the_gate_ends_in_order_with_connections_open(start, serve2):
    upstream = serve2(
        HOST,
        answer=lambda peer, request: request.named[":path"] == "/never" or peer.reply(request, 200, b"ok"),
    )
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST)
        assert client.done(1)
        client.ask(3, HOST, path="/never")
        wait(lambda: len(upstream.requests) == 2)
        assert gate.stop() == 0
        assert client.ended()
    assert gate.stderr == ""
