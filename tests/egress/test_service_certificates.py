"""TLS to the gate itself: identities by client certificate, with curl as the client."""

import datetime as dt
import shutil
import socket
import ssl
import subprocess

import pytest
import servers
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gates import WAIT, Upstreams, drain
from services import HOST, OTHER, RED, allow, policy, said, serving

BOTH = (
    '[identity.red]\npolicy = "red.toml"\ncertificate = ["dns:red.internal"]\n'
    '[identity.blue]\npolicy = "blue.toml"\ncertificate = ["uri:spiffe://acme/blue", "sha256:{mark}"]\n'
)


class Clients:
    """An authority for clients, and the certificates it has signed."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clients' authority")])
        self.ca = str(folder / "clients-ca.pem")
        made = self._signed(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))
        (folder / "clients-ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject, key, extension):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self.key, hashes.SHA256())
        )

    def pem(self, file, common, *names):
        """Write a certificate with its key; returns its fingerprint."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        made = self._signed(subject, key, x509.SubjectAlternativeName(names))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / file).write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
        return made.fingerprint(hashes.SHA256()).hex()


@pytest.fixture
def clients(tmp_path):
    made = Clients(tmp_path)
    made.pem("red.pem", "somebody", x509.DNSName("red.internal"))
    made.pem("spiffe.pem", "somebody", x509.UniformResourceIdentifier("spiffe://acme/blue"))
    made.mark = made.pem("mark.pem", "somebody", x509.DNSName("else.internal"))
    made.pem("named.pem", "red.internal", x509.DNSName("not-red.internal"))
    return made


@pytest.fixture
def gate(tmp_path, clients, services_upstream, certificates):
    """Return a function that serves inside TLS."""
    made = []
    pem = certificates.pem("gate.internal", "127.0.0.1")

    def begin(identities=BOTH, *, client_ca=True, words=()):
        trusted = f'egress.extra_ca = ["{certificates.ca}"]\n'
        pairs = ((HOST, services_upstream.address), (OTHER, services_upstream.address))
        gateway = f'[gateways.model]\nupstream = "https://{HOST}"\n'
        policy(tmp_path, "red.toml", pairs, allow(HOST), allow(OTHER), more=trusted + gateway)
        policy(tmp_path, "blue.toml", pairs, allow(HOST), more=trusted)
        (tmp_path / "who.toml").write_text(identities.replace("{mark}", clients.mark))
        port = servers.free_port()
        ours = ("--listen", f"tls:127.0.0.1:{port}", "--tls-cert", pem, "--tls-key", pem, *words)
        ours += ("--client-ca", clients.ca) if client_ca else ()
        context = serving(tmp_path, *ours, "--identities", "who.toml", environment={"RED": RED})
        service = context.__enter__()
        made.append(context)
        service.port = port
        return service

    yield begin
    for context in made:
        context.__exit__(None, None, None)


def curl(service, certificates, client, url=f"https://{HOST}/", name="red", *more):
    """Ask through the proxy inside TLS; returns (status, output, errors)."""
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    shown = ("--proxy-cert", f"{service.folder}/{client}") if client else ()
    argv = ["curl", "-sS", "--max-time", "10", "--proxy", f"https://127.0.0.1:{service.port}", *shown]
    argv += ["--proxy-cacert", certificates.ca, "--cacert", service.ca(name), *more, url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


# --- what does not start


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--listen", "tls:127.0.0.1:1"), "TLS to the gate takes a certificate"),
        (("--listen", "tls:127.0.0.1:1", "--tls-cert", "x"), "belong together"),
        (("--listen", "127.0.0.1:1", "--client-ca", "x"), "belong together"),
        (("--listen", "tls:127.0.0.1:1", "--tls-cert", "no.pem", "--tls-key", "no.pem"), "No such file"),
        (("--listen", "tls:127.0.0.1:1", "--tls-cert", "p.toml", "--tls-key", "p.toml"), "TLS at the gate cannot use"),
        (("--listen", "tls:0.0.0.0:1", "--tls-cert", "p.toml", "--tls-key", "p.toml"), "anybody who can reach"),
        (("--listen", "tls:unix:/x", "--tls-cert", "p.toml", "--tls-key", "p.toml"), "an address cannot be used"),
    ],
)  # fmt: skip
def test_tls_that_cannot_be_meant_is_told_at_the_start(tmp_path, words, told):
    (tmp_path / "p.toml").write_text("")
    status, output, errors = said(tmp_path, "egress", *words, "--policy", "p.toml")
    assert status in {2, 125}
    assert output == ""
    assert told in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("certificate", "told"),
    [
        ('["red.internal"]', "is none of dns:NAME"),
        ('["dns:"]', "is none of dns:NAME"),
        ('["sha256:abc"]', "is none of dns:NAME"),
        ('["cn:red"]', "is none of dns:NAME"),
        ("[1]", "lists of texts"),
        ('["dns:red.internal"]', "no authority to check it by"),
    ],
)
def test_certificates_that_cannot_be_meant_are_told(tmp_path, certificate, told):
    (tmp_path / "p.toml").write_text("")
    (tmp_path / "who.toml").write_text(f'[identity.a]\npolicy = "p.toml"\ncertificate = {certificate}\n')
    status, _, errors = said(tmp_path, "egress", "--listen", "127.0.0.1:1", "--identities", "who.toml")
    assert status == 125
    assert told in errors


# --- who gets in


@pytest.mark.guarantee("S6")
def test_without_a_certificate_nobody_gets_in(gate, certificates, services_upstream, tmp_path):
    service = gate()
    services_upstream.clear()
    status, _, errors = curl(service, certificates, "")
    assert status in {35, 56, 97}
    assert "alert" in errors.lower() or "certificate required" in errors.lower()
    other = Upstreams(tmp_path)  # an authority of somebody else's
    shutil.copy(other.pem("red.internal"), tmp_path / "other.pem")
    assert curl(service, certificates, "other.pem")[0] in {35, 56}
    with service.plain() as sock:  # and without TLS
        sock.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert b"HTTP/1.1" not in drain(sock)
    assert services_upstream.handshakes == 0


@pytest.mark.guarantee("S6")
def test_a_certificate_that_belongs_to_nobody_here_is_told_so(gate, certificates):
    """A common name is text for people: only names of subjectAltName count."""
    service = gate()
    status, _, errors = curl(service, certificates, "named.pem")
    assert status == 56
    assert "407" in errors


@pytest.mark.guarantee("S6")
def test_an_identity_is_known_by_its_certificate(gate, certificates):
    service = gate()
    assert curl(service, certificates, "red.pem", f"https://{OTHER}/")[:2] == (0, "ok")
    for file in ("spiffe.pem", "mark.pem"):
        assert curl(service, certificates, file, f"https://{OTHER}/", "blue")[0] == 56  # blue's rules
        assert curl(service, certificates, file, name="blue")[:2] == (0, "ok")


def test_a_certificate_may_need_a_token_too(gate, certificates):
    service = gate(
        '[identity.red]\npolicy = "red.toml"\ncertificate = "dns:red.internal"\ntoken = "env:RED"\n'
    )
    assert curl(service, certificates, "red.pem")[0] == 56
    assert (
        curl(service, certificates, "mark.pem", f"https://{HOST}/", "red", "--proxy-user", f"red:{RED}")[0]
        == 56
    )
    assert curl(service, certificates, "red.pem", f"https://{HOST}/", "red", "--proxy-user", f"red:{RED}")[
        :2
    ] == (0, "ok")


def test_tls_alone_hides_tokens_from_the_network(gate, certificates):
    service = gate('[identity.red]\npolicy = "red.toml"\ntoken = "env:RED"\n', client_ca=False)
    assert curl(service, certificates, "")[0] == 56
    assert curl(service, certificates, "", f"https://{HOST}/", "red", "--proxy-user", f"red:{RED}")[:2] == (
        0,
        "ok",
    )


def inside(service, certificates, client, port=None):
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(f"{service.folder}/{client}")
    sock = (
        service.plain() if port is None else socket.create_connection(("127.0.0.1", port), WAIT)
    )
    return context.wrap_socket(sock, server_hostname="gate.internal")


def test_a_gateway_inside_tls(gate, certificates):
    port = servers.free_port()
    service = gate(words=("--gateway", f"model=tls:127.0.0.1:{port}"))
    for client, answer in (("red.pem", b"HTTP/1.1 200 "), ("named.pem", b"HTTP/1.1 401 ")):
        with inside(service, certificates, client, port) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert drain(sock).startswith(answer)


def test_who_is_vouched_for_no_longer_is_cut_off(gate, certificates, clients, tmp_path):
    """Another authority of clients holds from the reload on, for open connections too."""
    service = gate()
    with inside(service, certificates, "red.pem") as sock:
        sock.sendall(b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}\n"):
            answer += sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 403 ")
        (tmp_path / "clients-ca.pem").write_text("nothing")
        service.reload("not reloaded")
        sock.sendall(b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 403 ")
        Clients(tmp_path)  # another authority, in the same file
        service.reload()
        drain(sock)
    assert clients.ca
    assert curl(service, certificates, "red.pem")[0] in {35, 56}


def test_socks_inside_tls(gate, certificates):
    service = gate()
    with inside(service, certificates, "mark.pem") as sock:
        sock.sendall(b"\5\1\0\5\1\0\3" + bytes((len(OTHER),)) + OTHER.encode() + b"\1\xbb")
        answer = b""
        while len(answer) < 12:
            answer += sock.recv(100)
        assert answer[:4] == b"\5\0\5\2"  # blue's rules
