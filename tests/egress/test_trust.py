"""Whose word counts about an upstream: the system's authorities by folder and by file, and nobody else's."""

import subprocess
from pathlib import Path

import pytest
from gates import Upstreams, rule

HOST = "api.example.com"


@pytest.fixture
def strangers(tmp_path):
    """Return another authority."""
    folder = tmp_path / "strangers"
    folder.mkdir()
    return Upstreams(folder, "strangers")


def system(tmp_path, *, folder=(), file=()):
    """Return the variables that make these authorities the system's: OpenSSL's own, not the policy's."""
    hashed, bundle = tmp_path / "certs", tmp_path / "cert.pem"
    hashed.mkdir()
    for number, one in enumerate(folder):
        (hashed / f"{number}.pem").write_text(Path(one.ca).read_text())
    subprocess.run(["openssl", "rehash", str(hashed)], check=True, timeout=20)
    bundle.write_text("".join(Path(one.ca).read_text() for one in file))
    return {"env": {"SSL_CERT_DIR": str(hashed), "SSL_CERT_FILE": str(bundle)}}


def gate_for(start, upstream, launch):
    return start(allow=(rule(HOST),), static=((HOST, upstream.address),), extra_ca=(), launch=launch)


def test_an_authority_that_the_system_does_not_have_is_not_trusted(start, serve, strangers, tmp_path):
    upstream = serve(HOST)
    gate = gate_for(start, upstream, system(tmp_path, folder=[strangers], file=[strangers]))
    status, _, body = gate.ask(f"{HOST}:443")
    assert status == 502
    assert b"does not verify" in body
    assert not upstream.requests


def test_an_authority_in_the_systems_folder_is_trusted(start, serve, certificates, strangers, tmp_path):
    upstream = serve(HOST)
    gate = gate_for(start, upstream, system(tmp_path, folder=[strangers, certificates], file=[strangers]))
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert len(gate.records("dial")) == 1


def test_one_that_is_in_the_systems_file_alone_is_trusted_too(
    start, serve, certificates, strangers, tmp_path
):
    upstream = serve(HOST)
    gate = gate_for(start, upstream, system(tmp_path, folder=[strangers], file=[certificates]))
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert len(gate.records("dial")) == 2, "the first handshake ended, the file was read, the second went on"
    assert len(upstream.requests) == 1


def test_without_a_folder_of_hashes_the_file_is_read_at_once(start, serve, certificates, tmp_path):
    upstream = serve(HOST)
    gate = gate_for(start, upstream, system(tmp_path, file=[certificates]))
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert len(gate.records("dial")) == 1
