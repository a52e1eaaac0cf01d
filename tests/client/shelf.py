"""Small package indexes, a git server and a web page behind one TLS port, for the tools a developer uses."""

import base64
import hashlib
import http.server
import io
import json
import os
import ssl
import subprocess
import tarfile
import threading
import zipfile
from typing import Any, Self, cast

from fake_api.authority import Authority

PAGE, GIT, PYPI, NPM = "web.example.com", "git.example.com", "index.example.com", "registry.example.com"
HOSTS = (PAGE, GIT, PYPI, NPM)
GREETING = b"hello from outside\n"


class Shelf:
    """Serves all four; `seen` lists the requests as (host, method, path)."""

    def __init__(self, authority: Authority, folder: str) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.wheel, self.package = wheel(), npm_package()
        self.repositories = os.path.join(folder, "repositories")
        _make_repository(self.repositories)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.shelf = self
        self._server.context = authority.server_context(PAGE)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    shelf: Shelf
    context: ssl.SSLContext

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(30)
            super().process_request_thread(
                self.context.wrap_socket(request, server_side=True), client_address
            )
        except OSError:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no event."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    do_HEAD = do_GET  # noqa: N815 - the base class finds methods by these names

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("transfer-encoding") or ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _serve(self, body: bytes) -> None:
        shelf = cast("_Server", self.server).shelf
        host = (self.headers.get("host") or "").partition(":")[0]
        shelf.seen.append((host, self.command, self.path))
        if host == GIT:
            self._send(*_git(shelf, self, body))
        else:
            kind, data = _content(shelf, host, self.path)
            self._send(200 if data is not None else 404, [("content-type", kind)], data or b"no such thing\n")

    def _send(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _content(shelf: Shelf, host: str, path: str) -> tuple[str, bytes | None]:
    name, data = shelf.wheel
    digest = hashlib.sha256(data).hexdigest()
    pages = {
        (PAGE, "/"): ("text/plain", GREETING),
        (PYPI, "/simple/tinypkg/"): (
            "text/html",
            f'<a href="/files/{name}#sha256={digest}">{name}</a>'.encode(),
        ),
        (PYPI, f"/files/{name}"): ("application/octet-stream", data),
        (NPM, "/tinypkg"): ("application/json", _packument(shelf.package)),
        (NPM, "/tinypkg/-/tinypkg-1.0.0.tgz"): ("application/octet-stream", shelf.package),
    }
    return pages.get((host, path.partition("?")[0]), ("text/plain", None))


def wheel() -> tuple[str, bytes]:
    """Return the smallest wheel there is: its name and its bytes."""
    files = {
        "tinypkg.py": "NAME = 'tinypkg from the index'\n",
        "tinypkg-1.0.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinypkg\nVersion: 1.0.0\n",
        "tinypkg-1.0.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tinypkg-1.0.0.dist-info/RECORD": "tinypkg.py,,\n",
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return "tinypkg-1.0.0-py3-none-any.whl", memory.getvalue()


def npm_package() -> bytes:
    """Return the smallest npm package there is."""
    files = {
        "package/package.json": json.dumps({"name": "tinypkg", "version": "1.0.0", "main": "index.js"}),
        "package/index.js": "module.exports = 'tinypkg from the registry'\n",
    }
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return memory.getvalue()


def _packument(package: bytes) -> bytes:
    digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
    distribution = {"tarball": f"https://{NPM}/tinypkg/-/tinypkg-1.0.0.tgz", "integrity": f"sha512-{digest}"}
    version = {"name": "tinypkg", "version": "1.0.0", "dist": distribution}
    whole = {"name": "tinypkg", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    return json.dumps(whole).encode()


def _make_repository(folder: str) -> None:
    path = os.path.join(folder, "acme", "tools.git")
    work = os.path.join(folder, "work")
    plain = {"PATH": os.environ["PATH"], "HOME": folder, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], check=True, capture_output=True, env=plain, timeout=30)

    git("init", "-q", "-b", "main", work)
    with open(os.path.join(work, "tool.txt"), "w", encoding="utf-8") as file:
        file.write("a tool\n")
    git("-C", work, "add", ".")
    git("-C", work, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", "A tool")
    git("clone", "-q", "--bare", work, path)
    git("-C", path, "config", "http.receivepack", "true")


def _git(
    shelf: Shelf, request: http.server.BaseHTTPRequestHandler, body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Serve one request by git's own CGI program."""
    path, _, query = request.path.partition("?")
    variables = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": shelf.repositories,
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "REQUEST_METHOD": request.command,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": request.headers.get("content-type") or "",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding") or "",
        "GIT_PROTOCOL": request.headers.get("git-protocol") or "",
        "REMOTE_USER": "agent",
    }
    argv = ["git", "http-backend"]
    done = subprocess.run(argv, input=body, env=variables, capture_output=True, check=False, timeout=30)
    head, _, data = done.stdout.partition(b"\r\n\r\n")
    fields = [tuple(line.split(": ", 1)) for line in head.decode().splitlines() if ": " in line]
    status = next((int(value.split()[0]) for name, value in fields if name.lower() == "status"), 200)
    return status, [cast("tuple[str, str]", field) for field in fields if field[0].lower() != "status"], data
