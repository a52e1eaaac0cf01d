"""Which hosts pass, in every spelling there is (THREATS.md §3.2), through CONNECT and plain URLs."""

# ruff: noqa: RUF001 - names as an attacker writes them, look-alikes included

import json

import pytest
from gates import RefusedError, parse, rule

ALLOWED = (rule("api.github.com"), rule("*.example.com", ports=(443,)), rule("10.9.8.7"))


@pytest.fixture(scope="module")
def gate(start):
    return start(allow=ALLOWED)


def connect(gate, authority):
    """Return the status of a CONNECT; what is allowed answers 200 before anything is dialled."""
    raw = b"CONNECT " + authority + b" HTTP/1.1\r\nHost: " + authority + b"\r\n\r\n"
    with gate.plain() as sock:
        sock.sendall(raw)
        return int(sock.recv(4096).split(b" ")[1])


@pytest.mark.parametrize(
    "host",
    [
        *(
            "example.com",
            "evilexample.com",
            "example.com.evil.test",
            "api.github.com.evil.test",
            "xapi.github.com",
        ),
        *("api.github.com..", "-a.example.com", "a-.example.com", "a..example.com", ".example.com"),
        *("x" * 64 + ".example.com", "a." * 130 + "example.com", "*.example.com", "xn--pi-8sb.github.com"),
        *(
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "127.0.0.1",
            "0",
            "0.0.0.0",
            "localhost",
        ),
        *(
            "a.localhost",
            "[::]",
            "[::1]",
            "[::ffff:7f00:1]",
            "[::7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
        ),
        *(
            "169.254.169.254",
            "[fd00:ec2::254]",
            "100.100.100.200",
            "168.63.129.16",
            "metadata.google.internal",
        ),
        *("10.9.8.8", "[::ffff:10.9.8.8]", "nobody.gateway.internal"),
    ],
)
def test_a_host_that_is_not_listed_is_403(gate, host):
    assert connect(gate, f"{host}:443".encode()) == 403


@pytest.mark.parametrize(
    "authority",
    [
        *(
            b"api.github.com@evil.test:443",
            b"evil.test@api.github.com:443",
            b"api.github.com:443@evil.test:443",
        ),
        *(b"api.github.com%2eevil.test:443", b"api.github%2ecom:443", b"%61pi.github.com:443"),
        *(b"api.github.com%00.evil:443", b"api.github.com\\evil:443", b"api.github.com/evil:443"),
        *(
            b"api.github.com#:443",
            b"api.github.com?:443",
            "api。github。com:443".encode(),
            "ａpi.github.com:443".encode(),
        ),
        *("аpi.github.com:443".encode(), "¹27.0.0.1:443".encode()),
        *(b"[::1%eth0]:443", b"[::1%25x.example.com]:443", b"[v1.example.com]:443", b"[a.example.com]:443"),
        *(b"::ffff:1.2.3.4%x.example.com:443", b"[::1:443", b"::1:443"),
        *(b"api.github.com:0", b"api.github.com:65536", b"api.github.com:443x", b"api.github.com:+443"),
        *(
            b"api.github.com:0443",
            b"api.github.com:",
            b"api.github.com",
            b":443",
            b"",
            b"http://api.github.com",
        ),
    ],
)
def test_what_is_no_host_and_port_is_400(gate, authority):
    assert connect(gate, authority) == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"CONNECT api.github.com\0.evil:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT evil\0.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT api.github.com\t:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT api.github.com :443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT api.github.com:443\r\n\r\n",
        b"CONNECT api.github.com:443 HTTP/1.1\r\nHost: api.github.com:443\r\nContent-Length: 5\r\n\r\nhello",
        b"CONNECT api.github.com:443 HTTP/1.1\r\nHost: api.github.com:443\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_connect_that_is_malformed_is_400(gate, raw):
    assert parse(gate.converse(raw))[0] == 400


@pytest.mark.parametrize(
    "authority",
    [
        b"a.example.com:80",
        b"example.com:22",
        b"a.example.com:25",
        b"a.example.com:9999",
        b"api.github.com:8443",
    ],
)
def test_a_port_that_is_not_listed_is_403(gate, authority):
    assert connect(gate, authority) == 403


@pytest.mark.parametrize(
    "authority",
    [
        *(b"api.github.com:443", b"API.GitHub.COM:443", b"api.github.com.:443", b"a.example.com:443"),
        *(b"a.b.example.com:443", b"10.9.8.7:443", b"[::ffff:10.9.8.7]:443"),
    ],
)
def test_a_listed_host_passes_in_any_honest_spelling(gate, authority):
    assert connect(gate, authority) == 200


def test_a_connect_whose_host_header_differs_is_421(gate):
    raw = b"CONNECT api.github.com:443 HTTP/1.1\r\nHost: a.example.com:443\r\n\r\n"
    assert parse(gate.converse(raw))[0] == 421


@pytest.mark.parametrize(
    "url", ["http://evil.test/", "http://api.github.com/", "http://169.254.169.254/latest/"]
)
def test_plain_http_is_judged_like_the_rest(gate, url):
    host = url.split("/")[2]
    status, headers, body = parse(
        gate.converse(f"GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    )
    assert status == 403
    assert headers["x-ringfence-denied"] == "1"
    assert json.loads(body)["error"]["host"] == host


def test_a_refusal_tells_what_by_which_rule_and_what_would_allow_it(start):
    gate = start(
        allow=(rule("api.github.com", methods=("GET",), paths=("/repos/acme/**",)),),
        ask=(rule("*.corp.example", reason="corp hosts hold customers' data"),),
        deny=(rule("gist.github.com", reason="gists leak", origin="managed policy"),),
    )
    errors = {}
    for host in ("evil.test", "gist.github.com", "a.corp.example"):
        with pytest.raises(RefusedError) as refused:
            gate.connect(f"{host}:443")
        head, _, body = refused.value.answer.partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 403 Denied by ringfence: CONNECT {host}:443 was refused".encode())
        errors[host] = json.loads(body)["error"]
    assert errors["evil.test"] == {
        "type": "ringfence_denied",
        "message": "CONNECT evil.test:443 was refused: no rule allows this",
        "host": "evil.test",
        "rule": "no rule",
        "how": "the operator can allow it: `ringfence run --allow evil.test`, or in the policy: "
        '[[egress.allow]] host = "evil.test"',
    }
    assert errors["gist.github.com"]["rule"] == "managed policy: gist.github.com"
    assert "gists leak" in errors["gist.github.com"]["message"]
    assert "customers" in errors["a.corp.example"]["message"]
    assert "nobody can be asked" in errors["a.corp.example"]["how"]
    status, _, body = gate.ask("api.github.com:443", method="DELETE", path="/repos/acme/x")
    assert status == 403
    assert b"DELETE https://api.github.com/repos/acme/x was refused" in body
    assert gate.ask("api.github.com:443", path="/repos/acme%2f..%2fother/x")[0] == 403


def test_an_empty_policy_lets_nothing_out(start):
    gate = start()
    for authority in (b"api.github.com:443", b"localhost:443", b"127.0.0.1:443", b"10.9.8.7:443"):
        assert connect(gate, authority) == 403


def test_refusals_are_on_record_in_raw_and_canonical_spelling(gate):
    connect(gate, b"EVIL.test.:443")
    (found,) = gate.wait_for("verdict", host="evil.test", raw_host="EVIL.test.:443")
    assert (found["effect"], found["rule"], found["port"], found["method"]) == (
        "deny",
        "no rule",
        443,
        "CONNECT",
    )


def test_a_flood_of_refusals_is_counted_instead_of_written(start):
    gate = start()
    raw = b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n" * 1500
    with gate.plain() as sock:
        sock.sendall(raw + b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
        while sock.recv(1 << 20):
            pass
    gate.stop()
    written = len(gate.records("verdict"))
    assert 1000 <= written < 1500
    assert sum(one["left_out"] for one in gate.records("gap")) == 1501 - written
