"""WebSockets through the gate, with the `websockets` package on both ends and by hand (THREATS.md T8)."""

import base64
import contextlib
import os
import ssl
import threading
import time

import pytest
from gates import drain, read_head, rule

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


def test_no_upgrade_is_taken_inside_http_2(gate):
    """Extended CONNECT (RFC 8441) is not offered, and who tries it anyway is refused on that stream alone."""
    from http2_peers import connect2

    with connect2(gate, f"{HOST}:443") as client:
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/echo"),
            ("sec-websocket-version", "13"),
        ]
        client.send(client.headers(1, fields, end=False))
        client.ask(3, HOST, path="/nothing")
        assert client.done(1, 3)
        assert (client.status(1), client.status(3)) == (400, 403)
        assert all(getattr(one, "settings", {}).get(8, 0) == 0 for one in client.frames)
