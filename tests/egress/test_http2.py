"""HTTP/2 through the gate: streams judged one by one, bodies both ways, windows, trailers, upstreams that leave."""

import threading
import time

import h2.settings
import pytest
from gates import WAIT, credential, rule
from http2_peers import Client2, connect2, data, reset, window

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
    (record,) = [one for one in gate.wait_for("response", host=HOST) if one["down"] > 60_000]
    assert record["down"] < 1_500_000


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


@pytest.mark.parametrize("code", [8, 11, 13])
def test_the_reason_of_a_reset_travels_where_it_means_the_same(start, serve2, code):
    def begun(peer, request):
        peer.conn.send_headers(request.number, [(":status", "200")])
        peer.conn.send_data(request.number, b"part")
        peer.flush()
        time.sleep(0.2)
        peer.conn.reset_stream(request.number, code)

    upstream = serve2(HOST, begun=begun, answer=lambda *_: None)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST)
        assert client.done(1)
        assert client.resets[1] == code


def test_an_upstream_that_resets_before_it_answers_is_a_bad_gateway(start, serve2):
    upstream = serve2(HOST, answer=lambda peer, request: peer.conn.reset_stream(request.number, 2))
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST)
        assert client.done(1)
        assert client.status(1) == 502


def test_an_answer_that_comes_before_the_body_is_over_is_passed_on(start, serve2):
    def begun(peer, request):
        peer.reply(request, 413, b"too much")
        peer.flush()
        peer.conn.reset_stream(request.number, 0)

    upstream = serve2(HOST, begun=begun, answer=lambda *_: None)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        head = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/")]
        client.send(client.headers(1, head, end=False), data(1, b"x" * 1000))
        assert client.read(lambda: 1 in client.over)
        assert (client.status(1), client.bodies[1]) == (413, b"too much")
        assert client.done(1)


def test_a_request_the_upstream_did_not_look_at_is_sent_again(start, serve2):
    """The first connection goes away and says which streams it has not looked at: whatever their method."""
    turns = []

    def answered(peer, request):
        turns.append(request.named[":path"])
        if len(turns) == 1:
            peer.conn.close_connection(last_stream_id=0)
            peer.flush()
            return
        peer.reply(request, 200, request.body)

    upstream = serve2(HOST, answer=answered)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, "POST", "/once", body=b"hello")
        assert client.done(1)
        assert (client.status(1), client.bodies[1]) == (200, b"hello")
    assert turns == ["/once", "/once"]
    assert upstream.connections == 2


def test_a_refused_stream_is_sent_again_once_only(start, serve2):
    upstream = serve2(HOST, answer=lambda peer, request: peer.conn.reset_stream(request.number, 7))
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, "POST", "/", body=b"hello")
        assert client.done(1)
        assert client.status(1) == 502
    assert len(upstream.requests) == 2


def test_a_request_that_may_have_been_looked_at_is_not_sent_again(start, serve2):
    def begun(peer, _):
        peer.sock.close()
        raise OSError

    upstream = serve2(HOST, begun=begun)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, "POST", "/", body=b"hello")
        assert client.done(1)
        assert client.status(1) == 502
    assert len(upstream.requests) == 1


def test_what_is_under_way_goes_on_when_the_upstream_goes_away(start, serve2):
    """A server that ends a connection in order answers what it has accepted (nginx after 1000 requests)."""
    going = threading.Event()

    def answered(peer, request):
        # A GOAWAY by hand: the library would end its side at once.
        from hyperframe.frame import GoAwayFrame

        peer.flush()
        peer.sock.sendall(GoAwayFrame(0, last_stream_id=request.number).serialize())
        going.set()
        time.sleep(0.2)
        peer.reply(request, 200, b"late")

    upstream = serve2(HOST, answer=answered)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST)
        assert going.wait(WAIT)
        client.ask(3, HOST)
        assert client.done(1, 3)
        assert [client.bodies.get(one) for one in (1, 3)] == [b"late", b"late"]
    assert upstream.connections == 2


def test_no_more_streams_are_opened_than_the_upstream_allows(start, serve2):
    under_way, most, lock = set(), [0], threading.Lock()
    code = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS

    def answered(peer, request):
        with lock:
            under_way.add((id(peer), request.number))
            most[0] = max(most[0], sum(one[0] == id(peer) for one in under_way))
        time.sleep(0.02)
        peer.reply(request, 200, b"ok")
        with lock:
            under_way.discard((id(peer), request.number))

    upstream = serve2(HOST, answer=answered, settings={code: 2})
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        numbers = range(1, 21, 2)
        for number in numbers:
            client.ask(number, HOST)
        assert client.done(*numbers)
        assert {client.status(one) for one in numbers} == {200}
    assert upstream.faults == []
    assert 2 <= upstream.connections <= 10


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


def test_prior_knowledge_is_not_taken_by_the_proxy_nor_after_a_request(gate):
    answer = gate.converse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", end=True)
    assert answer.startswith(b"HTTP/1.1 505 ")


def test_an_upgrade_to_http_2_is_not_taken(gate, old):
    old.clear()
    raw = b"GET / HTTP/1.1\r\nHost: old.example.com\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    answer = gate.tunnelled("old.example.com:443", raw)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"pgrade" not in old.heads[0]
    assert b"settings" not in old.heads[0].lower()
