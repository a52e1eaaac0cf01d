"""Raw TCP under a rule that says so: databases and ssh, by name, whoever speaks first."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest
import servers
from gates import WAIT, Running, drain, read_head, rule

from ringfence.egress import limits
from ringfence.handover import Listener

GREETING = b"\x4a\0\0\0\x0a8.0.36-greeting\0"  # as MySQL begins
DB, SSH = "db.example.com", "ssh.example.com"
SSL_REQUEST = struct.pack("!II", 8, 80877103)


class Greeter:
    """A server that speaks first, then answers what it got when the client has ended its direction."""

    def __init__(self, family=socket.AF_INET):
        where = "127.0.0.1" if family == socket.AF_INET else "::1"
        self._sock = socket.create_server((where, 0), family=family)
        self.port = self._sock.getsockname()[1]
        self.address = f"{where}:{self.port}" if family == socket.AF_INET else f"[{where}]:{self.port}"
        self.accepted = self.ended = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError):
            sock.settimeout(WAIT)
            sock.sendall(GREETING)
            got = drain(sock)
            sock.sendall(b"got " + got)
        self.ended += 1

    def close(self):
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


@pytest.fixture(scope="module")
def greeter():
    made = Greeter()
    yield made
    made.close()


@pytest.fixture(scope="module")
def greeter6():
    made = Greeter(socket.AF_INET6)
    yield made
    made.close()


def tcp(host, *ports, **more):
    return rule(host, schemes=("tcp",), ports=ports, **more)


@pytest.fixture(scope="module")
def nobody_listens():
    return servers.free_port()


@pytest.fixture(scope="module")
def gate(start, greeter, greeter6, nobody_listens):
    return start(
        allow=(
            tcp(DB, 3306),
            tcp("six.example.com", 3306),
            tcp("gone.example.com", 3306),
            tcp("both.example.com", 3306),
            tcp("127.0.0.1", greeter.port),
            rule("web.example.com", ports=(443, 3306)),
            rule("both.example.com", paths=("/only",), ports=(3306,)),
            tcp("denied.example.com", 3306),
        ),
        ask=(tcp("asked.example.com", 3306),),
        deny=(rule("denied.example.com", paths=("/admin/**",)),),
        static=(
            *((name, greeter.address) for name in (DB, "both.example.com", "denied.example.com")),
            ("six.example.com", greeter6.address),
            ("gone.example.com", f"127.0.0.1:{nobody_listens}"),
        ),
    )


def connect(gate, authority):
    sock = gate.plain()
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    return sock, read_head(sock)


def socks(gate, host, port):
    sock = gate.plain()
    raw = host.encode()
    sock.sendall(b"\5\1\0\5\1\0\3" + bytes((len(raw),)) + raw + struct.pack("!H", port))
    answer = b""
    while len(answer) < 12 and (more := sock.recv(12 - len(answer))):
        answer += more
    return sock, answer[3]


def exactly(sock, count):
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


# --- refusals first


@pytest.mark.guarantee("N15")
@pytest.mark.parametrize(
    ("host", "port", "effect"),
    [
        (DB, 22, "deny"),
        (DB, 443, "deny"),
        ("evil.test", 3306, "deny"),
        ("denied.example.com", 3306, "deny"),
        ("asked.example.com", 3306, "ask"),
    ],
)
def test_only_the_named_host_and_port_are_raw(gate, greeter, host, port, effect):
    before = greeter.accepted
    sock, head = connect(gate, f"{host}:{port}")
    with sock:
        assert head.startswith(b"HTTP/1.1 403 ")
    sock, code = socks(gate, host, port)
    with sock:
        assert code == 2
    assert len(gate.wait_for("verdict", 2, host=host, port=port, effect=effect)) == 2
    assert greeter.accepted == before


def test_a_rule_for_requests_does_not_let_raw_bytes_through(gate):
    sock, head = connect(gate, "web.example.com:3306")
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
        sock.sendall(b"SSH-2.0-x\r\n")
        assert drain(sock) == b""


def test_a_rule_for_raw_bytes_allows_no_request(gate):
    answer = gate.converse(
        f"GET http://{DB}:3306/ HTTP/1.1\r\nHost: {DB}:3306\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.guarantee("N15")
def test_the_address_guard_holds_for_raw_bytes(start):
    gate = start(allow=(tcp("localhost", 3306),))
    sock, head = connect(gate, "localhost:3306")
    with sock:
        assert head.startswith(b"HTTP/1.1 403 ")
        assert b"127.0.0.1" not in drain(sock)
    sock, code = socks(gate, "localhost", 3306)
    sock.close()
    assert code == 2
    assert gate.wait_for("refused", host="localhost", reason="resolves to loopback")


def test_an_upstream_that_is_not_there_is_told(gate):
    sock, head = connect(gate, "gone.example.com:3306")
    with sock:
        assert head.startswith(b"HTTP/1.1 502 ")
    sock, code = socks(gate, "gone.example.com", 3306)
    sock.close()
    assert code == 5


# --- and what passes


@pytest.mark.parametrize("host", [DB, "six.example.com", "both.example.com"])
def test_the_server_speaks_first_through_connect_and_socks(gate, host):
    sock, head = connect(gate, f"{host}:3306")
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
        assert exactly(sock, len(GREETING)) == GREETING
    sock, code = socks(gate, host, 3306)
    with sock:
        assert code == 0
        assert exactly(sock, len(GREETING)) == GREETING


def test_an_address_is_raw_where_the_rule_names_the_address(gate, greeter):
    sock, head = connect(gate, f"127.0.0.1:{greeter.port}")
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
        assert exactly(sock, len(GREETING)) == GREETING


def test_half_a_close_is_kept_and_bytes_are_counted(gate):
    sock, _ = connect(gate, f"{DB}:3306")
    with sock:
        exactly(sock, len(GREETING))
        sock.sendall(b"x" * 1000)
        sock.shutdown(socket.SHUT_WR)
        assert drain(sock) == b"got " + b"x" * 1000
    assert gate.wait_for("response", host=DB, up=1000, down=len(GREETING) + 1004)


def test_bytes_sent_along_with_connect_arrive(gate):
    answer = gate.converse(f"CONNECT {DB}:3306 HTTP/1.1\r\nHost: {DB}:3306\r\n\r\nearly".encode(), end=True)
    assert answer.endswith(GREETING + b"got early")


def test_a_client_that_is_reset_takes_its_upstream_along(gate, greeter):
    ended = greeter.ended
    sock, _ = connect(gate, f"{DB}:3306")
    exactly(sock, len(GREETING))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    until = time.monotonic() + WAIT
    while greeter.ended == ended:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_reset_is_passed_on_as_a_reset(start):
    """An orderly end would say: this is all there is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gate = start(allow=(tcp(DB, 1),), static=((DB, f"127.0.0.1:{listener.getsockname()[1]}"),))
        sock, _ = connect(gate, f"{DB}:1")
        upstream, _ = listener.accept()
        upstream.sendall(b"half of it")
        assert exactly(sock, 10) == b"half of it"
        upstream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        upstream.close()
        with sock, pytest.raises(ConnectionResetError):
            sock.recv(1)


def descriptors(gate):
    return len(os.listdir(f"/proc/{gate.process.pid}/fd"))


def settled(gate):
    """Return how many descriptors a gate holds once it has done what it does at its start."""
    gate.wait_for("verdict")
    found, same = descriptors(gate), 0
    while same < 10:
        time.sleep(0.02)
        now = descriptors(gate)
        found, same = now, same + 1 if now == found else 0
    return found


def wait_until(holds, seconds=WAIT):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_client_gone_while_its_upstream_is_dialled_leaves_nothing(tmp_path):
    """A listener whose backlog is full answers no SYN: dialling hangs until somebody gives up (T16)."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filling = [socket.socket() for _ in range(3)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        time.sleep(0.1)
        gate = Running(tmp_path, allow=(tcp(DB, 3306),), static=((DB, f"127.0.0.1:{full.getsockname()[1]}"),))
        try:
            gate.converse(b"CONNECT evil.test:443 HTTP/1.1\r\n\r\n")  # it is up
            before = settled(gate)
            clients = [gate.plain() for _ in range(20)]
            for sock in clients:
                sock.sendall(f"CONNECT {DB}:3306 HTTP/1.1\r\nHost: {DB}:3306\r\n\r\n".encode())
            gate.wait_for("verdict", 20, host=DB, effect="allow")
            wait_until(
                lambda: descriptors(gate) >= before + 40
            )  # a verdict is on record before it is dialled
            for sock in clients:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            # Well before the dials would give up by themselves.
            wait_until(lambda: descriptors(gate) <= before, limits.DIAL_TIME / 2)
        finally:
            gate.stop()
            for one in filling:
                one.close()


# --- real servers and clients, through the private wire


@pytest.fixture(scope="module")
def database(certificates):
    with servers.postgres(certificates.pem(DB)) as port:
        yield port


@pytest.fixture(scope="module")
def cache():
    with servers.redis() as port:
        yield port


@pytest.fixture(scope="module")
def wired(wire, tmp_path_factory, database, cache, greeter, nobody_listens):
    running = Running(
        tmp_path_factory.mktemp("gate"),
        allow=(
            tcp(DB, 5432),
            tcp("cache.example.com", 6379),
            tcp("mysql.example.com", 3306),
            tcp("gone.example.com", 3306),
        ),
        static=(
            (DB, f"127.0.0.1:{database}"),
            ("cache.example.com", f"127.0.0.1:{cache}"),
            ("mysql.example.com", greeter.address),
            ("gone.example.com", f"127.0.0.1:{nobody_listens}"),
        ),
        listeners=tuple(Listener(fd=fd, kind=wire.kind) for fd in wire.listeners),
        dns_fd=wire.dns,
        gate_address="100.64.0.1",
        proxy_port=3128,
    )
    yield running
    running.stop()


def psql(wire, words, statement="select 6 * 7", port=5432):
    return wire.run(
        servers.program("psql"), "-X", "-A", "-t", "-c", statement,
        f"host={DB} port={port} user=agent dbname=postgres connect_timeout=10 {words}",
    )  # fmt: skip


@pytest.mark.usefixtures("wired")
def test_psql_by_name(wire):
    assert psql(wire, "sslmode=disable") == (0, "42\n", "")


def test_psql_with_tls_from_end_to_end(wire, wired, certificates):
    """The server's own certificate arrives: nobody terminated this TLS."""
    words = f"sslmode=verify-full sslrootcert={certificates.ca}"
    asked = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert psql(wire, words, asked) == (0, "t\n", "")
    assert wired.wait_for("verdict", host=DB, port=5432, method="tcp", effect="allow", source="wire")


@pytest.mark.usefixtures("wired")
def test_psql_moves_a_large_result(wire):
    status, out, _ = psql(wire, "", "select repeat('x', 3000000)")
    assert (status, len(out)) == (0, 3000001)


@pytest.mark.usefixtures("wired")
def test_psql_at_another_port_is_reset_at_once(wire):
    started = time.monotonic()
    status, _, errors = psql(wire, "", port=5433)
    assert status == 2
    assert "server closed the connection" in errors or "reset" in errors
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("wired")
def test_redis_by_name(wire):
    cli = servers.program("redis-cli")
    assert wire.run(cli, "-h", "cache.example.com", "set", "a", "b")[1] == "OK\n"
    assert wire.run(cli, "-h", "cache.example.com", "get", "a")[1] == "b\n"


@pytest.mark.usefixtures("wired")
def test_a_server_that_speaks_first_is_heard(wire):
    code = "import socket;s=socket.create_connection(('mysql.example.com',3306),5);print(s.recv(100))"
    assert wire.python(code)[1] == f"{GREETING!r}\n"


@pytest.mark.usefixtures("wired")
def test_an_upstream_that_is_not_there_is_a_reset(wire):
    code = (
        # The reset may come before a connect with a time limit has looked: that is one, too.
        "import socket\n"
        "try: print(socket.create_connection(('gone.example.com',3306),5).recv(9))\n"
        "except ConnectionResetError: print('reset')"
    )
    assert wire.python(code)[1] == "reset\n"


def test_psycopg_behind_nothing_but_connect(start, database):
    """A driver that knows no proxy, through a forwarder that knows nothing but CONNECT."""
    psycopg = pytest.importorskip("psycopg")
    nc = servers.program("socat")
    gate = start(allow=(tcp(DB, 5432),), static=((DB, f"127.0.0.1:{database}"),))
    port = servers.free_port()
    argv = [nc, f"TCP-LISTEN:{port},bind=127.0.0.1", f"PROXY:127.0.0.1:{DB}:5432,proxyport={gate.address[1]}"]
    with subprocess.Popen(argv) as forwarder:
        time.sleep(0.2)
        with psycopg.connect(
            host="127.0.0.1",
            port=port,
            user="agent",
            dbname="postgres",
            sslmode="require",
            connect_timeout=10,
        ) as connection:
            assert connection.execute("select 6 * 7").fetchone() == (42,)
        forwarder.wait(WAIT)


def test_the_ssl_request_of_postgresql_is_answered_by_the_server(start, database):
    gate = start(allow=(tcp(DB, 5432),), static=((DB, f"127.0.0.1:{database}"),))
    sock, code = socks(gate, DB, 5432)
    with sock:
        assert code == 0
        sock.sendall(SSL_REQUEST)
        assert sock.recv(1) == b"S"


# --- ssh


@pytest.fixture(scope="module")
def sshd():
    """Run a real sshd that lets this user in by key; returns its port and the client's key."""
    server, keygen = servers.program("sshd"), servers.program("ssh-keygen")
    with servers.folder() as where:
        if os.geteuid() == 0:
            shutil.chown(where, "root", "root")
            os.makedirs("/run/sshd", exist_ok=True)
        for name in ("host", "client"):
            subprocess.run(
                [keygen, "-q", "-t", "ed25519", "-N", "", "-f", f"{where}/{name}"], check=True, timeout=30
            )
        port = servers.free_port()
        options = {
            "ListenAddress": "127.0.0.1", "Port": port, "HostKey": f"{where}/host", "PidFile": "none",
            "AuthorizedKeysFile": f"{where}/client.pub", "StrictModes": "no", "UsePAM": "no",
            "PermitRootLogin": "yes", "PasswordAuthentication": "no",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        with servers.running([server, "-D", "-e", "-f", "/dev/null", *words], port, where=where):
            yield port, f"{where}/client"


@pytest.mark.parametrize("protocol", ["connect", "5"])
def test_ssh_through_a_proxy_command(start, sshd, protocol):
    port, key = sshd
    gate = start(allow=(tcp(SSH, 22),), static=((SSH, f"127.0.0.1:{port}"),))
    nc = servers.program("nc")
    proxy = "{} -X {} -x {}:{} %h %p".format(nc, protocol, *gate.address)
    done = subprocess.run(
        [
            *("ssh", "-F", "/dev/null", "-i", key, "-o", "BatchMode=yes", "-o", f"ProxyCommand={proxy}"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
            *(SSH, "wc -c"),
        ],
        input=b"x" * 100_000,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"100000\n"), done.stderr
