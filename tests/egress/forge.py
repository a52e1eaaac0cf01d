"""A host of git repositories: git's own http-backend over TLS, and repositories with one commit each."""

import http.server
import os
import subprocess
import threading

from gates import WAIT

QUIET = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@t")


def repositories(folder, *names):
    """Make bare repositories with a commit on `main`; pushes over HTTP are taken."""
    work = os.path.join(folder, "work")
    git("init", "-q", "-b", "main", work)
    git("-C", work, *AUTHOR, "commit", "-q", "--allow-empty", "-m", "one")
    for name in names:
        bare = os.path.join(folder, name)
        git("init", "-q", "--bare", "-b", "main", bare)
        git("-C", bare, "config", "http.receivepack", "true")
        git("-C", work, "push", "-q", bare, "main")


def git(*argv):
    """Run git on this machine, without its configuration."""
    return subprocess.run(
        ("git", *argv), check=True, env=QUIET, timeout=30, capture_output=True, text=True
    ).stdout


def refs(folder, name):
    """Return the refs of a repository."""
    return set(git("-C", os.path.join(folder, name), "for-each-ref", "--format=%(refname)").split())


class Forge:
    """The host at work."""

    def __init__(self, folder, context):
        self.folder = folder
        self.requests = []  # (method, path) as they arrived
        self.cut = 0  # requests whose body did not come whole
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )  # the handshake is the serving thread's: the accepting one must not wait for anybody
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WAIT)

    def _handler(self):
        forge = self
        backend = os.path.join(git("--exec-path").strip(), "git-http-backend")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                forge.requests.append((self.command, self.path))
                path, _, query = self.path.partition("?")
                body = self._body()
                environment = {
                    "GIT_PROJECT_ROOT": forge.folder,
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "PATH": os.environ["PATH"],
                    "REMOTE_USER": "t",
                    "REMOTE_ADDR": "::1",
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                }
                out = subprocess.run(
                    [backend], input=body, env=environment, capture_output=True, timeout=30, check=True
                ).stdout
                self._answer(*out.partition(b"\r\n\r\n")[::2])

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def _body(self):
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                forge.cut += not self.rfile.readline()
                return body

            def _answer(self, head, content):
                fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
                status = next((int(value[:3]) for name, value in fields if name == "Status"), 200)
                self.send_response(status)
                for name, value in fields:
                    if name != "Status":
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        return Handler
