"""The world that `gate.py` measures in: an authority, nginx behind TLS, a stream of events, load.

Everything listens on loopback and ends with the benchmark. CPU is what the kernel has counted for a process
and its children: the figure that neighbours on the machine disturb least.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time

__all__ = ["Running", "World", "cpu", "credential", "end", "free_port", "memory", "rule", "wait_port"]

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(ROOT, "src"), os.path.join(ROOT, "tests", "egress")]

from gates import Running, Upstreams, credential, rule  # noqa: E402 - found through the path above

HOST = "up.example.com"
OPAQUE = "opaque.example.com"  # the same upstream, passed through unseen
EVENTS = "events.example.com"
VISITED = tuple(f"visit{number}.example.com" for number in range(5))  # each for a first visit
BODY = 1000
BULK = 200 * 1024 * 1024

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; sendfile on; tcp_nopush off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl reuseport; server_name {host};
    ssl_certificate {folder}/upstream.pem; ssl_certificate_key {folder}/upstream.pem;
    ssl_protocols TLSv1.3; ssl_session_tickets off;
    default_type application/json;
    location / {{ return 200 "{body}"; }}
    location /v1/messages {{  return 200 '{message}'; }}
    location /bulk {{ root {folder}; }}
  }}
}}
"""
TEXT = "".join(f"{number * 7919 % 100_003}: the quick brown fox; " for number in range(60))
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "ok"}], "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_port(port: int, seconds: float = 30.0) -> None:
    """Wait until somebody listens on a port."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.002)
        else:
            return


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError), open(f"/proc/{one}/task/{one}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process and its children have used, as the scheduler counts them."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0]) / 1e9
    return total


def memory(pid: int) -> float:
    """Return the megabytes that a process and its children hold in memory."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError), open(f"/proc/{one}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return total / 1024


class World:
    """Upstreams and load, in a folder of their own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.chmod(folder, 0o755)
        self.certificates = Upstreams(folder)
        self.ca = self.certificates.ca
        self.port = free_port()
        self.events_port = free_port()
        self.load_program = build(folder)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._certificate()
        self._nginx()
        self._events()

    def _certificate(self) -> None:
        """Keep the certificate's file, which the tests' authority removes."""
        kept, path = os.unlink, os.path.join(self.folder, "upstream.pem")
        os.unlink = lambda name: os.replace(name, path)
        try:
            self.certificates.context(HOST, EVENTS, OPAQUE, "127.0.0.1", *VISITED)
        finally:
            os.unlink = kept
        os.chmod(path, 0o644)

    def _nginx(self) -> None:
        program = shutil.which("nginx") or sys.exit("error: nginx is missing: apt-get install nginx-light")
        with open(os.path.join(self.folder, "bulk"), "wb") as file:
            file.truncate(BULK)
        path = os.path.join(self.folder, "nginx.conf")
        text = NGINX.format(
            folder=self.folder, port=self.port, host=HOST, body=TEXT[:BODY], message=json.dumps(MESSAGE)
        )
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.nginx = self.start([program, "-c", path, "-p", self.folder])
        wait_port(self.port)

    def _events(self) -> None:
        script = os.path.join(HERE, "events.py")
        pem = os.path.join(self.folder, "upstream.pem")
        self.start([sys.executable, script, str(self.events_port), pem])
        wait_port(self.events_port)

    def start(self, command: list[str], **more: object) -> subprocess.Popen[bytes]:
        """Start a process that ends with the world."""
        made = subprocess.Popen(command, stdin=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
        self._processes.append(made)
        return made

    def load(self, **options: object) -> dict[str, float]:
        """Run the load generator once."""
        given = [f"{name}={value}" for name, value in options.items()]
        done = subprocess.run([self.load_program, *given], capture_output=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"load {' '.join(given)}: {done.stderr.decode(errors='replace').strip()}")
        return json.loads(done.stdout)

    def close(self) -> None:
        """End all processes."""
        for one in reversed(self._processes):
            end(one)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End one process."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def build(folder: str) -> str:
    """Compile the load generator."""
    program = os.path.join(folder, "load")
    source = os.path.join(HERE, "load.c")
    subprocess.run(["gcc", "-O2", "-o", program, source, "-lssl", "-lcrypto"], check=True)
    return program
