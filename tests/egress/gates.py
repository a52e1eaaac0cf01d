"""The world a gate lives in, for tests: real upstreams over TLS on loopback, and the gate's real process."""

import contextlib
import datetime as dt
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import ringfence
from ringfence.audit.log import Writer
from ringfence.egress.mint import mint
from ringfence.handover import Handover, Listener
from ringfence.policy.model import Credential, EgressRule
from ringfence.value import plain

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(ringfence.__file__)))
BEGIN = "import runpy, sys; sys.path.insert(0, sys.argv[1]); del sys.argv[1];"
RUN = "runpy.run_module('ringfence.egress', run_name='__main__', alter_sys=True)"
START = BEGIN + RUN
WAIT = 10.0  # seconds a test waits for anything


def rule(host, **more):
    return EgressRule(host=host, **more)


class Upstreams:
    """An authority for upstream certificates, and the servers that use it."""

    def __init__(self, folder, name="upstream test authority"):
        self.folder = str(folder)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._authority()
        self.ca = os.path.join(self.folder, "upstream-ca.pem")
        with open(self.ca, "wb") as file:
            file.write(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _authority(self):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=30))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def context(self, *names, expired=False, self_signed=False):
        """Return a server context with a certificate for these names."""
        path = self.pem(*names, expired=expired, self_signed=self_signed)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        os.unlink(path)
        return context

    def pem(self, *names, expired=False, self_signed=False):
        """Return the path of a file with a certificate for these names and its key."""
        now = dt.datetime.now(dt.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=20))
            .not_valid_after(now - dt.timedelta(days=10) if expired else now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        made = builder.sign(key if self_signed else self.key, hashes.SHA256())
        path = os.path.join(self.folder, f"{x509.random_serial_number():x}.pem")
        with open(path, "wb") as file:
            file.write(made.public_bytes(serialization.Encoding.PEM))
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return path


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Upstream:
    """A server on loopback that records every byte and answers each request with what it is told to.

    `answer` is bytes, or a function of (socket, head, body) that does as it likes; False ends the connection.
    """

    def __init__(self, context=None, answer=OK, family=socket.AF_INET):
        self.context = context
        self.answer = answer
        self.requests = []  # (head, body as sent) of every whole request
        self.pieces = []  # every piece of plain bytes as it arrived
        self.handshakes = 0
        self.ended = 0  # connections whose end was seen
        self._stop = False
        self._sock = socket.create_server(
            ("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family
        )
        self.port = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def seen(self):
        return b"".join(self.pieces)

    @property
    def heads(self):
        """Return the heads of the whole requests seen, without the empty line."""
        return [head.removesuffix(b"\r\n\r\n") for head, _ in self.requests]

    def clear(self):
        self.requests.clear()
        self.pieces.clear()
        self.ended = self.handshakes = 0

    def close(self):
        self._stop = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(WAIT)

    def _run(self):
        while not self._stop:
            try:
                raw, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        raw.settimeout(WAIT)
        # As servers do: else the first answer waits 40 ms behind the session tickets (Nagle, delayed ACK).
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock = raw if self.context is None else self.context.wrap_socket(raw, server_side=True)
            self.handshakes += 1
            with sock:
                self._converse(sock)
        except (OSError, ssl.SSLError):
            raw.close()
        finally:
            self.ended += 1

    def _converse(self, sock):
        held = b""
        while True:
            while b"\r\n\r\n" not in held:
                data = self._more(sock)
                if not data:
                    return
                held += data
            head, _, held = held.partition(b"\r\n\r\n")
            head += b"\r\n\r\n"
            body, held = self._body(sock, head, held)
            self.requests.append((head, body))
            if callable(self.answer):
                if self.answer(sock, head, body) is False:
                    return
            else:
                sock.sendall(self.answer)

    def _body(self, sock, head, held):
        """Return the body's bytes and what follows, by the simplest honest reading of the head."""
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            while not (held.startswith(b"0\r\n\r\n") or b"\r\n0\r\n\r\n" in held):
                held += self._more(sock, needed=True)
            end = 5 if held.startswith(b"0\r\n") else held.index(b"\r\n0\r\n\r\n") + 7
            return held[:end], held[end:]
        length = int(lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0] or 0)
        while len(held) < length:
            held += self._more(sock, needed=True)
        return held[:length], held[length:]

    def _more(self, sock, needed=False):
        data = sock.recv(65536)
        self.pieces.append(data)
        if needed and not data:
            raise OSError("cut")
        return data


class Running:
    """A gate's process under a policy."""

    def __init__(
        self, folder, *, environment=None, credentials=(), launch=None, listeners=None, limits=None, **policy
    ):
        """`limits` are limits of the gate's, by name, to be reached sooner than in earnest."""
        lowered = f"import ringfence.egress.limits as limits; vars(limits).update({limits or {}!r});"
        self.folder = str(folder)
        self.audit_path = os.path.join(self.folder, "audit.jsonl")
        with Writer.create(self.audit_path, "test-session") as log:
            log.append("start", command=["test"])
        ready = os.path.join(self.folder, "ready")
        self.authority = mint(os.path.join(self.folder, "authorities"))
        self.ca = os.path.join(self.authority, "ca.pem")
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = self.sock.getsockname()
        read, self._control = os.pipe()
        secrets = None
        if environment is not None:
            secrets = os.memfd_create("secrets")
            os.write(secrets, json.dumps(environment).encode())
        handover = Handover(
            **{
                "session": "test-session",
                "policy_digest": "0" * 64,
                "listeners": (Listener(fd=self.sock.fileno(), kind="proxy"),),
                "dns_fd": None,
                "control_fd": read,
                "secrets_fd": secrets,
                "vend_fd": None,
                "audit_path": self.audit_path,
                "authority_dir": self.authority,
                "ready_dir": ready,
                "allow": (),
                "ask": (),
                "deny": (),
                "splice": (),
                "static": (),
                "extra_ca": (),
                "credentials": tuple(credentials),
                "gateways": (),
                "publish": (),
                "gate_address": "127.0.0.1",
                "proxy_port": self.address[1],
                **({"listeners": listeners} if listeners else {}),
                **policy,
            }
        )
        fd = os.memfd_create("handover")
        os.write(fd, json.dumps(plain(handover)).encode())
        fds = [fd, read, *(one.fd for one in handover.listeners)]
        fds += [one for one in (secrets, handover.dns_fd, handover.vend_fd) if one is not None]
        self.stderr_path = os.path.join(self.folder, "egress.err")
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", START.replace(RUN, lowered + RUN), SOURCE, str(fd)],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                **{"env": {}, **(launch or {})},
            )
        for one in (fd, read, *([secrets] if secrets is not None else [])):
            os.close(one)
        self.sock.close()

    @property
    def stderr(self):
        with open(self.stderr_path, encoding="utf-8") as file:
            return file.read()

    def records(self, kind=None):
        """Return the audit log so far."""
        with open(self.audit_path, encoding="utf-8") as file:
            found = [json.loads(line) for line in file if line.endswith("\n")]
        return [one for one in found if kind is None or one["kind"] == kind]

    def wait_for(self, kind, count=1, **fields):
        """Wait until the log holds that many such records, and return them."""
        until = time.monotonic() + WAIT
        while True:
            found = [one for one in self.records(kind) if all(one.get(k) == v for k, v in fields.items())]
            if len(found) >= count:
                return found
            assert time.monotonic() < until, f"no {kind} {fields} in {self.records()}"
            time.sleep(0.01)

    def stop(self):
        """End it the way the launcher does; returns its exit status."""
        if self._control is not None:
            os.close(self._control)
            self._control = None
        try:
            return self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(WAIT)
            raise

    # --- clients

    def plain(self):
        """Return a connection to the proxy port."""
        return socket.create_connection(self.address, WAIT)

    def converse(self, *pieces, end=False):
        """Send raw bytes to the proxy port and return all that comes back."""
        with self.plain() as sock:
            for piece in pieces:
                sock.sendall(piece)
            if end:
                sock.shutdown(socket.SHUT_WR)
            return drain(sock)

    def connect(self, authority, sni=None, context=None, ca=None):
        """Open a tunnel and TLS in it; returns the TLS socket."""
        sock = self.plain()
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin-1"))
        answer = read_head(sock)
        if not answer.startswith(b"HTTP/1.1 200 "):
            answer += drain(sock)
            sock.close()
            raise RefusedError(answer)
        host = sni or authority.rpartition(":")[0].strip("[]")
        context = context or ssl.create_default_context(cafile=ca or self.ca)
        return context.wrap_socket(sock, server_hostname=host)

    def tunnelled(self, authority, *pieces, sni=None):
        """Send raw bytes inside TLS inside CONNECT; returns what came back until the end or a pause."""
        with self.connect(authority, sni=sni) as sock:
            for piece in pieces:
                sock.sendall(piece)
            return drain(sock)

    def ask(self, authority, method="GET", path="/", headers=(), body=b"", *, sni=None):
        """Make one clean request in a tunnel; returns (status, headers, body)."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {authority.removesuffix(':443')}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
        return parse(self.tunnelled(authority, raw, sni=sni))


class RefusedError(Exception):
    """A CONNECT that was refused; the whole answer is the argument."""

    @property
    def answer(self):
        return self.args[0]


def read_head(sock):
    """Read up to the empty line, byte by byte so that nothing behind it is taken."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        data += byte
    return data


def drain(sock):
    """Read to the end."""
    data = b""
    while True:
        try:
            more = sock.recv(65536)
        except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
            return data
        if not more:
            return data
        data += more


def parse(answer):
    """Split one response into status, headers (lower-case names) and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = int(lines[0].split(" ")[1]) if lines[0] else 0
    return status, headers, dechunk(body) if headers.get("transfer-encoding") == "chunked" else body


def dechunk(body):
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        out += rest[:count]
        body = rest[count + 2 :]
    return out


def credential(host, **more):
    given = {"name": "test", "source": "env:TEST_KEY", "host": host, **more}
    return Credential(**given)
