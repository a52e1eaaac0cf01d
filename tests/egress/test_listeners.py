"""Other doors than TCP: a Unix socket and a vsock, which speak what the proxy port speaks."""

import contextlib
import os
import socket
import ssl
import struct

import pytest
from gates import WAIT, Running, drain, read_head, rule

from ringfence.handover import Listener

HOST, DB = "api.example.com", "db.example.com"
VSOCK_LOCAL = 1  # VMADDR_CID_LOCAL, linux/vm_sockets.h


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST)


def gate_on(folder, kind, listening, certificates, upstream):
    return Running(
        folder,
        allow=(rule(HOST), rule(DB, schemes=("tcp",), ports=(5432,))),
        static=((HOST, upstream.address), (DB, upstream.address)),
        extra_ca=(certificates.ca,),
        listeners=(Listener(fd=listening.fileno(), kind=kind),),
    )


@pytest.fixture
def unix(tmp_path, certificates, upstream):
    """Return a gate on a Unix socket, and how to connect to it."""
    path = str(tmp_path / "gate.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(128)
        gate = gate_on(tmp_path, "unix", listening, certificates, upstream)

    def connect():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WAIT)
        sock.connect(path)
        return sock

    yield gate, connect
    gate.stop()


def asked(gate, sock):
    context = ssl.create_default_context(cafile=gate.ca)
    with context.wrap_socket(sock, server_hostname=HOST) as inside:
        inside.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
        return drain(inside)


def through_connect(gate, sock):
    sock.sendall(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
    assert read_head(sock).startswith(b"HTTP/1.1 200 ")
    return asked(gate, sock)


def test_what_no_rule_allows_is_refused_on_a_unix_socket(unix):
    _, connect = unix
    with connect() as sock:
        sock.sendall(b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n")
        assert drain(sock).startswith(b"HTTP/1.1 403 ")
    with connect() as sock:
        sock.sendall(b"\5\1\0\5\1\0\3\x09evil.test\x01\xbb")
        assert drain(sock)[3] == 2


def test_a_unix_socket_speaks_connect_socks_and_plain_requests(unix):
    gate, connect = unix
    assert through_connect(gate, connect()).endswith(b"ok")
    sock = connect()
    sock.sendall(b"\5\1\0\5\1\0\3" + bytes((len(HOST),)) + HOST.encode() + struct.pack("!H", 443))
    answer = b""
    while len(answer) < 12:
        answer += sock.recv(12 - len(answer))
    assert answer[3] == 0
    assert asked(gate, sock).endswith(b"ok")
    with connect() as sock:
        sock.sendall(b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
        assert drain(sock).startswith(b"HTTP/1.1 403 ")


def test_half_a_close_is_kept_on_a_unix_socket(unix, upstream):
    _, connect = unix
    upstream.clear()
    with connect() as sock:
        sock.sendall(b"CONNECT db.example.com:5432 HTTP/1.1\r\n\r\nnot TLS")
        sock.shutdown(socket.SHUT_WR)
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")
        drain(sock)


@pytest.fixture
def vsock(tmp_path, certificates, upstream):
    """Return a gate on a vsock, and how to connect to it over this machine's own loopback."""
    if not hasattr(socket, "AF_VSOCK"):
        pytest.skip("this Python knows no vsock")
    with contextlib.ExitStack() as stack:
        try:
            listening = stack.enter_context(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
            listening.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            listening.listen(16)
        except OSError as error:
            pytest.skip(f"this machine gives no vsock: {error}")
        port = listening.getsockname()[1]
        gate = gate_on(tmp_path, "vsock", listening, certificates, upstream)
    stack.callback(gate.stop)

    def connect():
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        sock.settimeout(2)
        try:
            sock.connect((VSOCK_LOCAL, port))
        except OSError as error:
            sock.close()
            pytest.skip(f"a vsock, but no loopback on it (module vsock_loopback): {error}")
        sock.settimeout(WAIT)
        return sock

    with stack:
        yield gate, connect


def test_a_gate_with_a_vsock_starts_and_ends_in_order(vsock):
    """Where a virtual machine's guest has no loopback on its vsock, this is all that can be shown: the same

    code serves a Unix socket above."""
    gate, _ = vsock
    assert os.path.exists(f"/proc/{gate.process.pid}")
    assert gate.stop() == 0
    assert gate.stderr == ""


def test_a_vsock_speaks_connect(vsock):
    """Skipped where connecting to one's own vsock does not work, as inside Firecracker without vsock_loopback."""
    gate, connect = vsock
    assert through_connect(gate, connect()).endswith(b"ok")
