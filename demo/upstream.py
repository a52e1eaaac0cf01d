"""A small HTTPS API on loopback that answers only to its key, with a certificate authority of its own.

    python demo/upstream.py FOLDER

Reads the key from FOLDER/key, writes FOLDER/ca.pem, prints its port, and notes every request in
FOLDER/requests: which key it carried (by name, not by value). Ends when its standard input does.
"""

import datetime as dt
import http.server
import json
import os
import ssl
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "api.example.test"


class Api(http.server.BaseHTTPRequestHandler):
    """Reviews what it is sent, for whoever has the key."""

    protocol_version = "HTTP/1.1"
    key = ""
    notes = ""

    def do_POST(self) -> None:
        """Answer with a review, or with 401."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        carried = self.headers.get_all("authorization") or []
        known = carried == [f"Bearer {self.key}"]
        with open(self.notes, "a", encoding="utf-8") as file:
            file.write(json.dumps({"path": self.path, "key": "ours" if known else "another"}) + "\n")
        if known:
            self.answer(200, {"review": f"{len(body)} bytes read: multiply before you subtract. Approved."})
        else:
            self.answer(401, {"error": "unknown key"})

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def answer(self, status: int, reply: dict[str, str]) -> None:
        """Send JSON."""
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the notes hold it."""


def certificates(folder: str) -> str:
    """Write an authority and a certificate of it for NAME; return the path of the latter with its key."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo authority")])
    root = (
        certificate(issuer, issuer, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    leaf = (
        certificate(subject, issuer, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    with open(os.path.join(folder, "ca.pem"), "wb") as file:
        file.write(root.public_bytes(serialization.Encoding.PEM))
    path = os.path.join(folder, "server.pem")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        file.write(leaf.public_bytes(serialization.Encoding.PEM))
    return path


def certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """Begin a certificate that is valid for a day."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def main(folder: str) -> None:
    """Serve until standard input ends."""
    with open(os.path.join(folder, "key"), encoding="utf-8") as file:
        Api.key = file.read().strip()
    Api.notes = os.path.join(folder, "requests")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
