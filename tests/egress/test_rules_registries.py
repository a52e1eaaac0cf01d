"""Real package tools under the shipped sets: they install what is listed, and carry nothing out (THREATS.md §3.6)."""

import base64
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import zipfile

import pytest
from test_clients import run

from ringfence.policy import preset, read
from ringfence.policy.model import EgressRule

PYPI, FILES, NPM = "pypi.org", "files.pythonhosted.org", "registry.npmjs.org"
WHEEL = "requests-9.9-py3-none-any.whl"
LINKS = f'<a href="https://{FILES}/packages/aa/bb/cc/{WHEEL}">{WHEEL}</a>'.encode()


def rules(*names):
    """Return the rules of shipped sets, as the gate gets them."""
    found = []
    for name in names:
        layer, problems = read.layer(preset.source(name), "/proc/nowhere")
        assert not problems
        found += [EgressRule(**rule) for rule in layer["egress"]["allow"]]
    return tuple(found)


def wheel():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("requests.py", "X = 1\n")
        file.writestr(
            "requests-9.9.dist-info/METADATA", "Metadata-Version: 2.1\nName: requests\nVersion: 9.9\n"
        )
        file.writestr(
            "requests-9.9.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr("requests-9.9.dist-info/RECORD", "")
    return data.getvalue()


def tarball():
    data = io.BytesIO()
    manifest = json.dumps({"name": "left-pad", "version": "1.0.0"}).encode()
    with tarfile.open(fileobj=data, mode="w:gz") as file:
        member = tarfile.TarInfo("package/package.json")
        member.size = len(manifest)
        file.addfile(member, io.BytesIO(manifest))
    return data.getvalue()


TARBALL = tarball()
MANIFEST = {
    "name": "left-pad",
    "dist-tags": {"latest": "1.0.0"},
    "versions": {
        "1.0.0": {
            "name": "left-pad",
            "version": "1.0.0",
            "dist": {
                "tarball": f"https://{NPM}/left-pad/-/left-pad-1.0.0.tgz",
                "integrity": "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode(),
            },
        }
    },
}
PAGES = {
    b"/simple/requests/": (b"text/html", LINKS),
    f"/packages/aa/bb/cc/{WHEEL}".encode(): (b"application/octet-stream", wheel()),
    b"/left-pad": (b"application/json", json.dumps(MANIFEST).encode()),
    b"/left-pad/-/left-pad-1.0.0.tgz": (b"application/octet-stream", TARBALL),
    b"/-/npm/v1/security/advisories/bulk": (b"application/json", b"{}"),
}


def registry(sock, head, _body):
    kind, content = PAGES.get(head.split(b" ")[1], (b"text/plain", b"no such page"))
    sock.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(content), content)
    )


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(PYPI, FILES, NPM, answer=registry)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=rules("pypi-only:requests", "npm-only:left-pad", "npm-audit"),
        static=tuple((host, upstream.address) for host in (PYPI, FILES, NPM)),
    )


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.clear()


def asked(upstream):
    return [b" ".join(head.split(b" ")[:2]).decode() for head in upstream.heads]


def pip(gate, *words):
    home = {"PIP_CONFIG_FILE": "/dev/null", "PIP_CERT": gate.ca, "PIP_RETRIES": "0", "PIP_NO_INPUT": "1"}
    return run(gate, sys.executable, "-m", "pip", "--disable-pip-version-check", *words, environment=home)


def test_pip_gets_what_is_listed(gate, tmp_path):
    done = pip(gate, "download", "-q", "--no-deps", "--no-cache-dir", "-d", str(tmp_path), "requests")
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == [WHEEL]


def test_a_package_name_carries_nothing_out_of_pip(gate, upstream, tmp_path):
    done = pip(
        gate, "download", "-q", "--no-deps", "--no-cache-dir", "-d", str(tmp_path), "c2vjcmv0-attacker==1.0"
    )
    assert done.returncode != 0
    assert upstream.requests == []
    assert gate.ask(f"{FILES}:443", path="/packages/aa/bb/cc/evil-c2VjcmV0.whl")[0] == 403
    assert gate.ask(f"{PYPI}:443", path="/simple/requests/?x=c2VjcmV0")[0] == 403
    assert upstream.requests == []


def npm(gate, folder, *words):
    settings = {"npm_config_cache": str(folder / "cache"), "npm_config_cafile": gate.ca, "npm_config_fetch_retries": "0",
                "npm_config_registry": f"https://{NPM}/", "npm_config_update_notifier": "false", "HOME": str(folder)}  # fmt: skip
    return run(gate, "npm", *words, environment=settings, cwd=str(folder))


@pytest.fixture
def project(tmp_path):
    (tmp_path / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
    return tmp_path


needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")


@needs_npm
def test_npm_installs_and_audits_what_is_listed(gate, upstream, project):
    done = npm(gate, project, "install", "--no-fund", "left-pad")
    assert done.returncode == 0, done.stderr
    assert (project / "node_modules/left-pad/package.json").exists()
    assert "POST /-/npm/v1/security/advisories/bulk" in asked(upstream)


@needs_npm
def test_npm_publishes_nothing_and_asks_for_no_other_name(gate, upstream, project):
    done = npm(gate, project, "install", "--no-fund", "--no-audit", "c2vjcmv0-attacker")
    assert done.returncode != 0
    (project / ".npmrc").write_text(f"//{NPM}/:_authToken=npm_attackers\n")
    assert npm(gate, project, "publish").returncode != 0
    assert npm(gate, project, "search", "c2VjcmV0").returncode != 0
    assert [one for one in asked(upstream) if not one.endswith("/advisories/bulk")] == []
    assert b"attackers" not in upstream.seen


def test_an_upload_to_another_account_is_refused(gate, upstream):
    for host, method, path in (
        (NPM, "PUT", "/left-pad"),
        (PYPI, "POST", "/legacy/"),
        (NPM, "POST", "/-/npm/v1/security/advisories/bulk?x=1"),
    ):
        assert gate.ask(f"{host}:443", method, path, (("Content-Type", "application/json"),), b"{}")[0] == 403
    too_much = b'{"x": "' + b"y" * (1 << 20) + b'"}'
    kind = (("Content-Type", "application/json"),)
    assert gate.ask(f"{NPM}:443", "POST", "/-/npm/v1/security/advisories/bulk", kind, too_much)[0] == 403
    assert upstream.requests == []
