"""SOCKS 5 on the proxy port: which connections it makes, and everything it refuses (THREATS.md T9, §3.2)."""

import socket
import ssl
import struct
import subprocess

import pytest
from gates import WAIT, drain, rule

from ringfence.policy.model import Gateway

HOST = "api.example.com"
HELLO = b"\x05\x01\x00"
OPEN = b"\x05\x00"
CONNECT, BIND, UDP = 1, 2, 3


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST)


@pytest.fixture(scope="module")
def plain(serve):
    return serve("plain.example.com", tls=False)


@pytest.fixture(scope="module")
def gate(start, upstream, plain):
    return start(
        allow=(
            rule(HOST),
            rule("api.github.com"),
            rule("*.example.com", ports=(443,)),
            rule("10.9.8.7"),
            rule("plain.example.com", schemes=("http",)),
        ),
        static=((HOST, upstream.address), ("plain.example.com", plain.address)),
        gateways=(Gateway(name="model", upstream=f"https://{HOST}/base"),),
    )


def name(host):
    raw = host if isinstance(host, bytes) else host.encode()
    return b"\x03" + bytes((len(raw),)) + raw


def address(text):
    family, kind = (socket.AF_INET6, b"\x04") if ":" in text else (socket.AF_INET, b"\x01")
    return kind + socket.inet_pton(family, text)


def request(destination, port=443, command=CONNECT):
    return bytes((5, command, 0)) + destination + struct.pack("!H", port)


def opened(gate, destination, port=443, command=CONNECT):
    """Return the socket and the reply's code."""
    sock = gate.plain()
    sock.sendall(HELLO + request(destination, port, command))
    answer = b""
    while len(answer) < 12 and (more := sock.recv(12 - len(answer))):
        answer += more
    assert answer[:2] == OPEN
    return sock, answer[3]


def code(gate, *args, **more):
    sock, found = opened(gate, *args, **more)
    sock.close()
    return found


# --- refusals first


@pytest.mark.parametrize(
    "host",
    [
        *("evil.test", "example.com", "evilexample.com", "example.com.evil.test", "xapi.github.com"),
        *(
            b"evil.example\0.example.com",
            b"api.github.com\0.evil.test",
            b"a\r.example.com",
            b"a\n.example.com",
        ),
        *(b"a .example.com", b"a/b.example.com", b"evil.test@a.example.com", b"a\\b.example.com"),
        *(
            b"%61pi.github.com",
            b"::ffff:1.2.3.4%x.example.com",
            b"[::1]",
            b"[10.9.8.7]",
            b"*.example.com",
            b"",
        ),
        *("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1", "localhost", "::1", "0"),
        *("10.9.8.8", "169.254.169.254", "api.github.com..", "a" * 64 + ".example.com", "api.github.com:443"),
        *("аpi.github.com".encode(), "api。github。com".encode()),  # noqa: RUF001 - look-alikes
        "nobody.gateway.internal",
    ],
)
def test_a_name_that_no_rule_allows_is_not_allowed(gate, host):
    assert code(gate, name(host)) == 2


@pytest.mark.parametrize("text", ["10.9.8.8", "127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254", "::"])
def test_an_address_that_no_rule_allows_is_not_allowed(gate, text):
    assert code(gate, address(text)) == 2
    assert gate.wait_for("verdict", host=text, effect="deny", source="socks")


def test_an_address_in_the_clothes_of_a_name_is_judged_as_that_address(gate):
    for spelt in (address("10.9.8.7"), name("10.9.8.7"), address("::ffff:10.9.8.7")):
        assert code(gate, spelt) == 0
    assert code(gate, address("::ffff:7f00:1")) == 2


def test_a_port_that_no_rule_names_is_not_allowed(gate):
    for port in (0, 22, 80, 444, 65535):
        assert code(gate, name(HOST), port) == 2


@pytest.mark.parametrize("command", [BIND, UDP, 0, 0xF0])
def test_nothing_but_connect_is_served(gate, command):
    assert code(gate, name(HOST), command=command) == 7


def test_an_unknown_kind_of_address_is_told_so(gate):
    assert code(gate, b"\x02abcd") == 8


def test_a_request_that_is_malformed_fails(gate):
    assert gate.converse(HELLO, b"\x05\x01\x01" + name(HOST) + b"\x01\xbb")[3] == 1
    assert gate.converse(HELLO, b"\x04\x01\x00" + name(HOST) + b"\x01\xbb")[3] == 1


@pytest.mark.parametrize("methods", [b"\x05\x00", b"\x05\x01\x01", b"\x05\x02\x01\x80"])
def test_methods_that_are_not_known_are_refused(gate, methods):
    assert gate.converse(methods) == b"\x05\xff"


def test_socks_4_is_refused(gate):
    assert gate.converse(b"\x04\x01\x01\xbb\x0a\x09\x08\x07user\0") == b"\x00\x5b" + bytes(6)
    assert gate.converse(b"\x04\x01\x01\xbb\0\0\0\1user\0api.github.com\0")[1] == 0x5B
    assert gate.wait_for("refused", source="socks", reason="SOCKS 4 is not spoken here: use SOCKS 5")


@pytest.mark.parametrize("cut", range(1, len(HELLO + request(name(HOST)))))
def test_what_is_cut_short_opens_nothing(gate, upstream, cut):
    upstream.clear()
    answer = gate.converse((HELLO + request(name(HOST)))[:cut], end=True)
    assert len(answer) <= 2
    assert upstream.handshakes == 0


def test_a_length_that_lies_swallows_what_follows_and_opens_nothing(gate, upstream):
    upstream.clear()
    longer = bytes((5, 1, 0, 3, 200)) + HOST.encode() + b"\x01\xbb"
    assert gate.converse(HELLO, longer, end=True) == OPEN
    shorter = bytes((5, 1, 0, 3, 3)) + HOST.encode() + b"\x01\xbb"  # api, then ".e" as the port
    assert gate.converse(HELLO, shorter)[3] == 2
    assert upstream.handshakes == 0


# --- and what it does


def secure(gate, sock, host=HOST):
    return ssl.create_default_context(cafile=gate.ca).wrap_socket(sock, server_hostname=host)


def test_tls_by_name_is_terminated_and_judged_like_any_other(gate, upstream):
    upstream.clear()
    sock, found = opened(gate, name("API.Example.com."))
    assert found == 0
    with secure(gate, sock) as inside:
        inside.sendall(b"GET /x HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
        assert drain(inside).endswith(b"ok")
    assert upstream.heads[-1] == b"GET /x HTTP/1.1\r\nHost: api.example.com"
    assert gate.wait_for("verdict", host=HOST, effect="allow", source="socks", path="/x")


def test_the_hello_and_host_have_to_name_the_destination(gate, upstream):
    upstream.clear()
    sock, _ = opened(gate, name(HOST))
    with pytest.raises(ssl.SSLError):
        secure(gate, sock, "a.example.com")
    sock, _ = opened(gate, name(HOST))
    with secure(gate, sock) as inside:
        inside.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n")
        assert drain(inside).startswith(b"HTTP/1.1 421 ")
    assert upstream.requests == []


def test_bytes_that_are_not_tls_have_no_business_where_tls_is_allowed(gate, upstream):
    upstream.clear()
    sock, _ = opened(gate, name(HOST))
    with sock:
        sock.sendall(b"SSH-2.0-x\r\n")
        assert drain(sock) == b""
    assert upstream.pieces == []


def test_plain_http_goes_by_rule_and_host(gate, plain):
    plain.clear()
    sock, found = opened(gate, name("plain.example.com"), 80)
    assert found == 0
    with sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n\r\n")
        assert drain(sock).endswith(b"ok")
    assert plain.heads[-1].startswith(b"GET /a ")


def test_a_gateway_is_reached_by_its_name(gate, upstream):
    sock, found = opened(gate, name("model.gateway.internal"), 80)
    assert found == 0
    with sock:
        sock.sendall(b"GET /v1 HTTP/1.1\r\nHost: model.gateway.internal\r\nConnection: close\r\n\r\n")
        assert drain(sock).endswith(b"ok")
    assert upstream.heads[-1].startswith(b"GET /base/v1 ")


def test_a_handshake_in_single_bytes_is_understood(gate):
    with gate.plain() as sock:
        for byte in HELLO + request(name(HOST)):
            sock.sendall(bytes((byte,)))
        answer = b""
        while len(answer) < 12:
            answer += sock.recv(12)
    assert answer == OPEN + b"\x05\x00\x00\x01" + bytes(6)


def test_a_user_name_is_taken_where_nobody_has_to_have_one(gate):
    with gate.plain() as sock:
        sock.sendall(b"\x05\x01\x02\x01\x01u\x01p" + request(name(HOST)))
        answer = b""
        while len(answer) < 14:
            answer += sock.recv(14)
    assert answer[:5] == b"\x05\x02\x01\x00\x05"
    assert answer[5] == 0


# --- real clients


@pytest.mark.parametrize("option", ["--socks5-hostname", "--proxy"])
def test_curl(gate, option):
    where = "{}:{}".format(*gate.address)
    proxy = where if option == "--socks5-hostname" else f"socks5h://user:secret@{where}"
    for url, wanted in ((f"https://{HOST}/x", 0), ("https://evil.test/", 97)):
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "10", "--cacert", gate.ca, option, proxy, url],
            capture_output=True,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
            timeout=WAIT * 2,
        )
        assert done.returncode == wanted, done.stderr
        assert done.stdout == (b"ok" if not wanted else b"")


def test_pysocks(gate):
    socks = pytest.importorskip("socks", reason="PySocks is not installed")
    sock = socks.socksocket()
    sock.settimeout(WAIT)
    sock.set_proxy(socks.SOCKS5, *gate.address, rdns=True)
    sock.connect((HOST, 443))
    with secure(gate, sock) as inside:
        inside.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
        assert drain(inside).endswith(b"ok")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpcore forgets the socket
def test_httpx_with_socksio(gate):
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("socksio", reason="httpx speaks no SOCKS without it")
    context = ssl.create_default_context(cafile=gate.ca)
    with httpx.Client(proxy="socks5h://{}:{}".format(*gate.address), verify=context, timeout=WAIT) as client:
        assert client.get(f"https://{HOST}/").text == "ok"
        with pytest.raises(httpx.ProxyError):
            client.get("https://evil.test/")
