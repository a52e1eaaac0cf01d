"""A certificate authority of the tests' own, and a server context that has a certificate for any name."""

import datetime as dt
import ipaddress
import os
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Authority:
    """Signs a certificate for every name it is asked for; `ca_file` is what clients have to trust."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.ca_file = os.path.join(folder, "upstream-ca.pem")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "ringfence tests' upstream authority")]
        )
        self._certificate = self._self_signed()
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        os.makedirs(folder, exist_ok=True)
        with open(self.ca_file, "wb") as file:
            file.write(self._certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, default: str = "localhost") -> ssl.SSLContext:
        """Return a context that answers each server name with a certificate for exactly that name."""
        context = self._context_for(default)
        context.sni_callback = self._choose
        return context

    def _choose(self, socket: ssl.SSLSocket, name: str | None, _initial: ssl.SSLContext) -> None:
        if name:
            socket.context = self._context_for(name)

    def _context_for(self, name: str) -> ssl.SSLContext:
        with self._lock:
            if name not in self._contexts:
                self._contexts[name] = self._fresh_context(name)
            return self._contexts[name]

    def _fresh_context(self, name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._leaf(name, key)
        path = os.path.join(self.folder, f"leaf-{len(self._contexts)}.pem")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
            file.write(_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _self_signed(self) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _leaf(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
        return (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]), key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
            .add_extension(purpose, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
