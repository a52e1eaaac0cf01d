"""The access log: what a line says, what it never says, and that it holds nothing up."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest
import servers
from gates import WAIT, drain, parse
from services import BLUE, HOST, OTHER, RED, TCP, TWO, admin, allow, eventually, ringfence, said

from ringfence.egress import access, limits

FIELDS = {
    "time",
    "identity",
    "client",
    "method",
    "scheme",
    "host",
    "port",
    "status",
    "verdict",
    "up",
    "down",
    "ms",
}


def lines(path):
    """Return the lines so far."""
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]


def wait_for(path, count=1, **fields):
    """Wait for so many lines with these fields."""
    found = []

    def there():
        found[:] = [
            one for one in lines(path) if all(one.get(name) == value for name, value in fields.items())
        ]
        return len(found) >= count

    eventually(there)
    return found


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "access.log")


def test_a_log_that_cannot_be_written_is_told_at_the_start(tmp_path):
    (tmp_path / "p.toml").write_text("")
    words = ("--listen", "127.0.0.1:1", "--policy", "p.toml", "--access-log", "none/access.log")
    status, _, errors = said(tmp_path, "egress", *words)
    assert status == 125
    assert "cannot write the access log none/access.log: No such file" in errors
    assert "Traceback" not in errors


@pytest.mark.guarantee("S7")
def test_neither_secrets_nor_queries_are_in_it(many, tmp_path, path, services_upstream):
    service = many(TWO, words=("--access-log", path))
    with open(tmp_path / "red.toml", "a", encoding="ascii") as file:
        file.write(
            '[credentials.key]\nsource = "env:KEY_OF_RED"\nhost = "api.example.com"\nheader = "x-api-key"\n'
        )
    service.reload()
    services_upstream.clear()
    extra = "x-api-key: sk-of-the-agent\r\n"
    assert service.ask(f"{HOST}:443", ("red", RED), path="/x?key=in-the-query", extra=extra)[0] == 200
    assert b"sk-red-secret" in services_upstream.seen
    (found,) = wait_for(path, host=HOST, method="GET")
    assert found["credential"] == "key"
    service.stop()
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert not any(one in text for one in (RED, "sk-red-secret", "sk-of-the-agent", "in-the-query"))


def test_a_line_for_each_request_that_has_ended(many, path):
    service = many(TWO, words=("--access-log", path))
    service.ask(f"{HOST}:443", ("blue", BLUE), path="/some/path")
    (found,) = wait_for(path, host=HOST)
    assert set(found) == FIELDS | {"path", "rule"}
    assert found["identity"] == "blue"
    assert (found["client"], found["method"], found["path"]) == ("127.0.0.1", "GET", "/some/path")
    assert (found["status"], found["verdict"], found["down"]) == (200, "allow", 2)
    assert found["rule"].endswith(HOST)
    service.ask(f"{OTHER}:443", ("blue", BLUE))
    (found,) = wait_for(path, host=OTHER)
    assert (found["status"], found["verdict"], found["method"]) == (403, "deny", "CONNECT")
    service.ask(f"{HOST}:443")
    (found,) = wait_for(path, status=407)
    assert "identity" not in found


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_requests_over_http2_are_told_of_like_others(one, path):
    service = one(words=("--access-log", path))
    argv = ["curl", "-sS", "--http2", "--max-time", "10", "--cacert", service.ca()]
    argv += ["--proxy", f"http://127.0.0.1:{service.port}", f"https://{HOST}/a", f"https://{HOST}/b"]
    done = subprocess.run(argv, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, b"okok")
    assert {one["path"] for one in wait_for(path, 2, client="127.0.0.1", method="GET")} == {"/a", "/b"}


def test_what_is_refused_within_a_connection_is_told_with_its_reason(one, path):
    dead = servers.free_port()
    rules = (allow(HOST, methods='["GET"]'), allow(TCP))
    service = one(*rules, words=("--access-log", path), static=((TCP, f"127.0.0.1:{dead}"),))
    raw = f"POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with service.plain() as sock:
        sock.sendall(raw.encode())
        assert parse(drain(sock))[0] == 403
    (found,) = wait_for(path, status=403)
    assert (found["verdict"], found["reason"], found["method"]) == ("deny", "ringfence_denied", "POST")
    assert service.ask(f"{TCP}:443")[0] == 502
    (found,) = wait_for(path, status=502)
    assert (found["verdict"], found["reason"]) == ("refused", "ringfence_upstream")


def test_raw_connections_are_counted(one, path, serve):
    echo = serve("x", tls=False)
    service = one(
        allow(TCP, ports="[7]", schemes='["tcp"]'),
        words=("--access-log", path),
        static=((TCP, echo.address),),
    )
    sock, head = service.connect(f"{TCP}:7")
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(100)
    (found,) = wait_for(path, scheme="tcp")
    assert (found["host"], found["port"], found["up"], found["status"]) == (TCP, 7, 18, 0)
    assert found["down"] == 40


@pytest.mark.guarantee("S7")
def test_what_a_client_writes_cannot_break_a_line():
    fields = {"path": '/"\n{"forged":1}\x7f\x1b[31m\u2028é', "host": "x" * 10_000}
    line = access.spelled(fields)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert all(32 <= byte < 127 for byte in line[:-1])
    found = json.loads(line)
    assert found["path"] == fields["path"]
    assert len(found["host"]) < 10_000


def test_a_renamed_log_is_left_at_sighup_even_where_the_policy_is_wrong(one, path, tmp_path):
    service = one(words=("--access-log", path))
    service.ask(f"{HOST}:443")
    wait_for(path)
    os.rename(path, f"{path}.1")
    service.ask(f"{HOST}:443")
    wait_for(f"{path}.1", 2)
    (tmp_path / "p.toml").write_text("wrong")
    service.reload("not reloaded")
    service.ask(f"{HOST}:443")
    assert len(wait_for(path)) == 1
    assert os.stat(path).st_mode & 0o077 == 0


@pytest.mark.guarantee("S7")
def test_a_reader_that_takes_nothing_holds_nothing_up(one, path):
    """A pipe that nobody reads fills after 64 KiB: requests go on, lines are lost and counted."""
    port = servers.free_port()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        service = one(words=("--access-log", path, "--admin", f"127.0.0.1:{port}"))
        raw = f"POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n".encode()
        with service.plain() as sock:
            for _ in range(1000):
                sock.sendall(raw)
                answer = b""
                while not answer.endswith(b"}\n"):
                    answer += sock.recv(65536)
        assert service.ask(f"{HOST}:443") == (200, b"ok")
        assert admin(port) == (200, b"ok\n")
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 5
    finally:
        os.close(reader)


def test_a_full_queue_and_a_full_disk_are_counted_and_told_of(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "ACCESS_LINES", 10)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = access.AccessLog(str(tmp_path / "pipe"))
    sent = 0
    while not log.lost:
        log.write(path="x" * 2000)
        sent += 1
        assert sent < 100_000
    os.set_blocking(reader, True)
    pieces = []
    thread = threading.Thread(target=lambda: pieces.extend(iter(lambda: os.read(reader, 1 << 20), b"")))
    thread.start()
    eventually(lambda: log.write(path="after") or b'"after"' in b"".join(pieces))
    log.write(path="last")
    log.close()
    thread.join(WAIT)
    os.close(reader)
    data = b"".join(pieces)
    told = [json.loads(line) for line in data.splitlines()]
    assert sum(one.get("lost", 0) for one in told) == log.lost >= 1
    full = access.AccessLog("/dev/full")
    for _ in range(3):
        full.write(path="x")
    eventually(lambda: full.lost == 3)
    full.close()


def test_standard_output_takes_it_and_nothing_else(tmp_path):
    (tmp_path / "p.toml").write_text("")
    port = servers.free_port()
    words = ("egress", "--listen", f"127.0.0.1:{port}", "--policy", "p.toml", "--access-log", "-")
    with ringfence(tmp_path, *words) as process:
        assert process.stderr.readline().startswith("serving ")
        with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert parse(drain(sock))[0] in {400, 403}
        process.terminate()
        output, _ = process.communicate(timeout=WAIT)
    assert [json.loads(line)["status"] for line in output.splitlines()] == [400]
