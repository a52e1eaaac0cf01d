"""Clients and upstreams that are slow, many, or gone: everything ends by a limit with a name (T14, T16)."""

import contextlib
import os
import resource
import socket
import struct
import time

import pytest
from gates import WAIT, Running, drain, parse, read_head, rule

HOST, SLOW, TCP = "api.example.com", "slow.example.com", "tcp.example.com"
SOON = 1.0  # a limit that a test waits for; the sweep that enforces it runs once a second
LATER = 9.0  # by then it has been enforced, on a busy machine too


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    """Let this process hold thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST)


@pytest.fixture
def begin(tmp_path, certificates, upstream):
    """Return a function that starts a gate of this test's own."""
    with contextlib.ExitStack() as stack:
        count = iter(range(100))

        def start(*, static=(), **more):
            folder = tmp_path / str(next(count))
            folder.mkdir()
            names = (rule(HOST), rule(SLOW), rule(TCP, schemes=("tcp",), ports=(1,)))
            gate = Running(
                folder,
                allow=names,
                static=((HOST, upstream.address), *static),
                extra_ca=(certificates.ca,),
                **more,
            )
            stack.callback(gate.stop)
            return gate

        yield start


@pytest.fixture
def deaf():
    """Return the address of a listener whose backlog is full: it answers no SYN, and dialling hangs."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filling = [socket.socket() for _ in range(3)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        time.sleep(0.1)
        yield f"127.0.0.1:{full.getsockname()[1]}"
        for one in filling:
            one.close()


@pytest.fixture
def mute():
    """Return the address of a listener that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def descriptors(gate):
    if os.geteuid() != 0:
        pytest.skip("the gate is closed to others of its user: only root can count its descriptors")
    return len(os.listdir(f"/proc/{gate.process.pid}/fd"))


def resident(gate):
    with open(f"/proc/{gate.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def settled(gate, most):
    """Wait until the gate holds no more descriptors than before."""
    until = time.monotonic() + LATER
    while descriptors(gate) > most:
        assert time.monotonic() < until, (descriptors(gate), most)
        time.sleep(0.02)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def tunnel(gate, authority):
    sock = gate.plain()
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    return sock, read_head(sock)


def until_closed(sock):
    """Return what came, and how long the end took to come."""
    started = time.monotonic()
    sock.settimeout(WAIT)
    with sock:
        return drain(sock), time.monotonic() - started


# --- many


def test_ten_thousand_idle_connections_cost_one_session_its_places_and_no_other_session_anything(begin):
    """1,024 connections of one session are kept, each further one is closed at once (limits.CONNECTIONS)."""
    flooded, other = begin(), begin()
    assert flooded.ask(f"{HOST}:443")[0] == 200
    before, memory = descriptors(flooded), resident(flooded)
    kept, closed = [], 0
    try:
        for _ in range(10_000):
            sock = flooded.plain()
            sock.settimeout(0)
            kept.append(sock)
            if len(kept) >= 2048:  # drop those that were closed to us
                alive = [one for one in kept if still_open(one)]
                closed += len(kept) - len(alive)
                kept = alive
        assert len(kept) + closed == 10_000
        time.sleep(0.2)
        alive = [one for one in kept if still_open(one)]
        assert len(alive) == 1024
        assert resident(flooded) - memory < 40 * 2**20
        assert other.ask(f"{HOST}:443")[0] == 200
        assert flooded.wait_for("refused", reason="too many connections at one time")
        flooded_answer = flooded.converse(b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        assert flooded_answer == b""
    finally:
        for sock in kept:
            sock.close()
    settled(flooded, before + 2)
    assert flooded.ask(f"{HOST}:443")[0] == 200


def still_open(sock):
    try:
        if sock.recv(1) == b"":
            sock.close()
            return False
    except BlockingIOError:
        return True
    except OSError:
        sock.close()
        return False
    return True


def test_a_flood_of_refusals_is_counted_instead_of_written(begin):
    gate = begin(limits={"REFUSALS_BURST": 10, "REFUSALS_RATE": 1.0})
    for _ in range(60):
        assert tunnel_status(gate, "evil.test:443") == b"403"
    size = os.path.getsize(gate.audit_path)
    gate.stop()
    assert size < 20_000
    assert sum(one["left_out"] for one in gate.records("gap")) >= 40


def tunnel_status(gate, authority):
    sock, head = tunnel(gate, authority)
    sock.close()
    return head[9:12]


# --- slow


@pytest.mark.parametrize(
    ("limit", "pieces", "status"),
    [
        ("HEAD_TIME", [b"GET http://api.example.com/ HTTP/1.1\r\n", b"x: y\r\n"], b"HTTP/1.1 408 "),
        ("HEAD_TIME", [b"CONNECT api.exa"], b"HTTP/1.1 408 "),
        ("IDLE_TIME", [], b""),
        ("HEAD_TIME", [b"\5"], b""),
        ("HEAD_TIME", [b"\5\1\0\5\1\0\3\xff"], b"\5\0"),
        ("HELLO_TIME", [b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n"], b"HTTP/1.1 200 "),
        ("HELLO_TIME", [b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n", b"\x16\x03\x01"], b"HTTP/1.1 200 "),
    ],
)
def test_a_client_that_says_too_little_is_closed(begin, limit, pieces, status):
    gate = begin(limits={limit: SOON})
    sock = gate.plain()
    for piece in pieces:
        sock.sendall(piece)
    answer, took = until_closed(sock)
    assert answer.startswith(status)
    assert took < LATER


def test_a_head_that_drips_is_not_given_more_time_for_each_drop(begin):
    gate = begin(limits={"HEAD_TIME": SOON})
    started = time.monotonic()
    with gate.plain() as sock:
        sock.sendall(b"GET http://api.example.com/ HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            while time.monotonic() - started < LATER:
                sock.sendall(b"x: y\r\n")
                time.sleep(0.05)
    assert time.monotonic() - started < LATER


def test_a_body_that_stops_is_408_and_its_upstream_request_is_cut(begin, upstream):
    gate = begin(limits={"BODY_TIME": SOON})
    upstream.clear()
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 100\r\n\r\nhalf")
        answer, took = until_closed(sock)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert took < LATER
    assert upstream.requests == []  # never whole


def test_an_upstream_that_never_answers_is_504(begin, serve):
    slow = serve(SLOW, answer=lambda *_: time.sleep(LATER))
    gate = begin(static=((SLOW, slow.address),), limits={"ANSWER_TIME": SOON})
    assert gate.ask(f"{SLOW}:443")[0] == 504


def test_an_upstream_that_never_shakes_hands_is_502(begin, mute):
    gate = begin(static=((SLOW, mute),), limits={"HANDSHAKE_TIME": SOON})
    assert gate.ask(f"{SLOW}:443")[0] in {502, 504}


def test_an_upstream_that_stops_in_the_middle_ends_the_answer_visibly(begin, serve):
    def answer(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(LATER)

    slow = serve(SLOW, answer=answer)
    gate = begin(static=((SLOW, slow.address),), limits={"STREAM_TIME": SOON})
    with gate.connect(f"{SLOW}:443") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: slow.example.com\r\n\r\n")
        answer_, took = until_closed(sock)
    assert parse(answer_)[2] == b"half"  # of 100: the client can see that it is cut
    assert took < LATER


def test_a_client_that_does_not_read_is_dropped(begin, serve):
    def answer(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"x" * 65536)
        return False

    fast = serve(SLOW, answer=answer)
    gate = begin(static=((SLOW, fast.address),), limits={"WRITE_TIME": SOON})
    assert gate.ask(f"{HOST}:443")[0] == 200
    memory = resident(gate)
    with gate.connect(f"{SLOW}:443") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: slow.example.com\r\n\r\n")
        assert gate.wait_for("response", host=SLOW)
    assert resident(gate) - memory < 20 * 2**20


def test_a_tunnel_in_which_nothing_moves_is_closed(begin, mute):
    gate = begin(static=((TCP, mute),), limits={"TUNNEL_TIME": SOON})
    sock, head = tunnel(gate, f"{TCP}:1")
    assert head.startswith(b"HTTP/1.1 200 ")
    _, took = until_closed(sock)
    assert took < LATER
    assert gate.wait_for("response", host=TCP)


# --- gone


def test_requests_whose_clients_left_stop_being_dialled(begin, deaf):
    gate = begin(static=((SLOW, deaf),), limits={"DIAL_TIME": 60.0})
    assert gate.ask(f"{HOST}:443")[0] == 200
    before = descriptors(gate)
    socks = [gate.connect(f"{SLOW}:443") for _ in range(20)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: slow.example.com\r\n\r\n")
    gate.wait_for("verdict", 20, host=SLOW, effect="allow")
    until = time.monotonic() + LATER
    while descriptors(gate) < before + 39:
        assert time.monotonic() < until, descriptors(gate)
        time.sleep(0.02)
    for sock in socks:
        reset(sock)
    settled(gate, before)
    assert gate.ask(f"{HOST}:443")[0] == 200


def test_clients_gone_in_every_state_leave_nothing_behind(begin, mute):
    gate = begin(static=((TCP, mute),))
    assert gate.ask(f"{HOST}:443")[0] == 200
    before = descriptors(gate)
    hello = b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n"
    for opening in (
        b"", b"\5", b"\5\1\0\5\1\0\3\xff", b"GET http://", hello, hello + b"\x16\x03\x01\x02\x00\x01",
        b"CONNECT tcp.example.com:1 HTTP/1.1\r\n\r\n", b"CONNECT tcp.example.com:1 HTTP/1.1\r\n\r\nx",
        b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    ):  # fmt: skip
        for leave in (reset, socket.socket.close):
            sock = gate.plain()
            sock.sendall(opening)
            time.sleep(0.02)
            leave(sock)
    settled(gate, before)


def test_dials_are_limited_and_the_rest_wait_their_turn(begin, deaf):
    gate = begin(static=((SLOW, deaf),), limits={"DIALS": 4, "DIAL_TIME": SOON})
    socks = [gate.connect(f"{SLOW}:443") for _ in range(8)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: slow.example.com\r\nConnection: close\r\n\r\n")
    answers = []
    for sock in socks:
        with sock:
            answers.append(parse(drain(sock))[0])
    assert answers == [504] * 8
