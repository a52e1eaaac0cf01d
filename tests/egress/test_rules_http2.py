"""Rules that look into bodies, over HTTP/2: one stream's body is read while others go on."""

import json

import pytest
from gates import rule
from http2_peers import connect2, data

HOST = "api.example.com"
JSON = [("content-type", "application/json")]


@pytest.fixture(scope="module")
def upstream(serve2):
    return serve2(HOST, answer=lambda peer, request: peer.reply(request, 200, request.body))


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(
            rule(HOST, paths=("/graphql",), graphql=("query",)),
            rule(HOST, paths=("/small",), max_body=1000),
            rule(HOST, paths=("/open",)),
        ),
        static=((HOST, upstream.address),),
    )


@pytest.mark.guarantee("R3")
def test_each_stream_is_judged_by_its_own_body(gate, upstream):
    upstream.clear()
    good, bad = b'{"query": "{ viewer { login } }"}', b'{"query": "mutation { createIssue { id } }"}'
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, "POST", "/graphql", JSON, bad)
        client.ask(3, HOST, "POST", "/graphql", JSON, good)
        client.ask(5, HOST, path="/open")
        assert client.done(1, 3, 5)
        assert (client.status(1), client.status(3), client.status(5)) == (403, 200, 200)
        assert client.bodies[3] == good
    assert json.loads(client.bodies[1])["error"]["allow"]["graphql"] == ["mutation createIssue"]
    assert sorted(request.named[":path"] for request in upstream.requests) == ["/graphql", "/open"]


def test_a_body_that_comes_late_holds_up_no_other_stream(gate, upstream):
    upstream.clear()
    body = b'{"query": "{ viewer }"}'
    with connect2(gate, f"{HOST}:443") as client:
        fields = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/graphql"),
            *JSON,
        ]
        client.send(client.headers(1, fields, end=False))
        client.send(data(1, body[:5]))
        client.ask(3, HOST, path="/open")
        assert client.done(3)
        client.send(data(1, body[5:], end=True))
        assert client.done(1)
        assert (client.status(1), client.bodies[1]) == (200, body)


@pytest.mark.guarantee("R4")
def test_a_stream_that_grows_beyond_its_rule_is_cut_off(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/small")]
        client.send(client.headers(1, fields, end=False))
        client.send(data(1, b"x" * 600), data(1, b"x" * 600, end=True))
        assert client.done(1)
        assert client.status(1) == 403
        client.ask(3, HOST, "POST", "/small", (), b"x" * 1000)
        assert client.done(3)
        assert client.status(3) == 200
    assert [len(request.body) for request in upstream.requests if request.over and not request.reset] == [
        1000
    ]
