"""Faults at every stage: upstreams that reset, hang or drip, a gate that is killed, a disk that is full.

Whatever happens, an agent never takes a part for the whole, nothing passes that is not on record, and the gate
serves the next request.
"""

import contextlib
import os
import resource
import signal
import socket
import ssl
import struct
import threading
import time

import pytest
from gates import WAIT, Running, drain, parse, read_head, rule
from http2_peers import connect2, data

from ringfence.audit.log import Writer
from ringfence.audit.verify import verify
from ringfence.egress import limits

HOST, PLAIN = "api.example.com", "plain.example.com"
AT = f"{HOST}:443"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
SHORT = {"ANSWER_TIME": 1.0, "STREAM_TIME": 1.0, "HANDSHAKE_TIME": 1.0, "BODY_TIME": 1.0}


def reset(sock):
    """End a connection by RST."""
    raw = sock if not isinstance(sock, ssl.SSLSocket) else socket.socket(fileno=sock.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def end(sock):
    """End a connection by FIN, without TLS's own goodbye."""
    raw = sock if not isinstance(sock, ssl.SSLSocket) else socket.socket(fileno=sock.detach())
    raw.close()


def hang(sock):
    """Say nothing more until the other side gives up."""
    with contextlib.suppress(OSError):
        sock.settimeout(WAIT)
        while sock.recv(65536):
            pass
    sock.close()


class Faulty:
    """An upstream that breaks at a stage of each conversation, in a way, until it is told to be `sound`."""

    def __init__(self, context):
        self._context = context
        self.stage, self.way = "sound", end
        self.reached = threading.Event()
        self._sock = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"127.0.0.1:{self._sock.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _run(self):
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, raw):
        raw.settimeout(WAIT)
        with contextlib.suppress(OSError, ssl.SSLError):
            for stage, sock in self._conversation(raw):
                if stage == self.stage:
                    self.reached.set()
                    self.way(sock)
                    return

    def _conversation(self, raw):
        """Yield each stage when it is reached."""
        yield "accepted", raw
        raw.recv(100, socket.MSG_PEEK)
        yield "hello", raw
        sock = self._context.wrap_socket(raw, server_side=True)
        yield "handshake", sock
        seen = sock.recv(65536)
        yield "head", sock
        while b"chunked" in seen and not seen.endswith(b"0\r\n\r\n"):
            seen += sock.recv(65536)
            yield "body", sock
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        yield "interim answer", sock
        sock.sendall(HEAD[:20])
        yield "half a head", sock
        sock.sendall(HEAD[20:] + b"\r\n")
        yield "answer's head", sock
        sock.sendall(b"5\r\nhel")
        yield "answer's chunk", sock
        sock.sendall(b"lo\r\n")
        yield "answer's body", sock
        sock.sendall(b"0\r\nX-T: ")
        yield "trailers", sock
        sock.sendall(b"a\r\n\r\n")
        with contextlib.suppress(OSError):
            sock.unwrap()
        sock.close()


STAGES = (
    *("accepted", "hello", "handshake", "head", "body", "interim answer", "half a head"),
    *("answer's head", "answer's chunk", "answer's body", "trailers"),
)
BEFORE = STAGES[: STAGES.index("answer's head")]  # nothing of an answer has come that could be passed on


@pytest.fixture(scope="module")
def faulty(certificates):
    made = Faulty(certificates.context(HOST))
    yield made
    made.close()


@pytest.fixture(scope="module")
def gate(start, faulty):
    return start(allow=(rule(HOST),), static=((HOST, faulty.address),), limits=SHORT)


POST = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def by_http1(gate, faulty):
    """Return (status, whether the answer looks whole)."""
    with gate.connect(AT) as sock:
        sock.sendall(POST + b"3\r\nabc\r\n")
        if faulty.stage in {"body", *STAGES[STAGES.index("body") :], "sound"}:
            faulty.reached.wait(0.05)
            with contextlib.suppress(OSError):
                sock.sendall(b"0\r\n\r\n")
        answer = b""
        with contextlib.suppress(OSError, ssl.SSLError):
            while not (answer.endswith(b"0\r\n\r\n") or (b"\r\n\r\n" in answer and b"ontent-" in answer)):
                more = sock.recv(65536)
                if not more:
                    break
                answer += more
    status = int(answer.split(b" ")[1]) if answer else 0
    return status, answer.endswith(b"0\r\n\r\n")


def by_http2(gate, faulty):
    """Return the same by HTTP/2."""
    with connect2(gate, AT) as client:
        head = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/")]
        client.send(client.headers(1, head, end=False), data(1, b"abc"))
        if faulty.stage in {"body", *STAGES[STAGES.index("body") :], "sound"}:
            faulty.reached.wait(0.05)
            client.send(data(1, b"", end=True))
        assert client.done(1)
        return client.status(1) or 0, 1 in client.over and 1 not in client.resets


@pytest.mark.parametrize("client", [by_http1, by_http2])
@pytest.mark.parametrize("way", [reset, end, hang])
@pytest.mark.parametrize("stage", STAGES)
def test_an_upstream_that_breaks_is_never_taken_for_an_answer(gate, faulty, stage, way, client):
    faulty.reached.clear()
    faulty.stage, faulty.way = stage, way
    try:
        status, whole = client(gate, faulty)
        assert faulty.reached.is_set()
    finally:
        faulty.stage = "sound"
    if stage in BEFORE:
        assert status in {502, 504, 408}, status
    else:
        # A reset takes along what has arrived and was not read yet: then it is as if nothing had come.
        assert (status, whole) == (200, False) or (status == 502 and way is reset)
    assert client(gate, faulty) == (200, True)


def test_all_of_that_left_nothing_behind(gate, faulty):
    """Descriptors, requests and records: as many as before, each request with its end."""
    assert by_http1(gate, faulty) == (200, True)
    until = time.monotonic() + WAIT
    while len(os.listdir(f"/proc/{gate.process.pid}/fd")) > 40:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert [one for one in gate.records("refused") if "fault of ringfence" in one["reason"]] == []
    assert gate.stderr == ""
    assert verify(gate.audit_path).ok


# --- the gate itself


@pytest.fixture
def own(tmp_path, certificates):
    """Return a maker of a gate that may be killed."""
    made = []

    def begin(upstream, **more):
        one = Running(
            tmp_path,
            allow=(rule(HOST), rule(PLAIN, schemes=("http",))),
            static=((HOST, upstream.address), (PLAIN, upstream.address)),
            extra_ca=(certificates.ca,),
            **more,
        )
        made.append(one)
        return one

    yield begin
    for one in made:
        one.stop()


def holding(serve, **kind):
    """Return an upstream that sends half of its answer, and the rest when it is let go."""
    go = threading.Event()

    def answer(sock, *_):
        sock.sendall(HEAD + b"\r\n5\r\nhello\r\n")
        go.wait(WAIT)
        sock.sendall(b"0\r\n\r\n")

    made = serve(HOST, answer=answer, **kind)
    made.go = go
    return made


def ended(gate):
    """Go on with the log as the launcher does, and verify it."""
    with Writer.resume(gate.audit_path) as log:
        log.append("end", status=137)
    return verify(gate.audit_path)


def test_a_gate_killed_in_the_middle_of_an_answer_leaves_a_cut_answer_and_a_log_that_verifies(own, serve):
    upstream = holding(serve)
    gate = own(upstream)
    with gate.connect(AT) as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert read_head(sock).startswith(b"HTTP/1.1 200")
        assert b"hello" in sock.recv(100)
        gate.process.send_signal(signal.SIGKILL)
        gate.process.wait(WAIT)
        upstream.go.set()
        assert b"0\r\n\r\n" not in drain(sock)
    assert [one["path"] for one in gate.records("verdict") if one.get("path")] == ["/"]
    assert gate.records("response") == []
    assert ended(gate).ok


def test_a_gate_killed_in_the_middle_of_an_upload_leaves_no_whole_request(own, serve):
    upstream = serve(HOST)
    gate = own(upstream)
    with gate.connect(AT) as sock:
        sock.sendall(POST + b"5\r\nhello\r\n")
        until = time.monotonic() + WAIT
        while b"hello" not in upstream.seen and time.monotonic() < until:
            time.sleep(0.01)
        gate.process.send_signal(signal.SIGKILL)
        gate.process.wait(WAIT)
        assert drain(sock) == b""
    assert upstream.requests == []
    assert ended(gate).ok


@pytest.mark.guarantee("A1")
def test_a_disk_that_fills_up_while_an_answer_is_under_way_stops_the_gate(own, serve):
    """The record of an answer is written a moment later than the answer: its failure counts all the same."""
    upstream = holding(serve)
    gate = own(upstream)
    with gate.connect(AT) as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert read_head(sock).startswith(b"HTTP/1.1 200")
        gate.wait_for("dial")
        size = os.stat(gate.audit_path).st_size
        resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (size + 5, size + 5))
        upstream.go.set()
        assert gate.process.wait(WAIT) in {120, 125}
        drain(sock)
    assert "audit log" in gate.stderr
    with pytest.raises(OSError):
        gate.plain()
    assert len(upstream.requests) == 1


# --- many and slow


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("no 4,096 files for this account")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(gate):
    with open(f"/proc/{gate.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.usefixtures("many_files")
def test_five_hundred_readers_that_do_not_read_cost_what_their_buffers_may_hold(own, serve):
    body = b"x" * 2_000_000
    upstream = serve(
        HOST, tls=False, answer=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    gate = own(upstream, launch=None)
    asked = f"GET http://{PLAIN}/ HTTP/1.1\r\nHost: {PLAIN}\r\n\r\n".encode()
    small = gate.converse(b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", end=True)
    assert small.startswith(b"HTTP/1.1 403")
    before = resident(gate)
    slow = [gate.plain() for _ in range(500)]
    try:
        for sock in slow:
            sock.sendall(asked)
        gate.wait_for("verdict", 500, host=PLAIN)
        time.sleep(1.0)
        grown = resident(gate) - before
        assert grown < 500 * (limits.BUFFER + 2 * limits.WRITE_BUFFER), grown
        quick = gate.converse(asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert len(parse(quick)[2]) == len(body)
    finally:
        for sock in slow:
            sock.close()
