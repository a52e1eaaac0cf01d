"""TLS as a server and as a client: who is named, who is trusted, what is sent before that is known."""

# ruff: noqa: RUF001 - names as an attacker writes them, look-alikes included

import shutil
import socket
import ssl
import struct
import subprocess

import pytest
from gates import WAIT, RefusedError, drain, parse, read_head, rule

HOST = "api.example.com"


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST)


@pytest.fixture(scope="module")
def gate(start, upstream, serve):
    spliced = serve("pinned.example.com")
    gate = start(
        allow=(rule(HOST), rule("other.example.com"), rule("10.9.8.7"), rule("pinned.example.com")),
        splice=("pinned.example.com",),
        static=((HOST, upstream.address), ("pinned.example.com", spliced.address)),
    )
    gate.spliced = spliced
    return gate


def client_hello(name, context=None):
    """Return the bytes of a ClientHello that names `name`."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = context or ssl.create_default_context()
    if name is None:
        context.check_hostname = False
    made = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    return outgoing.read()


def tunnel(gate, authority, *pieces):
    """Send bytes into a tunnel and return what comes back to the end."""
    with gate.plain() as sock:
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")
        for piece in pieces:
            sock.sendall(piece)
        return drain(sock)


def is_alert(answer):
    return len(answer) == 7 and answer[0] == 0x15


def names(*entries):
    """Return a server_name extension holding these (kind, name) entries."""
    packed = b"".join(struct.pack("!BH", kind, len(name)) + name for kind, name in entries)
    content = struct.pack("!H", len(packed)) + packed
    return struct.pack("!HH", 0, len(content)) + content


def hello(extensions, version=b"\x03\x03"):
    """Return a minimal ClientHello with these extensions."""
    body = version + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message


# --- T1: who the ClientHello names

CONTRADICTIONS = {
    "another name": names((0, b"other.example.com")),
    "no name": b"",
    "two names": names((0, HOST.encode()), (0, b"other.example.com")),
    "the name twice": names((0, HOST.encode())) * 2,
    "a name with a port": names((0, HOST.encode() + b":443")),
    "a name with NUL": names((0, HOST.encode() + b"\0.evil.test")),
    "a trailing dot": names((0, HOST.encode() + b".")),
    "an address": names((0, b"10.9.8.7")),
    "another kind of name": names((1, HOST.encode())),
    "an empty name": names((0, b"")),
    "an empty list": struct.pack("!HHH", 0, 2, 0),
    "a percent sign": names((0, b"%61pi.example.com")),
    "a name beyond ASCII": names((0, "аpi.example.com".encode())),
    "a cut extension": names((0, HOST.encode()))[:-3],
}


@pytest.mark.parametrize("extensions", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_hello_that_does_not_name_the_tunnels_host_gets_an_alert_and_no_certificate(
    gate, upstream, extensions
):
    upstream.clear()
    assert is_alert(tunnel(gate, f"{HOST}:443", hello(extensions)))
    assert upstream.handshakes == 0


def test_the_contradiction_is_on_record(gate):
    tunnel(gate, f"{HOST}:443", client_hello("other.example.com"))
    gate.wait_for(
        "refused", reason="the ClientHello names other.example.com, the connection is for api.example.com"
    )


@pytest.mark.usefixtures("upstream")
def test_a_hello_in_single_bytes_and_small_records_is_read(gate):
    raw = client_hello(HOST)
    message = raw[5:]
    records = b"".join(b"\x16\x03\x01\x00\x01" + message[at : at + 1] for at in range(len(message)))
    for pieces in ([raw[at : at + 1] for at in range(len(raw))], [records]):
        with gate.plain() as sock:
            sock.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
            read_head(sock)
            for piece in pieces:
                sock.sendall(piece)
            assert sock.recv(1) == b"\x16"  # the server's own handshake


def test_a_hello_sent_with_the_connect_is_not_lost(gate):
    with gate.plain() as sock:
        sock.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode() + client_hello(HOST))
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")
        assert sock.recv(1) == b"\x16"


def test_an_endless_hello_is_cut_off(gate):
    start = b"\x01\x00\xff\xff"  # a ClientHello of 65,535 bytes
    records = b"".join(
        b"\x16\x03\x01\x40\x00" + (start + bytes(16380) if not at else bytes(16384)) for at in range(5)
    )
    assert is_alert(tunnel(gate, f"{HOST}:443", records))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x02\x00\x00\x05hello",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff" + bytes(100),
        b"\x16\x03\x01\0\x04\x02\0\0\0",
    ],
)
def test_bytes_that_only_begin_like_tls_get_an_alert(gate, raw):
    assert is_alert(tunnel(gate, f"{HOST}:443", raw))


# --- T3: what is not TLS


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\0\0\0",
        b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"\x15\x03\x01\0\x02\x01\0",
    ],
)
def test_bytes_that_are_not_tls_close_a_tunnel_for_tls(gate, upstream, raw):
    upstream.clear()
    assert tunnel(gate, f"{HOST}:443", raw) == b""
    assert upstream.handshakes == 0


def test_plain_http_passes_a_tunnel_to_a_port_that_a_rule_opens_for_it(start, serve):
    plain = serve("plain.example.com", tls=False)
    gate = start(
        allow=(rule("plain.example.com", schemes=("http",)),), static=(("plain.example.com", plain.address),)
    )
    raw = b"GET /a HTTP/1.1\r\nHost: plain.example.com\r\nConnection: close\r\n\r\n"
    assert parse(tunnel(gate, "plain.example.com:80", raw))[0] == 200
    assert parse(tunnel(gate, "plain.example.com:80", raw.replace(b"plain.", b"other.")))[0] == 421


# --- T4: versions, tickets


def test_tls_1_0_and_1_1_are_refused(gate):
    for version in ("TLSv1", "TLSv1_1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(gate.ca)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="deprecated"):
            context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            gate.connect(f"{HOST}:443", context=context).close()


def test_tls_1_2_is_served(gate):
    context = ssl.create_default_context(cafile=gate.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with gate.connect(f"{HOST}:443", context=context) as sock:
        assert sock.version() == "TLSv1.2"


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["h3"], None), (None, None)],
)
def test_http_2_is_spoken_with_whoever_offers_it(gate, offered, agreed):
    context = ssl.create_default_context(cafile=gate.ca)
    if offered is not None:
        context.set_alpn_protocols(offered)
    with gate.connect(f"{HOST}:443", context=context) as sock:
        assert sock.selected_alpn_protocol() == agreed


@pytest.mark.usefixtures("upstream")
def test_a_ticket_of_one_host_opens_nothing_at_another(gate):
    context = ssl.create_default_context(cafile=gate.ca)
    with gate.connect(f"{HOST}:443", context=context) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        sock.recv(4096)
        ticket = sock.session
    assert ticket.has_ticket

    def resumed(host, sni):
        raw = gate.plain()
        raw.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        read_head(raw)
        with context.wrap_socket(raw, server_hostname=sni, session=ticket) as sock:
            return sock.session_reused

    assert resumed(HOST, HOST)
    assert not resumed("other.example.com", "other.example.com")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        resumed(HOST, "other.example.com")


# --- leaves


def test_a_leaf_satisfies_a_strict_verifier_and_is_served_for_addresses_too(gate):
    context = ssl.create_default_context(cafile=gate.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with gate.connect(f"{HOST}:443", context=context) as sock:
        found = sock.getpeercert()
    assert found["subjectAltName"] == (("DNS", HOST),)
    with gate.connect("10.9.8.7:443", context=context) as sock:
        assert sock.getpeercert()["subjectAltName"] == (("IP Address", "10.9.8.7"),)


def test_another_sessions_leaves_are_not_trusted(gate, start):
    other = start(allow=(rule(HOST),))
    with pytest.raises(ssl.SSLCertVerificationError):
        gate.connect(f"{HOST}:443", ca=other.ca)


def test_a_certificate_is_minted_only_for_a_host_that_is_allowed(gate):
    with pytest.raises(RefusedError):
        gate.connect("denied.example.com:443")


def test_the_authoritys_key_is_gone_from_the_disk_once_it_is_loaded(gate):
    gate.connect(f"{HOST}:443").close()
    listed = subprocess.run(["ls", gate.authority], capture_output=True, text=True, check=True).stdout.split()
    assert "ca.pem" in listed
    assert "ca.key" not in listed


# --- splice


def test_a_spliced_host_shows_its_own_certificate(gate, certificates):
    with gate.connect("pinned.example.com:443", ca=certificates.ca) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: pinned.example.com\r\nConnection: close\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_spliced_host_is_still_named_by_its_hello(gate):
    gate.spliced.clear()
    assert is_alert(tunnel(gate, "pinned.example.com:443", client_hello("evil.test")))
    assert is_alert(
        tunnel(gate, "pinned.example.com:443", hello(names((0, b"pinned.example.com")) + b"\xfe\x0d\0\0"))
    )
    assert gate.spliced.handshakes == 0


@pytest.mark.usefixtures("certificates")
def test_a_spliced_connection_keeps_one_direction_when_the_other_ends(start):
    listener = socket.create_server(("127.0.0.1", 0))
    gate = start(
        allow=(rule("half.example.com"),),
        splice=("half.example.com",),
        static=(("half.example.com", f"127.0.0.1:{listener.getsockname()[1]}"),),
    )
    raw = client_hello("half.example.com")
    with gate.plain() as sock:
        sock.sendall(b"CONNECT half.example.com:443 HTTP/1.1\r\nHost: half.example.com:443\r\n\r\n")
        read_head(sock)
        sock.sendall(raw)
        listener.settimeout(WAIT)
        server, _ = listener.accept()
        with server, listener:
            server.settimeout(WAIT)
            sock.shutdown(socket.SHUT_WR)
            assert drain(server) == raw
            server.sendall(b"late answer")
            server.shutdown(socket.SHUT_WR)
            assert drain(sock) == b"late answer"


# --- T11: whom we trust upstream


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ({"expired": True}, "bad.example.com", "expired"),
        ({"self_signed": True}, "bad.example.com", "self-signed"),
        ({}, "good.example.com", "mismatch"),
        ({}, "*.other.example.com", "mismatch"),
    ],
)
@pytest.mark.guarantee("N11")
def test_an_upstream_whose_certificate_does_not_verify_gets_not_one_byte(start, serve, kind, name, reason):
    bad = serve(name, **kind)
    gate = start(allow=(rule("bad.example.com"),), static=(("bad.example.com", bad.address),))
    status, _, body = gate.ask("bad.example.com:443", method="POST", body=b"secret plans")
    assert status == 502
    assert b"does not verify" in body
    assert bad.seen == b""
    (told,) = gate.wait_for("dial", address=None)
    assert reason in told["error"].lower()


def test_an_unknown_authority_is_not_trusted(start, serve):
    bad = serve("bad.example.com")
    gate = start(allow=(rule("bad.example.com"),), static=(("bad.example.com", bad.address),), extra_ca=())
    assert gate.ask("bad.example.com:443")[0] == 502
    assert bad.seen == b""


def test_an_upstream_that_speaks_no_tls_gets_nothing_of_the_request(start, serve):
    plain = serve("bad.example.com", tls=False)
    gate = start(allow=(rule("bad.example.com"),), static=(("bad.example.com", plain.address),))
    with gate.connect("bad.example.com:443") as sock:
        sock.sendall(b"GET /secret HTTP/1.1\r\nHost: bad.example.com\r\n\r\n")
        plain.close()
        assert parse(sock.recv(4096))[0] == 502
    assert b"secret" not in plain.seen


# --- whose authorities count


def test_the_operators_own_bundle_stands_in_the_place_of_the_systems(start, serve, certificates, tmp_path):
    upstream = serve("bundle.example.com")
    policy = {
        "allow": (rule("bundle.example.com"),),
        "static": (("bundle.example.com", upstream.address),),
        "extra_ca": (),
    }
    assert start(**policy).ask("bundle.example.com:443")[0] == 502
    assert start(**policy, trust_file=certificates.ca).ask("bundle.example.com:443")[0] == 200
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copyfile(certificates.ca, folder / "ca.pem")
    subprocess.run(["openssl", "rehash", str(folder)], check=True, timeout=30)
    assert start(**policy, trust_dir=str(folder)).ask("bundle.example.com:443")[0] == 200
