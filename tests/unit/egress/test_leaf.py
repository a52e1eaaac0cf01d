"""Leaves, as `cryptography` and OpenSSL read them."""

import contextlib
import datetime as dt
import os
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ringfence.egress import leaf, limits
from ringfence.egress.mint import mint
from ringfence.errors import HostError


@pytest.fixture
def folder(tmp_path):
    return mint(str(tmp_path))


@pytest.fixture
def authority(folder):
    return leaf.load(folder)


def minted(authority, host):
    contexts = leaf.Contexts(authority)
    return x509.load_der_x509_certificate(leaf.mint(authority, contexts._public, host))


def test_loading_removes_the_key_and_a_second_time_fails(folder):
    leaf.load(folder)
    assert not os.path.exists(f"{folder}/ca.key")
    assert os.path.exists(f"{folder}/ca.pem")
    with pytest.raises(HostError):
        leaf.load(folder)


@pytest.mark.parametrize(
    "host", ["api.example.com", "10.9.8.7", "2001:db8::1", "a" * 63 + "." + "b" * 63 + ".example.com"]
)
def test_a_leaf_says_what_strict_verifiers_ask_for(authority, host, tmp_path):
    made = minted(authority, host)
    issuer = x509.load_der_x509_certificate(authority.certificate)
    now = dt.datetime.now(dt.UTC)
    made.verify_directly_issued_by(issuer)
    assert made.version == x509.Version.v3
    assert made.not_valid_before_utc < now - dt.timedelta(minutes=30)
    assert made.not_valid_after_utc <= issuer.not_valid_after_utc
    extensions = {one.oid._name: one for one in made.extensions}
    assert extensions["basicConstraints"].value.ca is False
    assert extensions["keyUsage"].value.digital_signature
    assert list(extensions["extendedKeyUsage"].value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert extensions["authorityKeyIdentifier"].value.key_identifier == own.value.digest
    (name,) = extensions["subjectAltName"].value
    assert str(name.value) == host
    pem = tmp_path / "leaf.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    ca = tmp_path / "ca.pem"
    ca.write_bytes(issuer.public_bytes(serialization.Encoding.PEM))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(ca), str(pem)],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_serial_numbers_differ_and_are_positive(authority):
    found = {minted(authority, "a.example.com").serial_number for _ in range(50)}
    assert len(found) == 50
    assert min(found) > 0


def test_a_host_that_is_visited_again_gets_a_context_of_its_own_and_the_oldest_goes(authority, monkeypatch):
    monkeypatch.setattr(limits, "CONTEXTS", 2)
    contexts = leaf.Contexts(authority)
    first = contexts.get("a")
    assert contexts.get("b").shown is first.shown
    own = contexts.get("a")
    assert own is not first.shown
    assert contexts.get("c").shown is first.shown
    assert contexts.get("a") is own
    assert list(contexts._kept) == ["c", "a"]


def client(folder, host, context=None):
    """Return a client in memory, and what it reads from and writes to."""
    context = context or ssl.create_default_context(cafile=f"{folder}/ca.pem")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, server_hostname=host), incoming, outgoing


def server(context):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing


def shake(one, other):
    """Move bytes until both have shaken hands."""
    ends, done = (one, other), set()
    for _ in range(4):
        for (end, _, outgoing), (_, incoming, _) in ((ends[0], ends[1]), (ends[1], ends[0])):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                done.add(id(end))
            incoming.write(outgoing.read())
    assert len(done) == 2


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tickets", [True, False])
def test_nothing_of_a_first_visit_is_resumed_at_another_hosts_first_visit(
    folder, authority, version, tickets
):
    contexts = leaf.Contexts(authority)
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    context.maximum_version = version
    context.check_hostname = False  # the session is bound to no name on the client's side either
    if not tickets:  # TLS 1.2 resumes by the session's number then
        context.options |= ssl.OP_NO_TICKET
    session, reused, ends = None, [], []
    for host in ("a.example.com", "b.example.com", "a.example.com", "a.example.com"):
        asking = client(folder, host, context)
        if session is not None:
            asking[0].session = session
        end = server(contexts.get(host))
        shake(asking, end)
        end[0].write(b"x")
        asking[1].write(end[2].read())
        assert asking[0].read(1) == b"x"  # the ticket came before it
        session = asking[0].session
        reused.append(asking[0].session_reused)
        ends.append((asking, end))  # a session whose connection is dropped is forgotten
    # The host's own context is another matter: the last visit resumes the one before it.
    assert reused == [False, False, False, True]


def test_each_connection_shows_the_leaf_of_its_host_whatever_was_asked_for_since(folder, authority):
    contexts = leaf.Contexts(authority)
    hosts = [f"host{number}.example.com" for number in range(4)] * 2
    begun = [(host, server(contexts.get(host))) for host in hosts]
    for host, end in begun:
        asking = client(folder, host)
        shake(asking, end)
        assert asking[0].getpeercert()["subjectAltName"] == (("DNS", host),)


def test_a_leaf_of_another_key_is_not_shown(folder, authority):
    contexts = leaf.Contexts(authority)
    context = contexts.get("a.example.com")
    strange = leaf.mint(authority, leaf.Contexts(authority)._public, "b.example.com")
    leaf._show(context, ssl.DER_cert_to_PEM_cert(strange))
    with pytest.raises(ssl.SSLError):
        shake(client(folder, "b.example.com"), server(context))


@pytest.mark.parametrize("kind", ["rsa", "p384", "sec1", "nothing", "cut"])
def test_a_key_of_another_kind_is_refused(folder, kind):
    made = {
        "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    }.get(kind, lambda: ec.generate_private_key(ec.SECP256R1()))()
    form = serialization.PrivateFormat
    form = form.TraditionalOpenSSL if kind == "sec1" else form.PKCS8
    pem = made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    pem = {"nothing": b"", "cut": pem[:90]}.get(kind, pem)
    with open(f"{folder}/ca.key", "wb") as file:
        file.write(pem)
    with pytest.raises(HostError):
        leaf.load(folder)
    assert os.path.exists(f"{folder}/ca.key")


def test_keys_are_what_the_library_reads_and_writes():
    for _ in range(20):
        key = ec.generate_private_key(ec.SECP256R1())
        kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        assert leaf.read_key(key.private_bytes(*kinds).decode()).private_numbers() == key.private_numbers()
        again = serialization.load_pem_private_key(leaf.write_key(key).encode(), None)
        assert again.private_numbers() == key.private_numbers()
        assert leaf.public_key(key) == key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
