"""`scripts/bootstrap.py`: pip's settings, both kinds of index, and the hash that nothing gets around."""

import http.server
import importlib.util
import json
import os
import ssl
import threading

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPEC = importlib.util.spec_from_file_location("bootstrap", os.path.join(ROOT, "scripts", "bootstrap.py"))
bootstrap = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bootstrap)

WHEEL = b"a wheel, for all that anybody checks"


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Give a home without pip settings, and none in the environment."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
    return tmp_path


@pytest.fixture
def index(alone, monkeypatch):  # noqa: ARG001 - settings first
    """Serve a package index on loopback; its pages are what the test puts into the dictionary."""
    pages: dict[str, tuple[str, bytes]] = {}
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            kind, body = pages.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:pass%20word@127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setattr(bootstrap, "PIP_SHA256", bootstrap.hashlib.sha256(WHEEL).hexdigest())
    yield pages, seen
    server.shutdown()
    server.server_close()


def html(address: str) -> tuple[str, bytes]:
    return "text/html", f'<a href="../old.whl">old</a><a href="{address}#sha256=0">pip</a>'.encode()


def test_a_wheel_with_another_hash_is_not_run(index):
    pages, _ = index
    pages["/simple/pip/"] = html(f"/files/{bootstrap.PIP_WHEEL}")
    pages[f"/files/{bootstrap.PIP_WHEEL}"] = ("application/zip", WHEEL + b"!")
    with pytest.raises(bootstrap.Problem, match="nothing was run"):
        bootstrap.fetch_pip()


def test_an_index_without_the_wheel_is_told(index):
    pages, _ = index
    pages["/simple/pip/"] = html("/files/pip-1.0-py3-none-any.whl")
    with pytest.raises(bootstrap.Problem, match="it lists 2 files of pip, not this one"):
        bootstrap.fetch_pip()


@pytest.mark.usefixtures("alone")
def test_an_index_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(bootstrap.Problem, match="hint: install the package python3-venv"):
        bootstrap.fetch_pip()


def test_a_page_of_html_is_read_with_the_address_relative_to_it(index):
    pages, seen = index
    pages["/simple/pip/"] = html(f"../../files/{bootstrap.PIP_WHEEL}")
    pages[f"/files/{bootstrap.PIP_WHEEL}"] = ("application/zip", WHEEL)
    assert bootstrap.fetch_pip() == WHEEL
    assert seen[0]["Authorization"] == "Basic bWU6cGFzcyB3b3Jk"


def test_a_page_of_json_is_read(index):
    pages, _ = index
    file = {"filename": bootstrap.PIP_WHEEL, "url": f"/files/{bootstrap.PIP_WHEEL}", "hashes": {}}
    pages["/simple/pip/"] = ("application/vnd.pypi.simple.v1+json", json.dumps({"files": [file]}).encode())
    pages[f"/files/{bootstrap.PIP_WHEEL}"] = ("application/zip", WHEEL)
    assert bootstrap.fetch_pip() == WHEEL


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="unexpected scheme 'ftp'"):
        bootstrap.get("ftp://127.0.0.1/x", ssl.create_default_context())


def test_variables_win_over_files_and_the_users_file_over_the_systems(alone, monkeypatch):
    for place, index in {
        "etc/pip": "https://system.example/simple",
        ".config/pip": "https://user.example/simple",
    }.items():
        (alone / place).mkdir(parents=True)
        (alone / place / "pip.conf").write_text(f"[global]\nindex-url = {index}\ncert = /ca.pem\n")
    assert bootstrap.pip_settings() == {"index-url": "https://user.example/simple", "cert": "/ca.pem"}
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")
    assert bootstrap.pip_settings()["index-url"] == "https://mine.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert bootstrap.pip_settings() == {}


def test_a_broken_settings_file_is_an_error_with_its_name(alone):
    (alone / ".pip").mkdir()
    (alone / ".pip" / "pip.conf").write_text("index-url\n")
    with pytest.raises(bootstrap.Problem, match=r"\.pip/pip\.conf"):
        bootstrap.pip_settings()


def test_a_python_that_is_too_old_or_none_is_refused(tmp_path, monkeypatch):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3 8\necho $0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bootstrap.Problem, match=r"no Python 3\.11 or newer"):
        bootstrap.find_python("")
    old.write_text("#!/bin/sh\necho 3 11\necho /the/real/python3\n")
    assert bootstrap.find_python("") == "/the/real/python3"


def test_no_requirements_file_names_an_index():
    for name in ("requirements.txt", "requirements-dev.txt"):
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        assert "://" not in text
        assert "\n-" not in text
        assert "--hash=sha256:" in text
