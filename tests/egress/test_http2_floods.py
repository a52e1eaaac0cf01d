"""HTTP/2 peers that only want to cost (THREATS.md T7): stopped in time, in bounded memory, with a word why."""

import os
import time

import pytest
from gates import rule
from http2_peers import connect2, data, literal, ping, reset, settings, window
from hyperframe.frame import ContinuationFrame, GoAwayFrame, HeadersFrame

HOST = "api.example.com"
CALM = 11  # ENHANCE_YOUR_CALM


@pytest.fixture(scope="module")
def upstream(serve2):
    def answer(peer, request):
        path = request.named[":path"]
        if path == "/never":
            return
        peer.reply(request, 200, bytes(1_000_000) if path == "/big" else b"ok")

    return serve2(HOST, answer=answer)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(allow=(rule(HOST, paths=("/ok", "/big", "/never")),), static=((HOST, upstream.address),))


def resident(gate):
    """Return the gate's memory in bytes."""
    with open(f"/proc/{gate.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def served(gate):
    """Say whether another client is served."""
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST, path="/ok")
        client.done(1)
        return client.status(1) == 200


def field(path="/ok"):
    return [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path)]


def opened(number, path="/ok", *, end=True):
    frame = HeadersFrame(number)
    frame.data = literal(field(path))
    frame.flags.add("END_HEADERS")
    if end:
        frame.flags.add("END_STREAM")
    return frame.serialize()


def resets():
    return b"".join(opened(number, "/never") + reset(number).serialize() for number in range(1, 8001, 2))


def made_to_reset():
    """MadeYouReset: every stream is sound, until the client makes the server reset it."""
    return b"".join(opened(n, "/never") + window(n, 2**31 - 1).serialize() for n in range(1, 8001, 2))


def malformed():
    return b"".join(opened(n, "/bad path") for n in range(1, 8001, 2))


def bomb():
    """Four kilobytes in the table, then one byte for each copy of it."""
    block = literal(field()) + b"\x40" + literal([("x-bomb", "b" * 3900)])[1:] + b"\xbe" * 16_000
    return HeadersFrame(1, data=block[:16_384], flags=["END_HEADERS", "END_STREAM"]).serialize()


FLOODS = {
    "resets (CVE-2023-44487)": resets,
    "made to reset (CVE-2025-8671)": made_to_reset,
    "malformed requests": malformed,
    "pings (CVE-2019-9512)": lambda: ping().serialize() * 30_000,
    "settings (CVE-2019-9515)": lambda: settings(INITIAL_WINDOW_SIZE=70_000).serialize() * 30_000,
    "empty data (CVE-2019-9518)": lambda: opened(1, "/never", end=False) + data(1, b"").serialize() * 30_000,
    "padding without data": lambda: opened(1, "/never", end=False) + b"\0\0\x01\0\x08\0\0\0\x01\0" * 30_000,
    "priorities": lambda: b"\0\0\5\2\0\0\0\0\3\0\0\0\0\x10" * 30_000,
    "unknown frames": lambda: b"\0\0\0\xbb\0\0\0\0\0" * 30_000,
    "a head that never ends (CVE-2024-27316)": lambda: (
        HeadersFrame(1, data=literal(field())).serialize()
        + ContinuationFrame(1, data=literal([("x", "y" * 1000)])).serialize() * 3000
    ),
    "a head that never ends, of nothing": lambda: (
        HeadersFrame(1, data=literal(field())).serialize() + ContinuationFrame(1).serialize() * 30_000
    ),
    "a compression bomb (CVE-2016-6581)": bomb,
    "many names of settings": lambda: b"".join(
        (6 * 60).to_bytes(3, "big")
        + b"\4\0\0\0\0\0"
        + b"".join(((n * 60 + m) % 65536).to_bytes(2, "big") + b"\0\0\0\1" for m in range(60, 120))
        for n in range(8000)
    ),
    "more settings than there are": lambda: (
        (6 * 2000).to_bytes(3, "big") + b"\4\0\0\0\0\0" + b"\x7a\x7a\0\0\0\1" * 2000
    ),
    "windows on a stream that waits": lambda: opened(1, "/never") + window(1, 1).serialize() * 30_000,
    "goodbyes": lambda: GoAwayFrame(0, last_stream_id=0).serialize() * 30_000,
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_is_stopped_and_memory_stays(gate, upstream, case):
    assert served(gate)
    flood = FLOODS[case]()
    before, spent = resident(gate), cpu(gate)
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.send(flood)
        assert client.ended(), "the connection goes on"
        assert client.goaway in {CALM, 1, 9, None}
    assert resident(gate) - before < 24_000_000
    assert cpu(gate) - spent < 5
    assert len(upstream.requests) <= 100
    assert served(gate)  # others go on
    assert gate.process.poll() is None


def cpu(gate):
    """Return the gate's processor time so far."""
    with open(f"/proc/{gate.process.pid}/stat", encoding="ascii") as file:
        parts = file.read().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def test_the_reason_is_said(gate):
    with connect2(gate, f"{HOST}:443") as client:
        client.send(ping().serialize() * 20_000)
        assert client.ended()
    assert client.goaway == CALM
    assert gate.wait_for("refused", reason="the peer costs too much: too many frames that move nothing on")


def test_requests_that_are_reset_in_the_same_breath_are_not_sent_on(gate, upstream):
    upstream.clear()
    with connect2(gate, f"{HOST}:443") as client:
        client.send(b"".join(opened(n, "/never") + reset(n).serialize() for n in range(1, 200, 2)))
        client.ask(301, HOST, path="/ok")
        assert client.done(301)
    assert len(upstream.requests) <= 20


def test_more_streams_than_said_are_refused(gate):
    with connect2(gate, f"{HOST}:443") as client:
        client.send(b"".join(opened(n, "/never") for n in range(1, 401, 2)))
        assert client.read(lambda: client.goaway is not None or len(client.resets) >= 100 or client.closed)


def test_windows_opened_byte_by_byte_are_not_followed_for_ever(gate):
    """CVE-2019-9511: a byte of window for each frame would cost us a frame for each byte."""
    with connect2(gate, f"{HOST}:443") as client:
        client.send(settings(INITIAL_WINDOW_SIZE=0))
        client.send(opened(1, "/big"))
        assert client.read(lambda: 1 in client.heads)
        client.send(window(1, 1).serialize() * 30_000)
        assert client.ended()
    assert client.goaway == CALM


def test_answers_that_nobody_reads_hold_little(gate):
    """A hundred answers of a megabyte each, and no window for any: what waits is bounded by stream."""
    before = resident(gate)
    with connect2(gate, f"{HOST}:443") as client:
        client.send(settings(INITIAL_WINDOW_SIZE=0))
        client.send(b"".join(opened(n, "/big") for n in range(1, 200, 2)))
        client.read(lambda: len(client.heads) == 100)
        time.sleep(1)
        held = resident(gate) - before
    assert held < 100 * 700_000
    assert served(gate)


def test_who_reads_nothing_at_all_cannot_make_replies_pile_up(gate):
    """Pings are answered; with nobody reading the answers, the gate stops reading the pings."""
    before = resident(gate)
    with connect2(gate, f"{HOST}:443") as client:
        client.sock.settimeout(2)
        sent = 0
        try:
            for _ in range(2000):
                client.sock.sendall(ping().serialize() * 100 + opened(1 + sent * 2, "/never")[:0])
                sent += 1
        except (TimeoutError, OSError):
            pass
    assert resident(gate) - before < 24_000_000


# --- upstreams


HOSTILE = {
    "pings": lambda: ping().serialize() * 30_000,
    "settings": lambda: settings(INITIAL_WINDOW_SIZE=70_000).serialize() * 30_000,
    "a head that never ends": lambda: (
        HeadersFrame(1, data=literal([(":status", "200")])).serialize()
        + ContinuationFrame(1, data=literal([("x", "y" * 1000)])).serialize() * 3000
    ),
    "a frame that is too long": lambda: b"\xff\xff\xff\0\0\0\0\0\1" + bytes(1_000_000),
    "interim answers": lambda: b"".join(
        HeadersFrame(1, data=literal([(":status", "103")]), flags=["END_HEADERS"]).serialize()
        for _ in range(1000)
    ),
    "a promise": lambda: b"\0\0\4\5\4\0\0\0\1\0\0\0\2",
    "an even stream": lambda: HeadersFrame(
        2, data=literal([(":status", "200")]), flags=["END_HEADERS", "END_STREAM"]
    ).serialize(),
    "a malformed status": lambda: answered([(":status", "20x")]),
    "no status": lambda: answered([("x", "1")]),
    "a field with a line end": lambda: answered([(":status", "200"), ("x", "a\r\nb: c")]),
    "a field in capitals": lambda: answered([(":status", "200"), ("X-Mine", "1")]),
    "transfer-encoding": lambda: answered([(":status", "200"), ("transfer-encoding", "chunked")]),
    "less than it says": lambda: answered([(":status", "200"), ("content-length", "5")]),
    "a switch of protocols": lambda: answered([(":status", "101")]),
    "HTTP/1.1": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "nothing": lambda: b"",
}


def answered(fields):
    return HeadersFrame(1, data=literal(fields), flags=["END_HEADERS", "END_STREAM"]).serialize()


@pytest.mark.parametrize("case", HOSTILE)
def test_an_upstream_that_misbehaves_is_a_bad_gateway(start, serve2, case):
    """The agent gets 502, the connection to the agent goes on, memory stays."""

    def begun(peer, _):
        peer.sock.sendall(HOSTILE[case]())
        time.sleep(0.2)
        peer.sock.close()
        raise OSError

    upstream = serve2(HOST, begun=begun)
    gate = start(allow=(rule(HOST),), static=((HOST, upstream.address),))
    with connect2(gate, f"{HOST}:443") as client:
        client.ask(1, HOST)
        assert client.done(1)
        assert client.status(1) == 502
        client.ask(3, "evil.test")
        assert client.done(3)
        assert client.status(3) == 421
    assert resident(gate) < 120_000_000
