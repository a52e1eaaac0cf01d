"""Whose authorities the gate trusts: OpenSSL's variables in the operator's environment, never a workspace's."""

import pytest

from ringfence.boundary.gatehouse import _operators_trust as operators_trust


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Return the workspace, and a bundle outside it that the environment names."""
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    (tmp_path / "work").mkdir()
    file = tmp_path / "corp.pem"
    file.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return str(tmp_path / "work"), file


def test_a_bundle_in_the_workspace_is_not_the_operators(bundle, monkeypatch):
    workspace, file = bundle
    inside = f"{workspace}/ca.pem"
    open(inside, "w", encoding="ascii").close()
    for path in (inside, "ca.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", path)
        assert operators_trust(workspace) == {}
    assert operators_trust(str(file.parent)) == {}


def test_what_is_not_there_leaves_the_systems_in_place(bundle, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    assert operators_trust(bundle[0]) == {}


def test_the_operators_bundle_is_taken(bundle, monkeypatch, tmp_path):
    workspace, file = bundle
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert operators_trust(workspace) == {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(tmp_path)}
