"""Leaves, as `cryptography` and OpenSSL read them."""

import datetime as dt
import os
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
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


def test_a_context_is_made_once_and_the_oldest_goes(authority, monkeypatch):
    monkeypatch.setattr(limits, "CONTEXTS", 2)
    contexts = leaf.Contexts(authority)
    first = contexts.get("a")
    assert isinstance(first, ssl.SSLContext)
    assert contexts.get("a") is first
    contexts.get("b")
    contexts.get("a")
    contexts.get("c")
    assert contexts.get("a") is first
    assert list(contexts._kept) == ["c", "a"]
