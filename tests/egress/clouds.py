"""Real servers of other makers for tests, each a process of its own: moto (AWS), OpenBao (Vault)."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

WAIT = 60.0  # seconds for a server to come up: it shares the machine


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@contextlib.contextmanager
def running(argv, port, environment):
    """Run a server until the end of the block, once it answers."""
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + WAIT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, f"{argv[0]} ended with {process.returncode}"
            assert time.monotonic() < until, f"{argv[0]} does not come up"
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def moto(pem, open_actions):
    """Run moto over TLS; after some actions it checks signatures against the keys it has issued."""
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), "-c", pem, "-k", pem]
    environment = {"PATH": os.environ["PATH"], "INITIAL_NO_AUTH_ACTION_COUNT": str(open_actions)}
    with running(argv, port, environment):
        yield port


def bao():
    """Return OpenBao's server program, or ""."""
    beside = os.path.join(os.path.dirname(sys.executable), "bao")
    return beside if os.path.exists(beside) else shutil.which("bao") or ""


class Bao:
    """A client for setting an OpenBao server up; what is tested has its own."""

    def __init__(self, base, context, token):
        self.base = base
        self._context = context
        self._token = token

    def __call__(self, method, path, data=None):
        request = urllib.request.Request(
            f"{self.base}/v1/{path}",
            method=method,
            data=None if data is None else json.dumps(data).encode(),
            headers={"X-Vault-Token": self._token},
        )
        with urllib.request.urlopen(request, context=self._context, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else {}
