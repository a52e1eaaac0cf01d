"""The gate at the end of a real private wire: no proxy variables, names from our own resolver."""

import shutil
import socket
import time

import pytest
from gates import WAIT, Running, rule

from ringfence.handover import Listener, Publication
from ringfence.policy.model import Gateway, Watch

HOST = "api.example.com"


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST, "other.example.com")


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def gate(wire, tmp_path_factory, certificates, upstream, serve, port):
    plain = serve("plain.example.com", tls=False)
    running = Running(
        tmp_path_factory.mktemp("gate"),
        allow=(
            rule(HOST),
            rule("*.example.net"),
            rule("*.few.example"),
            rule("plain.example.com", schemes=("http",)),
            rule("9.9.9.9", ports=(443,)),
        ),
        static=((HOST, upstream.address), ("plain.example.com", plain.address)),
        gateways=(Gateway(name="model", upstream="https://api.example.com/base"),),
        extra_ca=(certificates.ca,),
        listeners=tuple(Listener(fd=fd, kind=wire.kind) for fd in wire.listeners),
        dns_fd=wire.dns,
        vend_fd=wire.vend,
        watch=Watch(name_bytes=64),
        publish=(Publication(host_address="127.0.0.1", host_port=port, inside_port=5173),),
        gate_address="100.64.0.1",
        proxy_port=3128,
    )
    yield running
    running.stop()


def curl(wire, gate, url, *more):
    return wire.run("curl", "-sS", "--max-time", "10", "--cacert", gate.ca, *more, url)


# --- names


def resolve(wire, name):
    code = f"import socket; print(sorted({{one[4][0] for one in socket.getaddrinfo({name!r}, 443)}}))"
    return wire.python(code)


@pytest.mark.parametrize(
    "name", ["evil.test", "example.net", "notexample.net", "secret-data.evil.test", "localhost.evil.test"]
)
@pytest.mark.guarantee("N7")
def test_a_name_that_no_rule_allows_does_not_exist(wire, gate, name):
    status, _, errors = resolve(wire, name)
    assert status == 1
    assert "gaierror" in errors
    assert gate.wait_for("dns", name=name, answer="no such name")


@pytest.mark.usefixtures("gate")
def test_an_allowed_name_has_one_address_of_its_own_whatever_its_case(wire):
    _, first, _ = resolve(wire, HOST)
    assert first.startswith("['198.18.")
    assert resolve(wire, "API.Example.COM")[1] == first
    assert resolve(wire, "a.example.net")[1] != first


@pytest.mark.guarantee("K7")
def test_names_below_a_wildcard_exist_up_to_their_limit(wire, gate):
    first, second = ("a" * 40 + ".few.example", "b" * 40 + ".few.example")
    assert resolve(wire, first)[0] == 0
    assert resolve(wire, second)[0] == 1
    assert gate.wait_for("dns", name=second, answer="no such name")
    assert gate.wait_for("refused", host=second, source="dns")
    assert resolve(wire, first)[0] == 0


@pytest.mark.usefixtures("gate")
def test_dns_over_tcp_is_answered_too(wire):
    code = (
        "import socket,struct;"
        "q=b'\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3api\\7example\\3com\\0\\0\\1\\0\\1';"
        "s=socket.create_connection(('100.64.0.1',53),5);s.sendall(struct.pack('!H',len(q))+q);"
        "r=s.recv(500);print(socket.inet_ntoa(r[-4:]), r[2:4]==b'\\x12\\x34')"
    )
    status, out, errors = wire.python(code)
    assert (status, errors) == (0, "")
    assert out.startswith("198.18.")
    assert "True" in out


@pytest.mark.usefixtures("gate")
def test_a_resolver_elsewhere_is_answered_by_ours(wire):
    code = (
        "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(3);s.connect(('8.8.8.8',53));"
        "s.send(b'\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4evil\\4test\\0\\0\\1\\0\\1');print(s.recv(500)[3] & 15)"
    )
    assert wire.python(code)[1] == "3\n"  # NXDOMAIN


# --- without proxy variables


def test_an_allowed_host_is_reached_by_name(wire, gate, upstream):
    upstream.clear()
    status, out, errors = curl(wire, gate, f"https://{HOST}/x")
    assert (status, out, errors) == (0, "ok", "")
    assert upstream.heads[-1].startswith(b"GET /x HTTP/1.1\r\nHost: api.example.com\r\n")


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_node_fetch_needs_no_proxy_support(wire, gate):
    code = f"fetch('https://{HOST}/').then(a => a.text()).then(t => console.log(t), e => console.log(e.cause.code))"
    trust = f"NODE_EXTRA_CA_CERTS={gate.ca}"
    assert wire.run("env", trust, "node", "-e", code)[1] == "ok\n"
    assert wire.run("env", trust, "node", "-e", code.replace(HOST, "evil.test"))[1] == "ENOTFOUND\n"


def test_the_name_in_the_hello_must_be_the_name_that_was_resolved(wire, gate, upstream):
    upstream.clear()
    address = resolve(wire, HOST)[1].strip("[]'\n")
    status, _, _ = curl(wire, gate, "https://a.example.net/", "--resolve", f"a.example.net:443:{address}")
    assert status == 35
    status, _, _ = curl(wire, gate, f"https://{address}/", "-k")  # no name at all
    assert status == 35
    assert upstream.handshakes == 0


def test_an_address_of_the_clients_choice_is_never_dialled(wire, gate, upstream):
    """The name is allowed: it is dialled where we resolve it, not where the client says (agentcage#175)."""
    upstream.clear()
    status, out, _ = curl(wire, gate, f"https://{HOST}/", "--resolve", f"{HOST}:443:203.0.113.9")
    assert (status, out) == (0, "ok")
    assert not [one for one in gate.records("dial") if one.get("address") == "203.0.113.9"]


@pytest.mark.parametrize(
    "url",
    ["https://203.0.113.9/", "https://169.254.169.254/", "https://[2001:db8::1]/", "https://198.18.9.9/"],
)
def test_tls_to_an_address_that_no_rule_names_gets_an_alert_or_a_reset(wire, gate, url):
    status, out, _ = curl(wire, gate, url, "-k")
    assert status in {35, 56}
    assert out == ""


def test_tls_to_an_address_with_a_denied_name_gets_an_alert_and_is_recorded(wire, gate):
    status, _, _ = curl(wire, gate, "https://evil.test/", "-k", "--resolve", "evil.test:443:203.0.113.9")
    assert status == 35
    assert gate.wait_for("verdict", host="evil.test", effect="deny", address="203.0.113.9")


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize(
    "where", ["203.0.113.9:22", "203.0.113.9:25", "203.0.113.9:9999", f"{HOST}:22", "[2001:db8::1]:853"]
)
def test_a_port_that_no_rule_names_is_reset_at_once(wire, where):
    host, _, number = where.rpartition(":")
    code = (
        "import socket,time;a=time.monotonic();s=socket.create_connection(({!r},{}),5);s.settimeout(5)\n"
        "try: print(s.recv(10))\nexcept ConnectionResetError: print('reset')\nprint(time.monotonic()-a<2)"
    ).format(host.strip("[]"), number)
    assert wire.python(code)[1] in {"reset\nTrue\n", "b''\nTrue\n"}


def test_plain_http_goes_by_its_host(wire, gate):
    status, out, _ = curl(wire, gate, "http://plain.example.com/a")
    assert (status, out) == (0, "ok")
    status, out, _ = curl(wire, gate, "http://evil.test/", "--resolve", "evil.test:80:203.0.113.9")
    assert status == 0
    assert "ringfence run" in out or "egress.allow" in out
    address = resolve(wire, "plain.example.com")[1].strip("[]'\n")
    status, out, _ = curl(
        wire, gate, f"http://{address}/", "-H", "Host: evil.test", "-o", "/dev/null", "-w", "%{http_code}"
    )
    assert out == "421"


def test_a_gateway_is_reached_by_its_name(wire, gate, upstream):
    status, out, _ = curl(wire, gate, "http://model.gateway.internal/v1/messages")
    assert (status, out) == (0, "ok")
    assert upstream.heads[-1].startswith(b"GET /base/v1/messages HTTP/1.1\r\nHost: api.example.com\r\n")


def test_metadata_is_not_there(wire, gate):
    status, out, _ = curl(
        wire, gate, "http://169.254.169.254/latest/meta-data/", "-o", "/dev/null", "-w", "%{http_code}"
    )
    assert (status, out) == (0, "403")


# --- with them


@pytest.mark.parametrize("proxy", ["http://100.64.0.1:3128", "http://[fd00:77::1]:3128"])
def test_the_gates_own_address_speaks_proxy_protocols(wire, gate, proxy):
    assert curl(wire, gate, f"https://{HOST}/", "--proxy", proxy)[:2] == (0, "ok")
    status, _, errors = curl(wire, gate, "https://evil.test/", "--proxy", proxy)
    assert status == 56
    assert "403" in errors
    assert curl(wire, gate, "http://model.gateway.internal/x", "--proxy", proxy)[:2] == (0, "ok")


@pytest.mark.usefixtures("gate")
def test_udp_elsewhere_is_refused(wire):
    code = (
        "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(3);s.connect(('203.0.113.9',443));"
        "s.send(b'x')\ntry: s.recv(1)\nexcept ConnectionRefusedError: print('refused')"
    )
    assert wire.python(code)[1] == "refused\n"


# --- published ports


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_server_inside_is_reached_on_the_hosts_loopback(wire, port, address):
    code = (
        "import socket,os\n"
        f"s=socket.create_server(({address!r},5173),family=socket.AF_INET6 if ':' in {address!r} else socket.AF_INET)\n"
        "if os.fork():\n os._exit(0)\n"
        "os.close(1); os.close(2)\n"
        "c,_=s.accept(); d=b''\n"
        "while True:\n m=c.recv(100)\n if not m: break\n d+=m\n"
        "c.sendall(d[::-1])"
    )
    assert wire.python(code)[0] == 0
    with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        found = b""
        while more := sock.recv(100):
            found += more
    assert found == b"olleh"


@pytest.mark.usefixtures("wire", "gate")
def test_a_published_port_with_nobody_behind_it_is_closed(port):
    time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        assert sock.recv(10) == b""
