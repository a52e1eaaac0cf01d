"""Upstreams of HTTP/2 that reset, refuse, leave or answer early: what the agent is told, and what is sent again."""

import threading
import time

import h2.settings
import pytest
from gates import WAIT, rule
from http2_peers import connect2, data

HOST = "api.example.com"


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
