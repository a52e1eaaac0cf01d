"""What a person is shown of a request that waits: its headers and body, over HTTP/1.1 and HTTP/2."""

import hashlib

import pytest
from gates import credential, dechunk, rule
from http2_peers import connect2
from test_controls import Held, answered, open_question

from ringfence.cli.approve import Asked, _shown

HOST = "api.example.com"
KEY = "canary-key-0123456789abcdef"
AUTHORIZATION, COOKIE = ("Authorization", "Bearer own-token"), ("Cookie", "sid=own-secret")


def asked(folder):
    one = Asked(str(folder), open_question(folder))
    assert one.is_whole()
    return one


@pytest.mark.guarantee("K1")
def test_headers_and_body_are_shown_and_are_what_is_sent(serve, start, tmp_path):
    upstream = serve(HOST)
    gate = start(ask=(rule(HOST),), static=((HOST, upstream.address),), session_dir=str(tmp_path))
    body = b'{"title": "hello"}\nrefused by itself in 9 s\n\x9b'
    sent = (COOKIE, AUTHORIZATION, ("X-Note", "caf\xe9"))
    held = Held(gate, HOST + ":443", "POST", "/x", sent, body)
    one = asked(tmp_path)
    headers = dict(one.question.headers)
    assert headers["Cookie"] == "(14 bytes, not shown)"
    assert headers["Authorization"] == "Bearer (9 bytes, not shown)"
    assert headers["X-Note"] == "caf\\xe9"
    assert one.question.digest == hashlib.sha256(body).hexdigest()
    text = _shown(one)
    assert "      > Authorization: Bearer (9 bytes, not shown)\n" in text
    assert f"      body, sha256 {hashlib.sha256(body).hexdigest()}\n      | {{" in text
    assert "      | refused by itself in 9 s\n" in text
    assert "own-" not in text
    assert text.isascii()
    assert upstream.requests == []
    answered(tmp_path, "once")
    assert held.outcome()[0] == 200
    assert upstream.requests[0][1] == body
    again = Held(gate, HOST + ":443", "POST", "/x", sent, body + b"!")
    other = asked(tmp_path)
    assert other.question.digest != one.question.digest
    answered(tmp_path, "deny")
    assert again.outcome()[0] == 403


def test_the_credential_of_the_gate_is_shown_by_name_only(serve, start, tmp_path):
    upstream = serve(HOST)
    gate = start(
        ask=(rule(HOST),),
        static=((HOST, upstream.address),),
        session_dir=str(tmp_path),
        credentials=(credential(HOST),),
        environment={"KEY": KEY},
    )
    held = Held(gate, HOST + ":443", "POST", "/x", (AUTHORIZATION,), b"{}")
    question = asked(tmp_path).question
    assert question.credentials != ()
    assert KEY not in str(question)
    assert "own-token" not in str(question)
    answered(tmp_path, "deny")
    assert held.outcome()[0] == 403


def test_a_body_beyond_what_is_held_is_said_to_be_streamed_and_arrives_whole(serve, start, tmp_path):
    upstream = serve(HOST)
    gate = start(
        ask=(rule(HOST),),
        static=((HOST, upstream.address),),
        session_dir=str(tmp_path),
        limits={"ASKED_BODY": 20_000},
    )
    body = bytes(range(256)) * 2000
    held = Held(gate, HOST + ":443", "PUT", "/big", (), body)
    one = asked(tmp_path)
    assert (one.question.length, one.question.digest) == (len(body), "")
    assert "body streamed once it is allowed: only its first 4096 bytes are here" in _shown(one)
    answered(tmp_path, "once")
    assert held.outcome()[0] == 200
    assert upstream.requests[0][1] == body


def test_what_does_not_arrive_is_asked_about_all_the_same_and_goes_on_afterwards(serve, start, tmp_path):
    upstream = serve(HOST)
    gate = start(
        ask=(rule(HOST),),
        static=((HOST, upstream.address),),
        session_dir=str(tmp_path),
        limits={"ASKED_TIME": 0.2},
    )
    head = f"POST /slow HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with gate.connect(HOST + ":443") as sock:
        sock.sendall(head.encode() + b"3\r\nabc\r\n")
        question = asked(tmp_path).question
        assert (question.body, question.digest, question.length) == ("abc", "", -1)
        answered(tmp_path, "once")
        sock.sendall(b"3\r\ndef\r\n0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    assert dechunk(upstream.requests[0][1]) == b"abcdef"


def test_over_http_2_the_same_is_shown(serve2, start, tmp_path):
    upstream = serve2(HOST, answer=lambda peer, request: peer.reply(request, 200, request.body))
    gate = start(ask=(rule(HOST),), static=((HOST, upstream.address),), session_dir=str(tmp_path))
    body = b"a body of " + b"b" * 9_000
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, "POST", "/x", [("authorization", "Bearer own-token"), ("x-note", "n")], body)
        question = asked(tmp_path).question
        assert dict(question.headers)["authorization"] == "Bearer (9 bytes, not shown)"
        assert dict(question.headers)["x-note"] == "n"
        assert (question.length, question.digest) == (len(body), hashlib.sha256(body).hexdigest())
        assert question.body.startswith("a body of bbb")
        answered(tmp_path, "once")
        assert client.done(1)
        assert client.bodies[1] == body
