"""SIGHUP: a new configuration holds as a whole or not at all, and ends what it does not allow any more."""

import contextlib
import os
import signal
import socket
import ssl
import threading
import time

import pytest
import servers
from gates import WAIT, drain, read_head
from services import BLUE, HOST, OTHER, RED, TCP, TWO, admin, allow, eventually

RAW = allow(TCP, ports="[7]", schemes='["tcp"]')


@pytest.fixture
def echo():
    """Return the address of a server that says back what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=back, args=(sock,), daemon=True).start()

        def back(sock):
            with sock, contextlib.suppress(OSError):
                while data := sock.recv(65536):
                    sock.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(WAIT)


def tunnel(service):
    sock, head = service.connect(f"{TCP}:7")
    assert head.startswith(b"HTTP/1.1 200 ")
    sock.sendall(b"hello")
    assert sock.recv(100) == b"hello"
    return sock


# --- what changes nothing


@pytest.mark.parametrize("text", ["[egress]\nalow = []\n", "not toml", None])
def test_a_policy_that_cannot_be_used_leaves_the_old_one(one, tmp_path, text):
    port = servers.free_port()
    service = one(words=("--admin", f"127.0.0.1:{port}"))
    if text is None:
        os.unlink(tmp_path / "p.toml")
    else:
        (tmp_path / "p.toml").write_text(text)
    service.reload("not reloaded, the old configuration holds on")
    assert service.ask(f"{HOST}:443") == (200, b"ok")
    assert service.ask(f"{OTHER}:443")[0] == 403
    assert b'ringfence_reloads_total{outcome="failed"} 1' in admin(port, "/metrics")[1]


def test_authorities_that_cannot_be_read_leave_the_old_ones(one, tmp_path):
    service = one()
    for content in (None, "no certificate"):
        if content:
            (tmp_path / "gone.pem").write_text(content)
        text = (tmp_path / "p.toml").read_text()
        (tmp_path / "p.toml").write_text(text.replace("extra_ca = [", f'extra_ca = ["{tmp_path}/gone.pem", '))
        service.reload("not reloaded")
        assert "gone.pem cannot be used" in service.wait_for("error: ")
        assert service.ask(f"{HOST}:443") == (200, b"ok")


@pytest.mark.guarantee("S3")
def test_an_identity_that_cannot_listen_leaves_everything_as_it_was(many, tmp_path):
    service = many(TWO)
    (tmp_path / "in-the-way").write_text("data")
    service.write(
        TWO.replace('"blue.toml"', '"red.toml"')
        + f'[identity.new]\npolicy = "red.toml"\nlisten = ["unix:{tmp_path}/fine", "unix:{tmp_path}/in-the-way"]\n'
    )
    service.reload("not reloaded")
    assert service.ask(f"{OTHER}:443", ("blue", BLUE))[0] == 403  # part of it would have been another policy
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match=r"No such file|refused"):
        sock.connect(str(tmp_path / "fine"))


def test_a_tunnel_that_is_still_allowed_goes_on(one, echo):
    service = one(RAW, static=((TCP, echo),))
    with tunnel(service) as sock:
        for _ in range(3):
            service.write(RAW, allow(HOST), static=((TCP, echo),))
            service.reload()
            sock.sendall(b"again")
            assert sock.recv(100) == b"again"


# --- what ends


@pytest.mark.guarantee("N16")
def test_a_tunnel_that_is_not_allowed_any_more_is_cut(one, echo):
    service = one(RAW, static=((TCP, echo),))
    with tunnel(service) as sock:
        service.write(allow(HOST), static=((TCP, echo),))
        service.reload()
        with pytest.raises(ConnectionResetError):
            sock.recv(100)
    sock, head = service.connect(f"{TCP}:7")
    sock.close()
    assert head.startswith(b"HTTP/1.1 403 ")


def test_a_deny_rule_cuts_what_an_allow_rule_let_through(one, echo):
    service = one(RAW, static=((TCP, echo),))
    with tunnel(service) as sock:
        service.write(RAW, static=((TCP, echo),), more=f'egress.deny = ["{TCP}"]\n')
        service.reload()
        with pytest.raises(ConnectionResetError):
            sock.recv(100)


@pytest.mark.guarantee("N16")
def test_a_request_under_way_is_judged_again(one, serve):
    """By method and path: the rule that let it through is gone, though its host is still allowed."""
    release = threading.Event()

    def answer(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        release.wait(WAIT)
        return False

    streaming = serve(TCP, answer=answer)
    service = one(allow(TCP), static=((TCP, streaming.address),))
    sock, _ = service.connect(f"{TCP}:443")
    context = ssl.create_default_context(cafile=service.ca())
    try:
        with context.wrap_socket(sock, server_hostname=TCP) as inside:
            inside.sendall(f"GET /events HTTP/1.1\r\nHost: {TCP}\r\n\r\n".encode())
            received = b""
            while b"data: 1" not in received:
                received += inside.recv(65536)
            service.write(allow(TCP, paths='["/other"]'), static=((TCP, streaming.address),))
            service.reload()
            assert b"data" not in drain(inside)
        eventually(lambda: streaming.ended > 0 or release.set() is None)
    finally:
        release.set()


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_still_being_dialled_is_judged_again_before_it_passes(one, kept):
    """A listener whose backlog is full takes no connection until it is emptied."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filling = [socket.socket() for _ in range(3)]
        for sock in filling:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        slow = ((TCP, f"127.0.0.1:{full.getsockname()[1]}"),)
        service = one(RAW, static=slow)
        with service.plain() as client:
            client.settimeout(WAIT)
            client.sendall(f"CONNECT {TCP}:7 HTTP/1.1\r\nHost: {TCP}:7\r\n\r\n".encode())
            eventually(lambda: service.events(kind="verdict"))
            service.write(*((RAW, allow(HOST)) if kept else (allow(HOST),)), static=slow)
            service.reload()
            full.settimeout(WAIT)
            taken = [full.accept()[0] for _ in range(2)]  # the next SYN comes through
            assert read_head(client).split(b" ")[1] == (b"200" if kept else b"403")
        for sock in (*filling, *taken):
            sock.close()


def test_an_open_connection_is_judged_by_the_new_rules(one):
    service = one(allow(HOST))
    sock, _ = service.connect(f"{HOST}:443")
    context = ssl.create_default_context(cafile=service.ca())
    request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with context.wrap_socket(sock, server_hostname=HOST) as inside:
        inside.sendall(request)
        assert inside.recv(65536).startswith(b"HTTP/1.1 200 ")
        service.write(allow(HOST, methods='["POST"]'))
        service.reload()
        inside.sendall(request)
        assert inside.recv(65536).startswith(b"HTTP/1.1 403 ")
        service.write(allow(OTHER))
        service.reload()
        assert drain(inside) == b""  # no request to this host could be allowed


def test_who_is_taken_off_the_list_is_gone(many):
    service = many(TWO)
    sock, head = service.connect(f"{HOST}:443", ("blue", BLUE))
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
        service.write(TWO.partition("[identity.blue]")[0])
        service.reload()
        assert drain(sock) == b""
    assert service.ask(f"{HOST}:443", ("blue", BLUE))[0] == 407
    assert service.ask(f"{HOST}:443", ("red", RED)) == (200, b"ok")
    assert service.events("blue", "end")


def test_a_token_that_was_changed_ends_the_connections_of_the_old_one(many, tmp_path):
    (tmp_path / "token").write_text(RED)
    os.chmod(tmp_path / "token", 0o600)
    service = many(f'[identity.red]\npolicy = "red.toml"\ntoken = "file:{tmp_path}/token"\n')
    sock, head = service.connect(f"{HOST}:443", ("red", RED))
    with sock:
        assert head.startswith(b"HTTP/1.1 200 ")
        (tmp_path / "token").write_text(BLUE)
        service.reload()
        assert drain(sock) == b""
    assert service.ask(f"{HOST}:443", ("red", RED))[0] == 407
    assert service.ask(f"{HOST}:443", ("red", BLUE)) == (200, b"ok")


def test_a_new_identity_is_served_and_an_old_ones_door_is_closed(many, tmp_path):
    path = tmp_path / "green.sock"
    service = many(TWO)
    service.write(TWO + f'[identity.green]\npolicy = "blue.toml"\nlisten = ["unix:{path}"]\n')
    service.reload()

    def door():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WAIT)
        sock.connect(str(path))
        return sock

    assert service.ask(f"{HOST}:443", name="green", sock=door()) == (200, b"ok")
    service.write(TWO)
    service.reload()
    assert not path.exists()


def test_a_credential_that_was_rotated_is_used_and_the_old_one_still_scrubbed(one, serve, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("sk-old-old-old")
    os.chmod(secret, 0o600)
    mirror = serve(TCP, answer=lambda sock, *_: sock.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\nsk-old-old-old sk-new-new-new"
    ))  # fmt: skip

    def bound(name):
        return f'[credentials.{name}]\nsource = "file:{secret}"\nhost = "{TCP}"\nheader = "x-api-key"\n'

    def write(name):
        service.write(allow(TCP), static=((TCP, mirror.address),))
        with open(tmp_path / "p.toml", "a", encoding="ascii") as file:
            file.write(bound(name))

    service = one(allow(TCP), static=((TCP, mirror.address),))
    write("first")
    service.reload()
    assert b"sk-old" not in service.ask(f"{TCP}:443")[1]
    secret.write_text("sk-new-new-new")
    write("second")
    service.reload()
    assert b"sk-" not in service.ask(f"{TCP}:443")[1]
    assert b"x-api-key: sk-new-new-new" in mirror.heads[-1]


# --- a hundred times, under load


class Load:
    """Clients that never stop asking, and what they noticed."""

    def __init__(self, service):
        self._service = service
        self._stop = threading.Event()
        self.wrong = []
        self.counts = {"same": 0, "never": 0, "other": 0}
        self._threads = [threading.Thread(target=one) for one in (self._always, self._never, self._either)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT)

    def _count(self, what, answer, statuses):
        self.counts[what] += 1
        if answer[9:12] not in statuses:
            self.wrong.append((what, answer[:80]))

    def _always(self):
        """Ask for what both policies allow, on one connection all the time."""
        context = ssl.create_default_context(cafile=self._service.ca())
        sock, _ = self._service.connect(f"{HOST}:443")
        with context.wrap_socket(sock, server_hostname=HOST) as inside:
            while not self._stop.is_set() and not self.wrong:
                inside.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                self._count("same", inside.recv(65536), {b"200"})

    def _never(self):
        self._connect("never", "evil.test:443", {b"403"})

    def _either(self):
        self._connect("other", f"{OTHER}:443", {b"200", b"403"})

    def _connect(self, what, authority, statuses):
        while not self._stop.is_set():
            sock, head = self._service.connect(authority)
            sock.close()
            self._count(what, head, statuses)
            time.sleep(0.005)

    def goes_on(self):
        """Wait for one more answer."""
        before = self.counts["same"]
        eventually(lambda: self.counts["same"] > before or self.wrong)


@pytest.mark.guarantee("S3")
def test_a_hundred_reloads_under_load_open_no_window_and_drop_nothing_that_is_allowed(one, echo):
    """Two policies take turns; what both allow always passes, what neither allows never does."""
    wide = (allow(HOST), allow(OTHER), RAW)
    narrow = (allow(HOST), RAW)
    service = one(*wide, static=((TCP, echo),))
    with tunnel(service) as sock, Load(service) as load:
        for index in range(100):
            service.write(*(narrow if index % 2 == 0 else wide), static=((TCP, echo),))
            service.reload()
            sock.sendall(b"%03d" % index)
            assert sock.recv(100) == b"%03d" % index
            if index % 2 == 0:  # from the moment it is told, the narrow policy holds
                other, head = service.connect(f"{OTHER}:443")
                other.close()
                assert head.startswith(b"HTTP/1.1 403 ")
            if index % 5 == 0:
                load.goes_on()
    assert load.wrong == []
    assert min(load.counts.values()) > 10, load.counts


def test_many_signals_at_once_are_as_good_as_one(one):
    service = one(allow(HOST))
    service.write(allow(OTHER))
    for _ in range(50):
        service.process.send_signal(signal.SIGHUP)
    service.wait_for("reloaded")
    time.sleep(0.2)
    assert service.ask(f"{OTHER}:443") == (200, b"ok")
    assert service.ask(f"{HOST}:443")[0] == 403


def test_read_head_is_whole(one):
    """A head that is answered while a reload runs is one whole answer."""
    service = one(allow(HOST))
    for _ in range(20):
        service.process.send_signal(signal.SIGHUP)
        with service.plain() as sock:
            sock.sendall(b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n")
            assert read_head(sock).startswith(b"HTTP/1.1 403 ")
