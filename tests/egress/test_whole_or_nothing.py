"""What ends a request half-way ends it for its upstream too: cut bodies, pending answers, early ones, waiting ones."""

import contextlib
import json
import threading
import time

import pytest
from gates import WAIT, credential, drain, parse, read_head, rule
from http2_peers import connect2, data
from strict import Approver, Strict, Strict2
from test_controls import answered, open_question

from ringfence.handover import Canary
from ringfence.policy.model import Budget

H1, H2 = "one.example.com", "two.example.com"
CANARY = "rf8Zq27LmXw0TnPvKc5Bd1Ys"
CHUNKED = f"POST /a HTTP/1.1\r\nHost: {H1}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


@pytest.fixture(scope="module")
def one(certificates):
    made = Strict(certificates.context(H1))
    yield made
    made.close()


@pytest.fixture(scope="module")
def two(certificates):
    made = Strict2(certificates.context(H2))
    yield made
    made.close()


@pytest.fixture
def world(start, one, two):
    """Return a maker of gates before both upstreams."""
    one.clear()
    two.clear()

    def make(**more):
        more.setdefault("allow", (rule(H1), rule(H2)))
        return start(static=((H1, one.address), (H2, two.address)), **more)

    return make


def upload(client, host, *pieces, trailers=()):
    """Send a body in pieces by HTTP/2, and wait for what becomes of it."""
    head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", host),
        (":path", "/a"),
        ("te", "trailers"),
    ]
    client.send(client.headers(1, head, end=False))
    for piece in pieces:
        client.send(data(1, piece))
        client.read(lambda: 1 in client.resets or 1 in client.over, 0.05)
    if trailers:
        client.send(client.headers(1, list(trailers)))
    else:
        client.send(data(1, b"", end=True))
    assert client.done(1)


CUTS = {
    "a budget": ({"budgets": (Budget(name="up", up=1000),)}, b"x" * 900),
    "a canary": ({"canaries": (Canary(place="X", value=CANARY),)}, CANARY.encode()),
}


@pytest.mark.parametrize("why", CUTS)
@pytest.mark.guarantee("N10")
def test_a_chunked_body_that_is_cut_is_no_whole_one_upstream(world, one, why):
    policy, end = CUTS[why]
    gate = world(**policy)
    with gate.connect(f"{H1}:443") as sock, contextlib.suppress(OSError):
        sock.sendall(CHUNKED + b"96\r\n" + b"y" * 150 + b"\r\n")
        until = time.monotonic() + WAIT
        while b"y" * 100 not in one.seen and time.monotonic() < until:
            time.sleep(0.01)
        sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(end), end))
        drain(sock)
    gate.wait_for("response")
    time.sleep(0.1)
    assert (one.whole, one.faults) == ([], [])
    assert CANARY.encode() not in one.seen


@pytest.mark.parametrize("host", [H1, H2])
@pytest.mark.parametrize("why", CUTS)
@pytest.mark.guarantee("N10")
def test_the_same_by_http_2(world, one, two, why, host):
    policy, end = CUTS[why]
    gate = world(**policy)
    with connect2(gate, f"{host}:443") as client, contextlib.suppress(AssertionError):
        upload(client, host, b"y" * 150, end)
    time.sleep(0.1)
    assert ([*one.whole, *two.whole], one.faults + two.faults) == ([], [])


@pytest.mark.parametrize("host", [H1, H2])
def test_a_canary_in_trailers_is_no_whole_request_upstream(world, one, two, host):
    gate = world(canaries=(Canary(place="X", value=CANARY),))
    with connect2(gate, f"{host}:443") as client, contextlib.suppress(AssertionError):
        upload(client, host, b"hello", trailers=[("x-t", CANARY)])
    time.sleep(0.1)
    assert ([*one.whole, *two.whole], one.faults + two.faults) == ([], [])


# --- while somebody is asked


@pytest.mark.guarantee("K1")
def test_what_is_pipelined_behind_a_question_waits_for_a_verdict_of_its_own(world, one, tmp_path):
    """A yes is for the request that was shown: neither for its tail nor for the next one."""
    gate = world(
        allow=(rule(H1, paths=("/open",)),), ask=(rule(H1, paths=("/ask/*",)),), session_dir=str(tmp_path)
    )
    asked = f"POST /ask/1 HTTP/1.1\r\nHost: {H1}\r\nContent-Length: 5\r\n\r\nhello".encode()
    second = f"GET /ask/2 HTTP/1.1\r\nHost: {H1}\r\n\r\n".encode()
    third = f"GET /never HTTP/1.1\r\nHost: {H1}\r\n\r\n".encode()
    with gate.connect(f"{H1}:443") as sock:
        sock.sendall(asked + second + third)
        assert open_question(tmp_path)["path"] == "/ask/1"
        time.sleep(0.1)
        assert one.pieces == []
        answered(tmp_path, "once")
        until = time.monotonic() + WAIT
        while (shown := open_question(tmp_path))["path"] != "/ask/2":
            assert time.monotonic() < until
        assert [(seen.path, seen.body) for seen in one.whole] == [("/ask/1", b"hello")]
        answered(tmp_path, "deny")
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 3:
            more = sock.recv(65536)
            assert more
            answers += more
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"403", b"403"]
    assert len(one.whole) == 1
    assert shown["path"] == "/ask/2"


@pytest.mark.guarantee("K1")
def test_an_answer_with_anothers_seal_lets_nothing_pass(world, one, tmp_path):
    from ringfence.cli import approve

    gate = world(allow=(), ask=(rule(H1),), session_dir=str(tmp_path))
    with gate.connect(f"{H1}:443") as sock:
        sock.sendall(f"GET /a HTTP/1.1\r\nHost: {H1}\r\n\r\n".encode())
        first = open_question(tmp_path)
    gate.wait_for("approval")
    with gate.connect(f"{H1}:443") as sock:
        sock.sendall(f"GET /b HTTP/1.1\r\nHost: {H1}\r\n\r\n".encode())
        second = open_question(tmp_path)
        for number, seal in ((second["number"], first["seal"]), (first["number"], first["seal"])):
            message = {"do": "answer", "number": number, "seal": seal, "answer": "once"}
            assert "error" in approve._say(str(tmp_path), message)
        time.sleep(0.1)
        assert one.pieces == []


def test_many_that_ask_at_once_each_get_through_once(world, one, tmp_path):
    gate = world(allow=(), ask=(rule(H1),), session_dir=str(tmp_path))
    approver = Approver(tmp_path)
    results = []

    def work(number):
        results.append(gate.ask(f"{H1}:443", "POST", f"/{number}", body=b"%d" % number)[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    finally:
        approver.stop()
    assert results == [200] * 12
    assert sorted((seen.path, seen.body) for seen in one.whole) == sorted(
        (f"/{n}", b"%d" % n) for n in range(12)
    )
    assert len(gate.wait_for("approval", 12)) == 12


# --- bodies that are looked into


GRAPHQL = {"allow": (rule(H1, graphql=("query",)), rule(H2, graphql=("query",)))}
JSON = {
    "credentials": tuple(
        credential(host, name=host[:3], kind="placeholder", places=("json:/key",)) for host in (H1, H2)
    ),
    "environment": {"TEST_KEY": "canary-key-0123456789abcdef"},
}


@pytest.mark.parametrize("policy", [GRAPHQL, JSON], ids=["inspection", "a credential in the body"])
def test_who_waits_for_100_gets_it_once_and_the_body_arrives_whole(world, one, policy):
    gate = world(**policy)
    body = json.dumps({"query": "{viewer}"}).encode()
    head = f"POST /a HTTP/1.1\r\nHost: {H1}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    with gate.connect(f"{H1}:443") as sock:
        sock.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
        assert read_head(sock) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        answer = drain(sock)
    assert parse(answer)[0] == 200
    assert b"100 Continue" not in answer
    assert [(seen.body, one.faults) for seen in one.whole] == [(body, [])]


@pytest.mark.parametrize("policy", [GRAPHQL, JSON], ids=["inspection", "a credential in the body"])
@pytest.mark.parametrize("tail", [b"", b"0", b"0\r\n", b"0\r\nX: y\r\n", b"zz\r\n", b"5\r\nhelloXX0\r\n\r\n"])
def test_a_body_that_breaks_off_after_it_was_read_is_never_sent(world, one, policy, tail):
    """The JSON is complete and harmless; its framing is not."""
    gate = world(**policy)
    body = json.dumps({"query": "{viewer}"}).encode()
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n")
    with gate.connect(f"{H1}:443") as sock:
        sock.sendall(head + b"%x\r\n%b\r\n" % (len(body), body) + tail)
        time.sleep(0.1)
    time.sleep(0.1)
    assert one.pieces == []


@pytest.mark.parametrize("host", [H1, H2])
def test_bodies_held_for_a_rule_and_a_credential_at_once_are_sent_once(world, one, two, host):
    gate = world(**{**JSON, **GRAPHQL})
    body = json.dumps({"query": "{viewer}"}).encode()
    with connect2(gate, f"{host}:443") as client:
        client.ask(1, host, "POST", "/a", [("content-type", "application/json")], body)
        assert client.done(1)
        assert client.status(1) == 200
    (seen,) = (one if host == H1 else two).whole
    assert seen.body == body
