"""Budgets, the watch on values, the model's cost, compressed echoes and held requests, at a real gate."""

import base64
import contextlib
import gzip
import json
import os
import socket
import struct
import threading
import time
import zlib

import brotli
import pytest
import zstandard
from gates import WAIT, RefusedError, credential, drain, parse, read_head, rule

from ringfence import approval
from ringfence.handover import ALARM, Canary
from ringfence.policy.model import Budget, ModelBudget, Watch

HOST, MODEL = "api.example.com", "model.example.com"
KEY = "canary-key-0123456789abcdef"
CANARY = "rf8Zq27LmXw0TnPvKc5Bd1Ys"
VALUE = "k9Xm2Qv7Lp4Zt8RwQQ"


def answering(content, **fields):
    """Return an answer that holds `content`."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *lines])
    return head.encode() + b"\r\n\r\n" + content


@pytest.fixture
def world(serve, start):
    """Return a maker of gates before one upstream."""

    def make(allow=None, tls=True, **policy):
        upstream = serve(HOST, HOST, MODEL, tls=tls)
        gate = start(
            allow=(rule(HOST), rule(MODEL)) if allow is None else allow,
            static=((HOST, upstream.address), (MODEL, upstream.address)),
            **policy,
        )
        gate.upstream = upstream
        return gate

    return make


# --- budgets


@pytest.mark.guarantee("K2")
def test_requests_beyond_a_budget_never_reach_the_upstream(world):
    gate = world(budgets=(Budget(name="few", host=HOST, requests=2),))
    assert [gate.ask(HOST + ":443")[0] for _ in range(4)] == [200, 200, 403, 403]
    assert len(gate.upstream.requests) == 2
    assert gate.ask(MODEL + ":443")[0] == 200
    (first, _) = gate.wait_for("refused", 2)
    assert "2 requests for api.example.com is used up" in first["reason"]


def test_an_upload_over_budget_is_cut_before_its_end(world):
    gate = world(budgets=(Budget(name="up", up=1000),))
    status, _, body = gate.ask(HOST + ":443", "POST", body=b"x" * 5000)
    assert status == 403
    assert json.loads(body)["error"]["type"] == "ringfence_budget"
    assert gate.upstream.requests == []
    assert gate.ask(HOST + ":443")[0] == 403  # what is used up stays so


def test_a_download_over_budget_is_cut_and_seen_to_be_cut(world):
    gate = world(budgets=(Budget(name="down", host="*.example.com", down=1000),))
    gate.upstream.answer = answering(b"y" * 5000)
    answer = gate.tunnelled(HOST + ":443", f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert len(parse(answer)[2]) < 5000
    gate.wait_for("refused")


@pytest.mark.guarantee("K2")
def test_raw_connections_count_as_well(world):
    gate = world(
        allow=(rule(HOST, schemes=("tcp",), ports=(5432,)),),
        tls=False,
        budgets=(Budget(name="raw", requests=1, up=10),),
    )
    head = f"CONNECT {HOST}:5432 HTTP/1.1\r\nHost: {HOST}:5432\r\n\r\n".encode()
    with gate.plain() as sock:
        sock.sendall(head)
        assert read_head(sock).startswith(b"HTTP/1.1 200")
        sock.sendall(b"z" * 50)
        assert drain(sock) == b""
    gate.wait_for("refused")
    assert gate.converse(head).startswith(b"HTTP/1.1 403")


@pytest.mark.guarantee("K7")
def test_names_below_a_wildcard_are_limited_whatever_way_they_are_used(world):
    gate = world(
        allow=(rule("*.example.com"), rule(HOST), rule("*.raw.example", schemes=("tcp",), ports=(5432,))),
        watch=Watch(names=2),
    )
    for name in ("a", "b"):  # these reach nobody, and are counted
        assert gate.ask(f"{name}.example.com:443")[0] in {403, 502}
    with pytest.raises(RefusedError) as refused:
        gate.ask("c2vjcmv0.example.com:443")
    status, _, body = parse(refused.value.args[0])
    error = json.loads(body)["error"]
    assert (status, error["type"], error["rule"]) == (403, "ringfence_names", "policy: [watch] names = 2")
    (told,) = gate.wait_for("refused", host="c2vjcmv0.example.com")
    assert "as many different names below *.example.com" in told["reason"]
    assert [one["text"] for one in gate.records("note") if "*.example.com" in one["text"]] != []
    assert not [one for one in gate.records("dial") if one["host"] == "c2vjcmv0.example.com"]
    plain = b"GET http://d.example.com/ HTTP/1.1\r\nHost: d.example.com\r\nConnection: close\r\n\r\n"
    assert gate.converse(plain).startswith(b"HTTP/1.1 403 ")  # by another rule: http is not allowed
    socks = b"\x05\x01\x00" + b"\x05\x01\x00\x03\x0dd.example.com\x01\xbb"
    assert gate.converse(socks)[2:4] == b"\x05\x02"
    assert gate.ask(HOST + ":443")[0] == 200
    heads = [
        f"CONNECT {one}.raw.example:5432 HTTP/1.1\r\nHost: {one}.raw.example:5432\r\n\r\n" for one in "abc"
    ]
    answers = [gate.converse(head.encode()) for head in heads]
    assert [b"ringfence_names" in one for one in answers] == [False, False, True]


def test_names_of_plain_requests_are_limited_as_well(world):
    gate = world(allow=(rule("*.example.com", schemes=("http",)),), watch=Watch(names=1))
    for name, expected in (("a", False), ("b", True), ("a", False)):
        raw = f"GET http://{name}.example.com/ HTTP/1.1\r\nHost: {name}.example.com\r\nConnection: close\r\n\r\n"
        assert (b"ringfence_names" in gate.converse(raw.encode())) is expected


# --- the watch


def watched(world, tmp_path, **more):
    hidden = tmp_path / "hidden.env"
    hidden.write_text(f"API_KEY={VALUE}\n")
    return world(
        canaries=(Canary(place="BACKUP_TOKEN", value=CANARY),),
        masked=(str(hidden),),
        state_dir=str(tmp_path),
        **more,
    )


@pytest.mark.guarantee("K4")
@pytest.mark.parametrize("way", ["path", "header", "body", "gzip", "chunked", "base64"])
def test_a_value_of_a_masked_file_never_reaches_an_upstream_whole(world, tmp_path, way):
    gate = watched(world, tmp_path)
    given = {
        "path": {"path": "/?q=" + VALUE},
        "header": {"headers": [("X-Note", VALUE)]},
        "body": {"method": "POST", "body": b"a" * 100_000 + VALUE.encode()},
        "base64": {"method": "POST", "body": base64.b64encode(b"it is " + VALUE.encode())},
        "gzip": {
            "method": "POST",
            "body": gzip.compress(os.urandom(5000) + VALUE.encode()),
            "headers": [("Content-Encoding", "gzip")],
        },
    }
    if way == "chunked":
        half = len(VALUE) // 2
        raw = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw += "".join(f"{len(one):x}\r\n{one}\r\n" for one in (VALUE[:half], VALUE[half:])) + "0\r\n\r\n"
        status, _, body = parse(gate.tunnelled(HOST + ":443", raw.encode()))
    else:
        status, _, body = gate.ask(HOST + ":443", **given[way])
    assert status == 403
    assert VALUE not in body.decode()
    assert gate.upstream.requests == []
    assert VALUE.encode() not in gate.upstream.seen
    (alarm,) = gate.wait_for("alarm")
    assert alarm["outcome"] == "refused"
    with open(gate.audit_path, encoding="utf-8") as file:
        assert way in {"path", "header"} or VALUE not in file.read()


def test_the_conversation_with_the_model_may_hold_a_masked_value_but_no_canary(world, tmp_path):
    gate = watched(
        world, tmp_path, credentials=(credential(MODEL, header="x-api-key"),), environment={"TEST_KEY": KEY}
    )
    assert gate.ask(MODEL + ":443", "POST", body=VALUE.encode())[0] == 200
    assert gate.wait_for("alarm")[0]["outcome"] == "recorded"
    assert gate.ask(MODEL + ":443", "POST", body=CANARY.encode())[0] in {0, 403}
    assert gate.process.wait(WAIT) == ALARM


def test_the_key_that_the_gate_puts_in_is_no_find_although_a_masked_file_holds_it(world, tmp_path):
    hidden = tmp_path / "hidden.env"
    hidden.write_text(f"TEST_KEY={KEY}\n")
    gate = world(
        masked=(str(hidden),),
        credentials=(credential(HOST, header="x-api-key"),),
        environment={"TEST_KEY": KEY},
    )
    assert gate.ask(HOST + ":443")[0] == 200
    assert KEY.encode() in gate.upstream.heads[0]
    assert gate.records("alarm") == []


@pytest.mark.guarantee("K3")
def test_a_canary_ends_the_gate_and_is_on_record(world, tmp_path):
    gate = watched(world, tmp_path)
    gate.ask(HOST + ":443", path="/" + CANARY.encode().hex())
    assert gate.process.wait(WAIT) == ALARM
    assert gate.records("alarm")[0]["found"] == "the canary in BACKUP_TOKEN"
    assert gate.upstream.requests == []


def test_a_canary_is_only_refused_where_the_policy_says_so(world, tmp_path):
    gate = watched(world, tmp_path, watch=Watch(alarm="refuse"))
    assert gate.ask(HOST + ":443", "POST", body=CANARY.encode())[0] == 403
    assert gate.ask(HOST + ":443")[0] == 200


# --- secrets in compressed answers and in dialogues


CODED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.guarantee("C10")
@pytest.mark.parametrize("name", CODED)
def test_a_secret_echoed_in_a_compressed_body_is_scrubbed(world, name):
    gate = world(credentials=(credential(HOST, header="x-api-key"),), environment={"TEST_KEY": KEY})
    text = b"you sent " + KEY.encode() + b" and more " + os.urandom(2000).hex().encode()
    gate.upstream.answer = answering(CODED[name](text), Content_Encoding=name, ETag='"1"')
    status, headers, body = gate.ask(
        HOST + ":443", headers=[("Accept-Encoding", "gzip, br, zstd, deflate, xyz")]
    )
    assert status == 200
    assert body == text.replace(KEY.encode(), b"*" * len(KEY))
    assert "content-encoding" not in headers
    assert b"Accept-Encoding: gzip, br, zstd, deflate\r\n" in gate.upstream.heads[0] + b"\r\n"


@pytest.mark.guarantee("C10")
def test_an_answer_that_cannot_be_looked_into_is_not_passed_on(world):
    gate = world(credentials=(credential(HOST, header="x-api-key"),), environment={"TEST_KEY": KEY})
    gate.upstream.answer = answering(b"whatever", Content_Encoding="compress")
    assert gate.ask(HOST + ":443")[0] == 502
    gate.upstream.answer = answering(gzip.compress(bytes(1 << 27)), Content_Encoding="gzip")
    raw = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    answer = gate.tunnelled(HOST + ":443", raw)  # a bomb: refused, or cut where its answer had begun
    assert answer.startswith(b"HTTP/1.1 502 ") or len(answer) < 1 << 26


def test_without_a_credential_a_compressed_body_passes_as_it_is(world):
    gate = world()
    packed = gzip.compress(b"hello")
    gate.upstream.answer = answering(packed, Content_Encoding="gzip")
    status, headers, body = gate.ask(HOST + ":443", headers=[("Accept-Encoding", "xyz")])
    assert (status, headers["content-encoding"], body) == (200, "gzip", packed)
    assert b"Accept-Encoding: xyz" in gate.upstream.heads[0]


UPGRADE = (
    f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
).encode()
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def frame(payload):
    mask = b"\x12\x34\x56\x78"
    size = struct.pack("!BB", 0x81, 0x80 | len(payload))
    return size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.mark.guarantee("C10")
def test_a_dialogue_is_scrubbed_and_watched(world, tmp_path):
    gate = watched(
        world, tmp_path, credentials=(credential(HOST, header="x-api-key"),), environment={"TEST_KEY": KEY},
        watch=Watch(alarm="refuse"),
    )  # fmt: skip
    heard = []

    def talk(sock, _head, _body):
        sock.sendall(SWITCHED + b"\x81\x1fkey: " + KEY.encode()[:26])
        while data := sock.recv(4096):
            heard.append(data)
        return False

    gate.upstream.answer = talk
    with gate.connect(HOST + ":443") as sock:
        sock.sendall(UPGRADE)
        head = read_head(sock)
        assert head.startswith(b"HTTP/1.1 101")
        assert b"Extensions" not in gate.upstream.heads[0]
        sock.sendall(frame(b"hello"))
        until = time.monotonic() + WAIT
        while not heard and time.monotonic() < until:
            time.sleep(0.01)
        assert heard == [frame(b"hello")]
        sock.sendall(frame(CANARY.encode()))
        rest = drain(sock)
    assert KEY.encode() not in rest
    assert b"".join(heard) == frame(b"hello")
    gate.wait_for("alarm")


# --- the model's cost

USAGE = {"input_tokens": 1000, "output_tokens": 500}
MESSAGE = json.dumps({"type": "message", "model": "claude-sonnet-5", "content": [], "usage": USAGE}).encode()
EVENTS = b"".join(
    b"event: e\ndata: " + json.dumps(one).encode() + b"\n\n"
    for one in (
        {"type": "message_start", "message": {"model": "claude-sonnet-5", "usage": {"input_tokens": 1000}}},
        {"type": "message_delta", "usage": {"output_tokens": 500}},
    )
)


@pytest.mark.guarantee("K5")
@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(("content", "kind"), [(MESSAGE, "application/json"), (EVENTS, "text/event-stream")])
def test_the_model_stops_when_its_budget_is_used_up(world, tmp_path, content, kind, coded):
    gate = world(model=ModelBudget(session_tokens=2000), state_dir=str(tmp_path))
    fields = {"Content_Type": kind, **({"Content_Encoding": "gzip"} if coded else {})}
    gate.upstream.answer = answering(gzip.compress(content) if coded else content, **fields)
    post = (MODEL + ":443", "POST", "/v1/messages")
    assert gate.ask(*post, body=b"{}")[2] == content
    (told,) = gate.wait_for("response")
    assert (told["tokens_input"], told["tokens_output"], told["cost"]) == (1000, 500, 0.007)
    assert gate.ask(*post, body=b"{}")[0] == 200
    status, _, body = gate.ask(*post, body=b"{}")
    assert status == 403
    error = json.loads(body)
    assert error["type"] == "error"
    assert "3,000 of 2,000 tokens of this session" in error["error"]["message"]
    assert len(gate.upstream.requests) == 2
    assert any("the model has used" in one["text"] for one in gate.records("note"))
    assert gate.ask(*post[:2], "/v1/messages/count_tokens", body=b"{}")[0] == 200  # costs nothing


def test_an_answer_that_the_agent_breaks_off_is_counted(world, tmp_path):
    gate = world(model=ModelBudget(session_tokens=2000), state_dir=str(tmp_path))
    go = threading.Event()

    def slowly(sock, _head, _body):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head + b"%x\r\n%b\r\n" % (len(EVENTS), EVENTS))
        go.wait(WAIT)
        return False

    gate.upstream.answer = slowly
    raw = f"POST /v1/messages HTTP/1.1\r\nHost: {MODEL}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    with gate.connect(MODEL + ":443") as sock:
        sock.sendall(raw)
        read_head(sock)
        sock.recv(100)
    (told,) = gate.wait_for("response")
    go.set()
    assert told["tokens_input"] == 1000


def test_batches_are_refused_under_a_budget(world, tmp_path):
    gate = world(model=ModelBudget(day_cost=5.0), state_dir=str(tmp_path))
    assert gate.ask(MODEL + ":443", "POST", "/v1/messages/batches", body=b"{}")[0] == 403
    assert gate.upstream.requests == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", b'{"model":"m","background":true}'),
        ("/v1/responses", b'{"background":false,"back\\u0067round":1}'),
        ("/v1/responses", b'{"background":true,"background":false}'),
        ("/v1/responses", b'{"Background":true}'),
        ("/v1/Responses/", b'{"background":"yes"}'),
        ("/v1beta/interactions", b'{"background":true}'),
        ("/v1/chat/completions", b'{"deferred":true}'),
        ("/v1/responses", b'{"background":fal'),
        ("/v1/responses", gzip.compress(b'{"background":true}', mtime=0)),
        ("/v1/responses", b"[" * 100_000),
        ("/v1/threads/runs", b"{}"),
        ("/v1/threads/thread_1/runs", b"{}"),
        ("/v1/realtime/client_secrets", b"{}"),
        ("/model/nova-sonic/invoke-with-bidirectional-stream", b"{}"),
    ],
)
def test_what_a_model_would_do_unseen_is_refused_under_a_budget(world, tmp_path, path, body):
    gate = world(model=ModelBudget(day_cost=5.0), state_dir=str(tmp_path))
    status, _, told = gate.ask(MODEL + ":443", "POST", path, body=body)
    assert status == 403
    assert b"does not see what they use" in told
    assert gate.upstream.requests == []


def test_a_conversation_by_websocket_is_refused_under_a_budget(world, tmp_path):
    gate = world(model=ModelBudget(day_cost=5.0), state_dir=str(tmp_path))
    upgrade = (
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "x" * 22 + "=="),
    )
    for path in (
        "/v1/realtime?model=m",
        "/v1/responses",
        "/openai/realtime",
        "/ws/x.v1beta.X.BidiGenerateContent",
    ):
        raw = f"GET {path} HTTP/1.1\r\nHost: {MODEL}\r\nConnection: Upgrade\r\n"
        raw += "".join(f"{name}: {value}\r\n" for name, value in upgrade) + "\r\n"
        answer = gate.tunnelled(MODEL + ":443", raw.encode())
        assert answer.startswith(b"HTTP/1.1 403 "), path
        assert b"by WebSocket are refused" in answer
    assert gate.upstream.requests == []


def test_what_a_model_does_at_once_passes_whole(world, tmp_path):
    gate = world(model=ModelBudget(day_cost=5.0), state_dir=str(tmp_path))
    gate.upstream.answer = answering(MESSAGE, Content_Type="application/json")
    inner = b'{"background":false,"input":[{"background":true}],"pad":"' + b"x" * 300_000 + b'"}'
    assert gate.ask(MODEL + ":443", "POST", "/v1/responses", body=inner)[0] == 200
    assert gate.upstream.requests[-1][1] == inner
    assert gate.ask(MODEL + ":443", "POST", "/v1/chat/completions", body=b'{"background":true}')[0] == 200


def test_bodies_held_to_be_looked_into_count_together_until_their_requests_are_over(world, tmp_path):
    gate = world(model=ModelBudget(day_cost=5.0), state_dir=str(tmp_path), limits={"HELD_BODIES": 100_000})
    gate.upstream.answer = answering(MESSAGE, Content_Type="application/json")
    body = b'{"pad":"' + b"x" * 60_000 + b'"}'
    post = (MODEL + ":443", "POST", "/v1/responses")
    half = f"POST /v1/responses HTTP/1.1\r\nHost: {MODEL}\r\nContent-Length: {len(body)}\r\n\r\n"
    with gate.connect(MODEL + ":443") as held:
        held.sendall(half.encode() + body[:-1])
        time.sleep(0.3)
        status, _, told = gate.ask(*post, body=body)
        assert (status, b"too many bodies are held" in told) == (503, True)
        held.sendall(body[-1:])
        assert read_head(held).startswith(b"HTTP/1.1 200 ")
    for _ in range(5):
        assert gate.ask(*post, body=body)[0] == 200


def test_without_a_limit_the_background_is_nobodys_business(world, tmp_path):
    gate = world(state_dir=str(tmp_path))
    assert gate.ask(MODEL + ":443", "POST", "/v1/responses", body=b'{"background":true}')[0] == 200


def test_a_days_limit_holds_for_the_next_session_too(world, tmp_path):
    for status in (200, 403):
        gate = world(model=ModelBudget(day_tokens=1500), state_dir=str(tmp_path))
        gate.upstream.answer = answering(MESSAGE, Content_Type="application/json")
        assert gate.ask(MODEL + ":443", "POST", "/v1/messages", body=b"{}")[0] == status
        assert gate.stop() == 0


# --- requests that wait for a person


def say(folder, message):
    with approval.Place(str(folder)) as place, socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WAIT)
        sock.connect(place.path)
        sock.sendall(json.dumps(message).encode() + b"\n")
        return json.loads(sock.makefile("rb").readline())


def open_question(folder):
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # the gate is still starting
            found = say(folder, {"do": "list"})["questions"]
            if found:
                return found[0]
        time.sleep(0.01)
    raise AssertionError("no question")


def answered(folder, answer):
    shown = open_question(folder)
    say(folder, {"do": "answer", "number": shown["number"], "seal": shown["seal"], "answer": answer})
    return shown


class Held(threading.Thread):
    """A request that is asked for beside the test."""

    def __init__(self, gate, *given, **more):
        super().__init__()
        self._work = lambda: gate.ask(*given, **more)
        self.result = None
        self.start()

    def run(self):
        self.result = self._work()

    def outcome(self):
        self.join(WAIT)
        return self.result


@pytest.mark.guarantee("K1")
def test_a_held_request_goes_out_once_it_is_allowed_and_not_before(world, tmp_path):
    gate = world(allow=(), ask=(rule(HOST, reason="talk to ops"),), session_dir=str(tmp_path))
    held = Held(gate, HOST + ":443", "POST", "/x?y=1", body=b"hello")
    shown = open_question(tmp_path)
    assert (shown["method"], shown["path"], shown["length"], shown["reason"]) == (
        "POST",
        "/x?y=1",
        5,
        "talk to ops",
    )
    time.sleep(0.1)
    assert gate.upstream.handshakes == 0
    answered(tmp_path, "once")
    assert held.outcome()[0] == 200
    assert gate.upstream.requests[0][1] == b"hello"
    (told,) = gate.wait_for("approval")
    assert told["answer"] == "once"
    again = Held(gate, HOST + ":443", "POST", "/x?y=1", body=b"hello")
    answered(tmp_path, "deny")
    status, _, body = again.outcome()
    assert status == 403
    assert "the operator said no" in json.loads(body)["error"]["message"]
    assert len(gate.upstream.requests) == 1


def test_an_answer_for_the_session_is_not_asked_again(world, tmp_path):
    gate = world(allow=(), ask=(rule(HOST),), session_dir=str(tmp_path))
    held = Held(gate, HOST + ":443")
    answered(tmp_path, "session")
    assert held.outcome()[0] == 200
    assert gate.ask(HOST + ":443", path="/other")[0] == 200


@pytest.mark.guarantee("K1")
def test_silence_refuses(world, tmp_path):
    gate = world(allow=(), ask=(rule(HOST),), session_dir=str(tmp_path), ask_timeout=0.2)
    status, _, body = gate.ask(HOST + ":443")
    assert status == 403
    assert "nobody answered in time" in json.loads(body)["error"]["message"]
    assert gate.upstream.handshakes == 0


def test_an_agent_that_leaves_takes_its_question_along(world, tmp_path):
    gate = world(allow=(), ask=(rule(HOST),), session_dir=str(tmp_path))
    with gate.connect(HOST + ":443") as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        open_question(tmp_path)
    gate.wait_for("approval", reason="the agent went away")
    assert say(tmp_path, {"do": "list"}) == {"questions": []}
    assert gate.upstream.handshakes == 0


def test_raw_connections_wait_as_well(world, tmp_path):
    gate = world(
        allow=(), tls=False, ask=(rule(HOST, schemes=("tcp",), ports=(5432,)),), session_dir=str(tmp_path)
    )
    with gate.plain() as sock:
        sock.sendall(f"CONNECT {HOST}:5432 HTTP/1.1\r\nHost: {HOST}:5432\r\n\r\n".encode())
        shown = answered(tmp_path, "once")
        assert (shown["method"], shown["scheme"], shown["port"]) == ("connect", "tcp", 5432)
        assert read_head(sock).startswith(b"HTTP/1.1 200")


def test_a_rule_that_asks_beats_one_that_allows(world, tmp_path):
    gate = world(ask=(rule(HOST, methods=("POST",)),), session_dir=str(tmp_path))
    assert gate.ask(HOST + ":443")[0] == 200
    held = Held(gate, HOST + ":443", "POST", body=b"x")
    answered(tmp_path, "deny")
    assert held.outcome()[0] == 403


def test_the_socket_is_there_only_while_the_gate_runs(world, tmp_path):
    gate = world(allow=(), ask=(rule(HOST),), session_dir=str(tmp_path))
    held = Held(gate, HOST + ":443")
    answered(tmp_path, "once")
    held.outcome()
    assert gate.stop() == 0
    assert not (tmp_path / approval.SOCKET).exists()
