"""What comes back: streamed at once, framed anew, and honest about an upstream that fails."""

import contextlib
import resource
import socket
import struct
import threading
import time

import pytest
from gates import OK, WAIT, drain, parse, read_head, rule

HOST = "api.example.com"
GET = b"GET / HTTP/1.1\r\nHost: api.example.com\r\n"


class Scripted:
    """An upstream's answers, set by the test that runs."""

    def __init__(self):
        self.play = None

    def __call__(self, sock, head, body):
        if isinstance(self.play, bytes):
            sock.sendall(self.play)
            return False
        return self.play(sock, head, body)


@pytest.fixture(scope="module")
def script():
    return Scripted()


@pytest.fixture(scope="module")
def upstream(serve, script):
    return serve(HOST, answer=script)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(allow=(rule(HOST),), static=((HOST, upstream.address),))


def raw_answer(gate, request=GET + b"Connection: close\r\n\r\n"):
    return gate.tunnelled(f"{HOST}:443", request)


# --- what an upstream may not send

BROKEN = {
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "gzip, chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\nX: y\n\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nX: y\0z\r\nContent-Length: 0\r\n\r\n",
    "a switch nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "a flood of interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + OK,
    "no HTTP": b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    "nothing": b"",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_is_not_clean_http_becomes_502(gate, script, answer):
    script.play = answer
    status, _, body = parse(raw_answer(gate))
    assert status == 502
    assert b"ringfence_upstream" in body


def test_an_upstream_that_resets_becomes_502(gate, script):
    def reset(sock, *_):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    script.play = reset
    assert parse(raw_answer(gate))[0] == 502


def test_an_upstream_that_cannot_be_reached_becomes_502(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gate = start(allow=(rule(HOST),), static=((HOST, f"127.0.0.1:{port}"),))
    status, _, body = gate.ask(f"{HOST}:443")
    assert status == 502
    assert b"cannot be reached" in body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ],
)
def test_an_answer_that_breaks_off_is_never_completed(gate, script, answer):
    script.play = answer
    found = raw_answer(gate)
    assert found.startswith(b"HTTP/1.1 200 OK")
    assert b"hal" in found
    assert not found.endswith(b"0\r\n\r\n")


# --- what is passed on


def test_headers_between_hops_and_ways_around_the_gate_are_removed(gate, script):
    script.play = (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Named\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\n"
        b'Alt-Svc: h3=":443"\r\nProxy-Authenticate: Basic\r\nX-Ringfence-Denied: 1\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok'
    )
    status, headers, body = parse(raw_answer(gate))
    assert (status, body) == (200, b"ok")
    assert headers == {"x-kept": "1", "content-length": "2", "connection": "close"}


def test_redirects_are_passed_on_and_never_followed(gate, script, upstream):
    upstream.clear()
    script.play = b"HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n"
    status, headers, _ = parse(raw_answer(gate))
    assert (status, headers["location"]) == (302, "https://evil.test/")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("method", "answer", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "5"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
    ],
)
def test_answers_without_a_body_keep_the_connection_in_step(gate, script, method, answer, length):
    script.play = answer
    with gate.connect(f"{HOST}:443") as sock:
        for _ in range(2):
            sock.sendall(method + b" / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
            _, headers, body = parse(read_head(sock))
            assert (headers.get("content-length"), body) == (length, b"")
            assert "transfer-encoding" not in headers


def test_an_answer_that_ends_with_its_connection_is_chunked_for_1_1_and_closed_for_1_0(gate, script):
    script.play = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"

    def close_properly(sock, *_):
        sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello")
        sock.unwrap()
        return False

    script.play = close_properly
    found = raw_answer(gate, GET + b"Connection: close\r\n\r\n")
    assert found.endswith(b"5\r\nhello\r\n0\r\n\r\n")
    found = raw_answer(gate, b"GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n")
    assert found.endswith(b"\r\n\r\nhello")
    assert b"chunked" not in found


def test_interim_answers_are_swallowed(gate, script):
    script.play = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + OK
    assert raw_answer(gate).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_early_answer_reaches_a_client_that_is_still_sending(start, certificates):
    listener = socket.create_server(("127.0.0.1", 0))
    gate = start(allow=(rule(HOST),), static=((HOST, f"127.0.0.1:{listener.getsockname()[1]}"),))

    def answer_at_once():
        raw, _ = listener.accept()
        with certificates.context(HOST).wrap_socket(raw, server_side=True) as sock:
            read_head(sock)
            sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
            drain(sock)

    thread = threading.Thread(target=answer_at_once)
    thread.start()
    with listener, gate.connect(f"{HOST}:443") as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1000000\r\n\r\nbegin")
        status, headers, body = parse(drain(sock))
        assert (status, headers["connection"], body) == (413, "close", b"big")
    thread.join(WAIT)


def test_events_are_passed_on_one_by_one_as_they_come(gate, script):
    ready = threading.Semaphore(0)

    def events(sock, *_):
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for at in range(5):
            assert ready.acquire(timeout=WAIT)
            event = b"data: %d\n\n" % at
            sock.sendall(b"%x\r\n%b\r\n" % (len(event), event))
        sock.sendall(b"0\r\n\r\n")
        return False

    script.play = events
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(GET + b"\r\n")
        assert b"text/event-stream" in read_head(sock)
        for at in range(5):
            ready.release()  # the next event is sent only after the last has arrived
            found = b""
            while not found.endswith(b"data: %d\n\n\r\n" % at):
                found += sock.recv(1)
        assert sock.recv(5) == b"0\r\n\r\n"


def test_a_client_that_leaves_a_stream_ends_it_upstream_at_once(gate, script):
    ended = threading.Event()

    def endless(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        try:
            while sock.recv(4096):
                pass
        except OSError:
            pass
        ended.set()
        return False

    script.play = endless
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(GET + b"\r\n")
        read_head(sock)
    assert ended.wait(WAIT)


def test_a_client_that_leaves_before_the_answer_ends_the_request_upstream(gate, script):
    begun, ended = threading.Event(), threading.Event()

    def thinking(sock, *_):
        begun.set()
        with contextlib.suppress(OSError):
            sock.recv(1)
        ended.set()
        return False

    script.play = thinking
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(GET + b"\r\n")
        assert begun.wait(WAIT)
    assert ended.wait(WAIT)


def test_a_slow_reader_makes_the_upstream_wait_instead_of_filling_memory(gate, script):
    sent = [0]
    piece = b"x" * 65536

    def firehose(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        sock.settimeout(3.0)
        try:
            while sent[0] < 100_000_000:
                sock.sendall(piece)
                sent[0] += len(piece)
        except OSError:
            pass
        return False

    script.play = firehose
    before = memory(gate)
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(GET + b"\r\n")
        read_head(sock)
        time.sleep(1.5)
        assert sent[0] < 30_000_000
        assert memory(gate) - before < 16 * 1024


def memory(gate):
    """Return the resident memory of the gate's process in KiB."""
    with open(f"/proc/{gate.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4


def test_big_bodies_pass_both_ways_unchanged(start, serve):
    def echo(sock, _head, body):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    upstream = serve(HOST, answer=echo)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    sent = bytes(range(256)) * 12_000
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % len(sent)
        )
        sock.sendall(sent)
        status, _, body = parse(drain(sock))
    assert status == 200
    assert body == sent


# --- reuse


def test_a_connection_is_used_again_and_replaced_when_it_was_closed_meanwhile(start, serve):
    upstream = serve(HOST)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    for _ in range(3):
        assert gate.ask(f"{HOST}:443")[0] == 200
    assert upstream.handshakes == 1
    upstream.answer = b""  # the next answer never comes: this connection is going away

    def vanish(*_):
        upstream.answer = OK
        return False

    upstream.answer = vanish
    assert gate.ask(f"{HOST}:443")[0] == 200  # repeated on a new connection
    assert upstream.handshakes == 2


def test_a_request_that_could_have_had_effects_is_not_sent_twice(start, serve):
    upstream = serve(HOST)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    assert gate.ask(f"{HOST}:443")[0] == 200

    def vanish(*_):
        upstream.answer = OK
        return False

    upstream.answer = vanish
    assert gate.ask(f"{HOST}:443", method="POST", body=b"x")[0] == 502
    assert [head.split(b" ")[0] for head in upstream.heads] == [b"GET", b"POST"]


def test_bytes_behind_an_answer_are_never_taken_for_the_next_one(gate, script, upstream):
    before = upstream.handshakes

    def doubled(sock, *_):
        sock.sendall(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    script.play = doubled
    for _ in range(3):
        assert parse(raw_answer(gate))[2] == b"ok"
        time.sleep(0.05)
    assert upstream.handshakes == before + 3


# --- WebSocket

UPGRADE = (
    GET
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_a_websocket_is_passed_through_after_a_real_101(gate, script, upstream):
    upstream.clear()

    def switch(sock, *_):
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
        )
        sock.sendall(sock.recv(100)[::-1])
        return False

    script.play = switch
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(UPGRADE)
        head = read_head(sock)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Upgrade: websocket\r\n" in head
        assert sock.recv(5) == b"hello"
        sock.sendall(b"abc")
        assert drain(sock) == b"cba"
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in upstream.seen


def test_without_a_101_what_follows_is_judged_as_requests(gate, script, upstream):
    upstream.clear()
    script.play = lambda sock, *_: sock.sendall(OK)
    found = raw_answer(gate, UPGRADE + b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 421 " in found
    assert len(upstream.requests) == 1


# --- limits


def test_a_body_that_stops_coming_holds_up_nobody_else(gate, script):
    script.play = lambda sock, *_: sock.sendall(OK)
    with gate.connect(f"{HOST}:443") as stuck:
        stuck.sendall(b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 100\r\n\r\nx")
        assert gate.ask(f"{HOST}:443")[0] == 200


@pytest.fixture
def many_files():
    """Let this process open as many files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this account may not open 2,048 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_more_connections_than_the_limit_are_closed_and_the_gate_lives_on(start, serve):
    upstream = serve(HOST)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    idle = [gate.plain() for _ in range(1000)]
    try:
        assert gate.ask(f"{HOST}:443")[0] == 200
        more = [gate.plain() for _ in range(60)]
        assert more[-1].recv(1) == b""
        for one in more:
            one.close()
    except ConnectionResetError:
        pass
    finally:
        for one in idle:
            one.close()
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        try:
            if gate.ask(f"{HOST}:443")[0] == 200:
                break
        except (OSError, IndexError):
            time.sleep(0.05)
    assert gate.ask(f"{HOST}:443")[0] == 200
    gate.wait_for("refused", reason="too many connections at one time")


def test_an_answer_that_was_begun_on_a_kept_connection_is_never_asked_for_again(gate, script, upstream):
    def twice(sock, *_):
        if len(upstream.requests) == 1:
            return sock.sendall(OK)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(0.2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    script.play = twice
    upstream.clear()
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(GET + b"\r\n")
        read_head(sock)
        sock.recv(2)
        sock.sendall(GET + b"\r\n")
        found = drain(sock)
    assert found.count(b"HTTP/1.1") == 1
    assert found.endswith(b"half")
    assert len(upstream.requests) == 2
