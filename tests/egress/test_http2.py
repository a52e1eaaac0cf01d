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
        peer.reply(request, 200, b"body", [("content-type", "application/grpc")], [("grpc-status", "5"), ("x-sum", "1"), ("set-cookie", "a=b")])
    elif path == "/alone":
        peer.reply(request, 200, b"", [("grpc-status", "5"), ("content-type", "application/grpc")])
    elif path == "/echo":
        peer.reply(request, 200, request.body)
    elif path.startswith("/big"):
        peer.reply(request, 200, bytes(int(path[4:])))
    elif path == "/leak":
        peer.reply(request, 200, request.named["authorization"].encode(), [("x-leak", request.named["authorization"])])
    elif path == "/never":
        return
    else:
        peer.reply(request, 200, b"ok")


@pytest.fixture(scope="module")
def gate(start, upstream, old):
    return start(
        allow=(rule(HOST, paths=("/**",)), rule(OTHER, paths=("/open/**",)), rule("old.example.com")),
        static=((HOST, upstream.address), (OTHER, upstream.address), ("old.example.com", old.address)),
        credentials=(credential(HOST, header="authorization", format="Bearer {}"),) if False else (credential(HOST),),
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
    assert request.fields[:4] == [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/a?b=c")]
    assert request.named["x-mine"] == "1"
    assert request.named["cookie"] == "a=1; b=2"
    assert len(gate.wait_for("verdict", path="/a?b=c")) == 1
