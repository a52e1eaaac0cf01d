"""WebSockets through the gate, with the `websockets` package on both ends and by hand (THREATS.md T8)."""

import base64
import contextlib
import hashlib
import os
import shutil
import ssl
import threading
import time

import pytest
from gates import drain, read_head, rule
from http2_peers import connect2, data, reset
from test_clients import run

pytest.importorskip("websockets", reason="websockets is not installed (it comes with `make dev`)")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve as websocket_server

HOST, WEB = "ws.example.com", "web.example.com"
KEY = base64.b64encode(b"0123456789abcdef")
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
SMUGGLED = b"GET /secret HTTP/1.1\r\nHost: web.example.com\r\nConnection: close\r\n\r\n"


def echo(socket):
    with contextlib.suppress(ConnectionClosed):
        for message in socket:
            if message == "bye":
                socket.close(4001, "so you asked")
            else:
                socket.send(message)


@pytest.fixture(scope="module")
def server(certificates):
    with websocket_server(
        echo, "127.0.0.1", 0, ssl=certificates.context(HOST), max_size=2**24, compression="deflate"
    ) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def web(serve):
    return serve(WEB)


@pytest.fixture(scope="module")
def gate(start, server, web):
    port = server.socket.getsockname()[1]
    return start(
        allow=(rule(HOST, paths=("/echo",)), rule(WEB, paths=("/echo", "/open"))),
        static=((HOST, f"127.0.0.1:{port}"), (WEB, web.address)),
    )


@contextlib.contextmanager
def dialogue(gate, path="/echo", **more):
    context = ssl.create_default_context(cafile=gate.ca)
    with connect(
        f"wss://{HOST}{path}",
        ssl=context,
        proxy=f"http://127.0.0.1:{gate.address[1]}",
        max_size=2**24,
        open_timeout=10,
        **more,
    ) as socket:
        yield socket


@pytest.mark.parametrize("compression", ["deflate", None])
def test_text_binary_and_fragments_go_both_ways(gate, compression):
    big = os.urandom(2_000_000)
    with dialogue(gate, compression=compression) as socket:
        for message in ("hello", "ü" * 70_000, b"\0\xff" * 10, big, b""):
            socket.send(message)
            assert socket.recv(timeout=10) == message
        socket.send(["a" * 100, "b" * 70_000, "c"])
        assert socket.recv(timeout=10) == "a" * 100 + "b" * 70_000 + "c"
        assert socket.ping().wait(10)
        if compression:
            assert "permessage-deflate" in str(socket.protocol.extensions[0].__class__.__module__).replace(
                "_", "-"
            )


def test_the_servers_close_arrives_with_its_reason(gate):
    with dialogue(gate) as socket:
        socket.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "so you asked")


def test_a_path_that_no_rule_allows_is_refused(gate):
    with pytest.raises(InvalidStatus) as refused, dialogue(gate, path="/other"):
        pass
    assert refused.value.response.status_code == 403
    gate.wait_for("verdict", path="/other", effect="deny")


def test_the_bytes_of_a_dialogue_are_on_record(gate):
    count = len(gate.records("response"))
    with dialogue(gate, compression=None) as socket:
        socket.send(b"x" * 50_000)
        socket.recv(timeout=10)
    until = time.monotonic() + 10
    while len(gate.records("response")) == count:
        assert time.monotonic() < until
        time.sleep(0.02)
    found = gate.records("response")[-1]
    assert found["status"] == 101
    assert found["up"] > 50_000
    assert found["down"] > 50_000


def test_who_tunnels_without_a_101_is_judged_request_by_request(gate, web):
    """The upstream answers 200; what the client sends as if it were in a tunnel is a request like any."""
    web.clear()
    with gate.connect(f"{WEB}:443") as sock:
        sock.sendall(UPGRADE % (WEB.encode(), KEY) + SMUGGLED)
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")
        assert b" 403 " in drain(sock)
    assert [head.split(b" ")[1] for head in web.heads] == [b"/echo"]


@pytest.mark.parametrize("status", [b"100 Continue", b"200 OK", b"204 No Content", b"426 Upgrade Required"])
def test_only_a_real_101_makes_a_tunnel(start, serve, status):
    web = serve(
        WEB,
        answer=b"HTTP/1.1 "
        + status
        + b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    )
    gate = start(allow=(rule(WEB, paths=("/echo",)),), static=((WEB, web.address),))
    with gate.connect(f"{WEB}:443") as sock:
        sock.settimeout(1)
        sock.sendall(UPGRADE % (WEB.encode(), KEY))
        with contextlib.suppress(TimeoutError):
            read_head(sock)
        sock.sendall(SMUGGLED)
        with contextlib.suppress(TimeoutError):
            drain(sock)
    assert b"/secret" not in web.seen


def test_a_second_request_in_the_tunnel_is_the_upstreams_own_business(gate):
    """Behind a real 101 bytes are opaque; what is not a frame makes a WebSocket server close."""
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(UPGRADE % (HOST.encode(), KEY))
        assert read_head(sock).startswith(b"HTTP/1.1 101 ")
        sock.sendall(SMUGGLED.replace(WEB.encode(), HOST.encode()))
        answer = drain(sock)
    assert b"HTTP/1.1" not in answer


def test_an_agent_that_goes_ends_the_dialogue_upstream(gate):
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(UPGRADE % (HOST.encode(), KEY))
        assert read_head(sock).startswith(b"HTTP/1.1 101 ")
    gate.wait_for("response", status=101, host=HOST)


# --- over HTTP/2 (RFC 8441)


def extended(host, path="/echo", protocol="websocket", more=()):
    fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "https"),
        (":authority", host),
        (":path", path),
    ]
    return [*fields, ("sec-websocket-version", "13"), *more]


def text(payload):
    """Return a text frame as a client sends it: masked, with nought."""
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


def test_over_http_2_many_dialogues_share_a_connection(gate):
    with connect2(gate, f"{HOST}:443") as client:
        assert client.read(lambda: any(8 in getattr(one, "settings", {}) for one in client.frames))
        for number in (1, 3, 5):
            client.send(client.headers(number, extended(HOST), end=False))
        assert client.read(lambda: len(client.heads) == 3)
        assert [client.status(number) for number in (1, 3, 5)] == [200, 200, 200]
        assert "sec-websocket-accept" not in dict(client.heads[1][0])
        for number in (5, 1, 3):
            client.send(data(number, text(b"hello %d" % number)))
        assert client.read(lambda: all(b"hello %d" % one in client.bodies.get(one, b"") for one in (1, 3, 5)))
        client.send(data(3, text(b"bye")))
        assert client.read(lambda: b"so you asked" in client.bodies[3])
        client.send(data(3, b"\x88\x82\0\0\0\0\x0f\xa1", end=True), reset(5))
        assert client.done(3)
        client.send(data(1, text(b"again")))
        assert client.read(lambda: b"again" in client.bodies[1])
    assert len(gate.wait_for("response", 3, status=101, host=HOST)) >= 3


def test_over_http_2_the_same_rules_hold(gate):
    with connect2(gate, f"{HOST}:443") as client:
        client.send(client.headers(1, extended(HOST, "/other"), end=False), data(1, text(b"early")))
        client.send(client.headers(3, extended(WEB), end=False))
        client.send(client.headers(5, extended(HOST, protocol="connect-udp"), end=False))
        client.send(client.headers(7, extended(HOST, more=[("sec-websocket-key", "x")]), end=False))
        client.send(client.headers(9, [(":method", "CONNECT"), (":authority", HOST)], end=False))
        client.send(client.headers(11, extended(HOST)[1:], end=False))
        assert client.done(1, 3, 5, 7, 9, 11)
        assert [client.status(number) for number in (1, 3, 5, 7, 9, 11)] == [403, 421, 501, 400, 405, 400]


ACCEPT = base64.b64encode(hashlib.sha1(b"another" + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n",
    ],
)
def test_over_http_2_only_an_accepted_key_makes_a_tunnel(start, serve, answer):
    web = serve(WEB, answer=answer)
    gate = start(allow=(rule(WEB, paths=("/echo",)),), static=((WEB, web.address),))
    with connect2(gate, f"{WEB}:443") as client:
        client.send(client.headers(1, extended(WEB), end=False), data(1, SMUGGLED))
        assert client.done(1)
        assert client.status(1) == 502
    assert b"/secret" not in web.seen
    assert b"GET /echo HTTP/1.1\r\nHost: web.example.com\r\n" in web.seen


NODE = """
import http from 'node:http'; import http2 from 'node:http2'; import tls from 'node:tls';
http.request({host: '127.0.0.1', port: PORT, method: 'CONNECT', path: 'ws.example.com:443'}).on('connect', (_, socket) => {
  const secure = tls.connect({socket, servername: 'ws.example.com', ALPNProtocols: ['h2']});
  const session = http2.connect('https://ws.example.com', {createConnection: () => secure});
  session.on('remoteSettings', (settings) => {
    if (!settings.enableConnectProtocol) return;
    const stream = session.request({':method': 'CONNECT', ':protocol': 'websocket', ':path': '/echo', 'sec-websocket-version': '13'}, {endStream: false});
    stream.on('response', (head) => { console.log(head[':status']); stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])); });
    stream.on('data', (piece) => { console.log(piece.subarray(2).toString()); stream.close(); session.close(); });
  });
}).end();
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_over_http_2_node(gate):
    done = run(gate, "node", "--input-type=module", "-e", NODE.replace("PORT", str(gate.address[1])))
    assert done.stdout == "200\nhi\n", done.stderr
