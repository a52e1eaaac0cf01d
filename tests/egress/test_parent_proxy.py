"""An upstream proxy between the gate and everything: Squid, a real SOCKS proxy, and proxies that misbehave."""

import contextlib
import json
import os
import socket
import threading

import pytest
import servers
from gates import WAIT, credential, drain, read_head, rule

HOST = "api.example.com"


class Proxy:
    """A proxy that answers as it is told, and connects where it likes."""

    def __init__(self, behave):
        self._behave = behave
        self.heads = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(WAIT)
        with sock, contextlib.suppress(OSError):
            self._behave(self, sock)

    def close(self):
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


@pytest.fixture
def proxy():
    """Return a function that starts a proxy."""
    with contextlib.ExitStack() as stack:

        def begin(behave):
            made = Proxy(behave)
            stack.callback(made.close)
            return made

        yield begin


def answering(answer):
    def behave(proxy, sock):
        proxy.heads.append(read_head(sock))
        sock.sendall(answer)
        drain(sock)

    return behave


def passing_to(port):
    """Connect everything to one port of this machine."""

    def behave(proxy, sock):
        proxy.heads.append(read_head(sock))
        with socket.create_connection(("127.0.0.1", port), WAIT) as upstream:
            sock.sendall(b"HTTP/1.1 200 OK\r\nVia: corp\r\n\r\n")
            back = threading.Thread(target=pump, args=(upstream, sock), daemon=True)
            back.start()
            pump(sock, upstream)
            back.join(WAIT)

    return behave


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def refused(gate, authority):
    status, _, body = gate.ask(authority)
    return status, json.loads(body)["error"]["message"]


# --- refusals first


@pytest.mark.guarantee("N17")
def test_a_denied_name_is_not_told_to_the_proxy(start, proxy):
    made = proxy(answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    gate = start(allow=(rule(HOST),), proxy=f"http://127.0.0.1:{made.port}")
    for host in ("evil.test", "127.0.0.1", "169.254.169.254", "[::1]", "2130706433"):
        assert (
            gate.converse(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())[9:12] == b"403"
        )
    assert made.heads == []


def test_an_address_in_an_allowed_network_is_judged_here_whoever_dials(start, proxy):
    """A network in a rule vouches for its addresses, but never for a metadata service."""
    made = proxy(answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    gate = start(allow=(rule("169.254.0.0/16"),), proxy=f"http://127.0.0.1:{made.port}")
    assert gate.ask("169.254.169.254:443")[0] == 403
    assert made.heads == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n", "(407)"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "(403)"),
        (b"HTTP/1.0 503 No\r\n\r\n", "(503)"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil.test\r\n\r\n", "answered 302"),
        (b"SSH-2.0-x\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\nno: crlf\n\n\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70000, "malformed"),
    ],
)
def test_a_proxy_that_says_no_is_502_and_told(start, proxy, answer, said):
    made = proxy(answering(answer))
    gate = start(allow=(rule(HOST),), proxy=f"http://127.0.0.1:{made.port}")
    status, message = refused(gate, f"{HOST}:443")
    assert status == 502
    assert "upstream proxy" in message
    assert said in message
    assert gate.wait_for("dial", host=HOST)


def test_a_proxy_that_is_not_there_is_502(start):
    gate = start(allow=(rule(HOST),), proxy=f"http://127.0.0.1:{servers.free_port()}")
    status, message = refused(gate, f"{HOST}:443")
    assert (status, "cannot be reached" in message) == (502, True)


def test_a_proxy_that_closes_at_once_is_502(start, proxy):
    for scheme in ("http", "socks5"):
        made = proxy(lambda *_: None)
        gate = start(allow=(rule(HOST),), proxy=f"{scheme}://127.0.0.1:{made.port}")
        status, message = refused(gate, f"{HOST}:443")
        assert (status, "closed the connection" in message) == (502, True)


@pytest.mark.guarantee("N17")
def test_a_certificate_that_the_proxy_made_up_is_not_believed(start, proxy, serve):
    false = serve(HOST, self_signed=True)
    made = proxy(passing_to(false.port))
    gate = start(allow=(rule(HOST),), proxy=f"http://127.0.0.1:{made.port}")
    status, message = refused(gate, f"{HOST}:443")
    assert (status, "does not verify" in message) == (502, True)
    assert false.requests == []


def test_a_password_that_is_not_there_opens_nothing(start, proxy):
    made = proxy(answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    gate = start(
        allow=(rule(HOST),),
        proxy=f"http://me@127.0.0.1:{made.port}",
        proxy_password="env:NOT_THERE",
        environment={},
    )
    status, message = refused(gate, f"{HOST}:443")
    assert (status, "env:NOT_THERE" in message) == (502, True)
    assert b"".join(made.heads) == b""  # connected to, told nothing


# --- and what it does


def test_the_proxy_gets_the_name_and_nothing_else_of_the_request(start, proxy, serve):
    upstream = serve(HOST)
    made = proxy(passing_to(upstream.port))
    gate = start(allow=(rule(HOST),), proxy=f"http://127.0.0.1:{made.port}")
    status, headers, body = gate.ask(f"{HOST}:443", path="/secret", headers=[("x-secret", "1")])
    assert (status, body) == (200, b"ok")
    assert "via" not in headers
    assert made.heads == [b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n"]
    assert gate.wait_for("dial", host=HOST, through=f"http://127.0.0.1:{made.port}")
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert len(made.heads) == 1  # the connection is kept for the next request


def test_bytes_that_come_with_the_proxys_answer_belong_to_the_upstream(start, proxy):
    def behave(proxy, sock):
        proxy.heads.append(read_head(sock))
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-server\r\n")
        drain(sock)

    made = proxy(behave)
    gate = start(allow=(rule(HOST, schemes=("tcp",), ports=(22,)),), proxy=f"http://127.0.0.1:{made.port}")
    with gate.plain() as sock:
        sock.sendall(f"CONNECT {HOST}:22 HTTP/1.1\r\nHost: {HOST}:22\r\n\r\n".encode())
        read_head(sock)
        assert sock.recv(100) == b"SSH-2.0-server\r\n"


def test_what_the_policy_resolves_itself_does_not_go_through_the_proxy(start, proxy, serve):
    upstream = serve(HOST)
    made = proxy(answering(b"HTTP/1.1 403 No\r\n\r\n"))
    gate = start(
        allow=(
            rule(HOST),
            rule("localhost", ports=(upstream.port,), private=True),
            rule("a.direct.example", ports=(443,)),
        ),
        static=((HOST, upstream.address),),
        no_proxy=("*.direct.example",),
        proxy=f"http://127.0.0.1:{made.port}",
    )
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert gate.ask(f"localhost:{upstream.port}")[0] == 403  # judged here: private admits no loopback
    status, message = refused(gate, "a.direct.example:443")
    assert (status, message) == (502, "a.direct.example does not resolve")
    assert made.heads == []


def test_variables_of_the_environment_mean_nothing(start, serve, proxy):
    upstream = serve(HOST)
    made = proxy(answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    where = f"http://127.0.0.1:{made.port}"
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        launch={"env": {"HTTPS_PROXY": where, "https_proxy": where, "ALL_PROXY": where}},
    )
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert made.heads == []


# --- real proxies


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST, "localhost")


@pytest.fixture(scope="module")
def real_squid():
    with servers.squid("agent", "p w:d", [(HOST, "127.0.0.1")]) as found:
        yield found


def through_squid(start, squid, upstream, password):
    port, _ = squid
    return start(
        allow=(rule(HOST, ports=(upstream.port,)),),
        proxy=f"http://agent@127.0.0.1:{port}",
        proxy_password="env:PROXY_PASSWORD",
        environment={"PROXY_PASSWORD": password},
    )


def test_squid_with_the_wrong_password_lets_nothing_through(start, real_squid, upstream):
    upstream.clear()
    gate = through_squid(start, real_squid, upstream, "wrong")
    status, message = refused(gate, f"{HOST}:{upstream.port}")
    assert status == 502
    assert "(407)" in message
    assert "wrong" not in message.replace("(407)", "")
    assert upstream.handshakes == 0


def test_squid_with_the_right_one_does(start, real_squid, upstream):
    gate = through_squid(start, real_squid, upstream, "p w:d")
    assert gate.ask(f"{HOST}:{upstream.port}", headers=[("Proxy-Authorization", "Basic eDp5")])[2] == b"ok"
    assert b"roxy-" not in upstream.heads[-1]
    with open(real_squid[1], encoding="utf-8") as file:
        assert f"CONNECT {HOST}:{upstream.port} agent" in file.read()
    with open(gate.audit_path, encoding="utf-8") as file:
        assert "p w:d" not in file.read()


def test_a_changed_password_is_used_without_a_restart(start, real_squid, upstream, tmp_path):
    source = tmp_path / "password"
    source.write_text("wrong")
    os.chmod(source, 0o600)
    gate = start(
        allow=(rule(HOST, ports=(upstream.port,)),),
        proxy=f"http://agent@127.0.0.1:{real_squid[0]}",
        proxy_password=f"file:{source}",
    )
    assert gate.ask(f"{HOST}:{upstream.port}")[0] == 502
    source.write_text("p w:d")
    assert gate.ask(f"{HOST}:{upstream.port}")[0] == 200


@pytest.mark.parametrize(
    ("user", "password", "right"), [("", "", True), ("u", "secret", True), ("u", "secret", False)]
)
def test_a_socks_proxy(start, upstream, user, password, right):
    """It resolves by itself: to us, localhost would be an address that is never dialled."""
    with servers.microsocks(user, password) as port:
        gate = start(
            allow=(rule("localhost", ports=(upstream.port,)),),
            proxy=f"socks5://{user}@127.0.0.1:{port}" if user else f"socks5://127.0.0.1:{port}",
            proxy_password="env:PROXY_PASSWORD" if user else "",
            environment={"PROXY_PASSWORD": password if right else "wrong"},
        )
        status, _, body = gate.ask(f"localhost:{upstream.port}")
    assert (status, b"(407)" in body) == ((200, False) if right else (502, True))


def test_a_socks_proxys_refusal_is_told_in_words(start):
    with servers.microsocks() as port:
        gate = start(allow=(rule("localhost", ports=(1,)),), proxy=f"socks5://127.0.0.1:{port}")
        assert "refuses the connection" in refused(gate, "localhost:1")[1]


# --- our own calls


def test_a_token_is_fetched_through_the_proxy_too(start, serve, proxy):
    """Where the proxy is the only way out, it is that for the servers that hand out secrets as well."""

    def issue(sock, *_):
        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n{"access_token":"issued-token"}')

    upstream, issuer = serve(HOST), serve("auth.example.com", answer=issue)
    made = proxy(passing_to(issuer.port))
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        proxy=f"http://127.0.0.1:{made.port}",
        credentials=(
            credential(HOST, kind="oauth", token_url="https://auth.example.com/token", client_id="me"),
        ),
        environment={"TEST_KEY": "client-secret"},
    )
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert b"authorization: Bearer issued-token" in upstream.heads[-1]
    assert [one.split(b"\r\n")[0] for one in made.heads] == [b"CONNECT auth.example.com:443 HTTP/1.1"]


def test_a_proxy_that_refuses_a_token_endpoint_leaves_the_credential_without_a_secret(start, serve, proxy):
    upstream = serve(HOST)
    made = proxy(answering(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        proxy=f"http://127.0.0.1:{made.port}",
        credentials=(
            credential(HOST, kind="oauth", token_url="https://auth.example.com/token", client_id="me"),
        ),
        environment={"TEST_KEY": "client-secret"},
    )
    assert gate.ask(f"{HOST}:443", headers=[("Authorization", "mine")])[0] == 401
    assert "does not allow this destination" in gate.wait_for("note")[0]["text"]
