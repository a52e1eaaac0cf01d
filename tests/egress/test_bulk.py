"""Tunnels that carry much: every byte arrives, ends and resets are what they were, nobody runs ahead."""

import contextlib
import hashlib
import os
import random
import socket
import struct
import threading
import time

import pytest
from gates import WAIT, drain, read_head, rule

from ringfence.egress import limits

DB = "db.example.com"
MUCH = 8 * 1024 * 1024
NO_LINGER = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(WAIT)
        yield made


@pytest.fixture(scope="module")
def gate(start, listener):
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    return start(allow=(rule(DB, schemes=("tcp",), ports=(1,)),), static=((DB, place),))


@pytest.fixture
def tunnel(gate, listener):
    """Return both ends of a tunnel."""
    with contextlib.ExitStack() as stack:

        def begin():
            sock = stack.enter_context(gate.plain())
            sock.sendall(f"CONNECT {DB}:1 HTTP/1.1\r\nHost: {DB}:1\r\n\r\n".encode())
            assert read_head(sock).startswith(b"HTTP/1.1 200 ")
            upstream = stack.enter_context(listener.accept()[0])
            upstream.settimeout(WAIT)
            return sock, upstream

        yield begin


def noise(size=MUCH):
    return random.Random(1).randbytes(size)


def send(sock, data):
    """Send in a thread, and then say that this is all."""

    def work():
        with contextlib.suppress(OSError):  # it was cut off, which the other end tells
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def exactly(sock, count):
    pieces = []
    while count:
        piece = sock.recv(min(count, 65536))
        assert piece, f"{count} bytes are missing"
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def filled(sock, most=512):
    """Send until the other side stops us, or that many megabytes; return how many."""
    sock.settimeout(1.0)
    sent, block = 0, bytes(1024 * 1024)
    with contextlib.suppress(TimeoutError):
        while sent < most:
            sent += sock.send(block) / len(block)
    return sent


def pipes(gate):
    """Return how many pipes the gate holds."""
    folder, found = f"/proc/{gate.process.pid}/fd", 0
    for one in os.listdir(folder):
        with contextlib.suppress(OSError):
            found += os.readlink(f"{folder}/{one}").startswith("pipe:")
    return found


def settled(gate):
    """Return how many pipes a gate holds once earlier tunnels have let go of theirs."""
    found, same = pipes(gate), 0
    while same < 10:
        time.sleep(0.02)
        now = pipes(gate)
        found, same = now, same + 1 if now == found else 0
    return found


def wait_until(holds):
    until = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_reset_behind_much_is_passed_on_as_a_reset(tunnel):
    sock, upstream = tunnel()
    upstream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    thread = threading.Thread(target=upstream.sendall, args=(noise(),), daemon=True)
    thread.start()
    exactly(sock, MUCH)
    thread.join(WAIT)
    upstream.close()
    with pytest.raises(ConnectionResetError):
        sock.recv(1)


def test_a_client_that_is_reset_takes_its_upstream_along(tunnel):
    sock, upstream = tunnel()
    thread = send(upstream, noise(64 * 1024 * 1024))
    exactly(sock, MUCH)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()
    thread.join(WAIT)
    assert not thread.is_alive()


def test_who_does_not_read_stops_who_sends(tunnel, gate):
    sock, upstream = tunnel()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sent = filled(upstream)
    assert sent < 64, "megabytes; the kernel's buffers and ours"
    with open(f"/proc/{gate.process.pid}/status", encoding="ascii") as file:
        (kilobytes,) = (int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert kilobytes < 80_000


@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_every_byte_arrives_and_half_a_close_is_kept(tunnel, gate, way):
    sock, upstream = tunnel()
    one, other = (noise() if way in {"up", "both"} else b"little", noise() if way != "up" else b"little")
    threads = [send(sock, one), send(upstream, other)]
    got = []
    reader = threading.Thread(target=lambda: got.append(drain(upstream)), daemon=True)
    reader.start()
    assert hashlib.sha256(drain(sock)).digest() == hashlib.sha256(other).digest()
    reader.join(WAIT)
    assert hashlib.sha256(got[0]).digest() == hashlib.sha256(one).digest()
    for thread in threads:
        thread.join(WAIT)
    assert gate.wait_for("response", host=DB, up=len(one), down=len(other))


def test_the_answer_follows_the_end_of_much(tunnel):
    sock, upstream = tunnel()
    send(sock, noise())
    assert len(drain(upstream)) == MUCH
    upstream.sendall(b"got it")
    upstream.shutdown(socket.SHUT_WR)
    assert drain(sock) == b"got it"


def test_little_after_much_does_not_wait_for_more(tunnel):
    sock, upstream = tunnel()
    for _ in range(3):
        thread = threading.Thread(target=upstream.sendall, args=(noise(),), daemon=True)
        thread.start()
        exactly(sock, MUCH)
        thread.join(WAIT)
        upstream.sendall(b"?")  # at once: what came before still counts as much
        assert exactly(sock, 1) == b"?"
        began = time.monotonic()
        for _ in range(50):
            sock.sendall(b"!")
            assert exactly(upstream, 1) == b"!"
            upstream.sendall(b"?")
            assert exactly(sock, 1) == b"?"
        assert time.monotonic() - began < 5


def test_a_tunnel_holds_no_pipe_before_it_has_carried_much_nor_after_its_end(tunnel, gate):
    before = settled(gate)
    sock, upstream = tunnel()
    sock.sendall(b"x" * 1000)
    exactly(upstream, 1000)
    assert pipes(gate) == before
    thread = threading.Thread(target=upstream.sendall, args=(noise(),), daemon=True)
    thread.start()
    exactly(sock, MUCH)
    thread.join(WAIT)
    wait_until(lambda: pipes(gate) == before + 2)
    sock.close()
    upstream.close()
    wait_until(lambda: pipes(gate) == before)


def test_beyond_the_limit_bytes_take_the_usual_way(start, listener):
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    gate = start(allow=(rule(DB, schemes=("tcp",), ports=(1,)),), static=((DB, place),), limits={"PIPES": 1})
    ends = []
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            sock = stack.enter_context(gate.plain())
            sock.sendall(f"CONNECT {DB}:1 HTTP/1.1\r\nHost: {DB}:1\r\n\r\n".encode())
            read_head(sock)
            upstream = stack.enter_context(listener.accept()[0])
            threading.Thread(target=upstream.sendall, args=(noise(),), daemon=True).start()
            ends.append(sock)
        for sock in ends:
            assert exactly(sock, MUCH) == noise()
        held = pipes(gate)
    wait_until(lambda: pipes(gate) == held - 2)
    assert limits.PIPES > 1


def test_a_session_that_ends_cuts_much_off(start, listener):
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    gate = start(allow=(rule(DB, schemes=("tcp",), ports=(1,)),), static=((DB, place),))
    with gate.plain() as sock:
        sock.sendall(f"CONNECT {DB}:1 HTTP/1.1\r\nHost: {DB}:1\r\n\r\n".encode())
        read_head(sock)
        with listener.accept()[0] as upstream:
            upstream.settimeout(WAIT)
            send(upstream, noise())
            exactly(sock, 2 * 1024 * 1024)
            assert gate.stop() == 0
            assert len(drain(sock)) < MUCH


def test_silence_of_both_ends_a_tunnel_that_has_carried_much(start, listener):
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    gate = start(
        allow=(rule(DB, schemes=("tcp",), ports=(1,)),), static=((DB, place),), limits={"TUNNEL_TIME": 0.5}
    )
    with gate.plain() as sock:
        sock.settimeout(WAIT)
        sock.sendall(f"CONNECT {DB}:1 HTTP/1.1\r\nHost: {DB}:1\r\n\r\n".encode())
        read_head(sock)
        with listener.accept()[0] as upstream:
            upstream.settimeout(WAIT)
            threading.Thread(target=upstream.sendall, args=(noise(),), daemon=True).start()
            exactly(sock, MUCH)
            until = time.monotonic() + 3
            while time.monotonic() < until:  # one direction that lives keeps the other
                sock.sendall(b".")
                exactly(upstream, 1)
                time.sleep(0.1)
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
