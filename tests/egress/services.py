"""A running `ringfence egress` for tests, and clients that say who they are."""

import base64
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

from gates import SOURCE, WAIT, drain, parse, read_head

from ringfence.audit import query

HOST, OTHER, TCP = "api.example.com", "other.example.com", "tcp.example.com"
RED, BLUE = "red-token-0123456789", "blue-token-0123456789"
TWO = """
[identity.red]
policy = "red.toml"
token = "env:RED"
[identity.blue]
policy = "blue.toml"
token = "env:BLUE"
"""
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); del sys.argv[1];"
    "from ringfence.cli import main; sys.argv[0] = 'ringfence'; main()"
)


def ringfence(folder, *words, environment=None, **more):
    """Return a `ringfence` command that has begun."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", START, SOURCE, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RINGFENCE_STATE_DIR": f"{folder}/state",
            "RINGFENCE_CACHE_DIR": f"{folder}/cache",
            "RINGFENCE_CONFIG_DIR": f"{folder}/config",
            "RINGFENCE_MANAGED_POLICY": f"{folder}/managed.toml",
            **(environment or {}),
        },
        **more,
    )


def said(folder, *words, environment=None):
    """Run a command that ends by itself; returns (status, output, errors)."""
    with ringfence(folder, *words, environment=environment) as process:
        output, errors = process.communicate(timeout=WAIT * 2)
    return process.returncode, output, errors


class Service:
    """A service that has said that it serves."""

    def __init__(self, folder, *words, environment=None):
        self.folder = str(folder)
        self.lines = []
        self.process = ringfence(folder, "egress", *words, environment=environment)
        line = self.wait_for("serving ")
        self.port = int(found.group(1)) if (found := re.search(r"127\.0\.0\.1:(\d+)", line)) else 0

    def wait_for(self, start):
        """Return the next line on standard error that starts so."""
        seen = []
        while line := self.process.stderr.readline():
            seen.append(line)
            if line.startswith(start):
                return line
        raise AssertionError("".join(seen))

    def reload(self, expected="reloaded"):
        self.process.send_signal(signal.SIGHUP)
        return self.wait_for(expected)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode

    def ca(self, name="default"):
        return f"{self.folder}/state/egress/{name}/authority/ca.pem"

    def events(self, name="default", kind=None):
        """Return an identity's records, of all its sessions."""
        found = []
        for session in query.sessions(f"{self.folder}/state"):
            events = list(query.read(query.path_of(f"{self.folder}/state", session)))
            if events and events[0].get("command") == ["ringfence", "egress", name]:
                found += [one for one in events if kind is None or one.kind == kind]
        return found

    # --- clients

    def plain(self, source="127.0.0.1"):
        return socket.create_connection(("127.0.0.1", self.port), WAIT, source_address=(source, 0))

    def connect(self, authority, who=None, *, sock=None, source="127.0.0.1"):
        """Send CONNECT; returns the socket and the answer's head."""
        sock = sock or self.plain(source)
        auth = f"Proxy-Authorization: {basic(*who)}\r\n" if who else ""
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{auth}\r\n".encode())
        return sock, read_head(sock)

    def ask(
        self, authority, who=None, *, name=None, path="/", sock=None, source="127.0.0.1", extra="", body=""
    ):
        """Make one request through a tunnel; returns (status, body); 407 and 403 may be CONNECT's."""
        sock, head = self.connect(authority, who, sock=sock, source=source)
        if not head.startswith(b"HTTP/1.1 200 "):
            with sock:
                return parse(head + drain(sock))[::2]
        host = authority.rpartition(":")[0]
        context = ssl.create_default_context(cafile=self.ca(name or (who[0] if who else "default")))
        with context.wrap_socket(sock, server_hostname=host) as inside:
            inside.sendall(
                f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: {authority}\r\n{extra}"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
            )
            return parse(drain(inside))[::2]


def basic(user, token):
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def admin(port, path="/healthz", method="GET", host=None):
    """Ask the admin listener; returns (status, body)."""
    with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        host = host or f"127.0.0.1:{port}"
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return parse(drain(sock))[::2]


def eventually(true, seconds=WAIT):
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextlib.contextmanager
def serving(folder, *words, environment=None):
    """Run a service until the block ends."""
    made = Service(folder, *words, environment=environment)
    try:
        yield made
    finally:
        made.stop()


def policy(folder, name, upstreams, *rules, more=""):
    """Write a policy file; `upstreams` are (host, address)."""
    lines = [f"egress.allow = [{', '.join(rules)}]", more]
    tables = [f'"{host}" = "{address}"' for host, address in upstreams]
    text = "\n".join([*lines, "[egress.static]", *tables]) + "\n"
    (folder / name).write_text(text)


def allow(host, **more):
    fields = "".join(f", {key} = {value}" for key, value in more.items())
    return f'{{ host = "{host}"{fields} }}'
