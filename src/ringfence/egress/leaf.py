"""Certificates for the hosts that the boundary talks to, signed by the session's own authority.

One P-256 key serves all leaves of a session; a leaf is minted at the first visit of an allowed host and
kept, with its TLS context, among the most recently used.

A leaf has what strict verifiers ask for (Python ≥ 3.13, Go, Java, Apple): subjectAltName, the authority's
key identifier, serverAuth, a beginning in the past, an end within the authority's own.
"""

import datetime as dt
import ipaddress
import os
import ssl
from collections import OrderedDict

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringfence.egress import limits
from ringfence.errors import HostError
from ringfence.subject import is_address
from ringfence.value import Struct

DAY = dt.timedelta(days=1)
LIFETIME = 30 * DAY  # a session that lives longer gets new leaves as contexts fall out of the cache
_NAME_LIMIT = 64  # characters of a common name (RFC 5280, ub-common-name)


class Authority(Struct):
    """The session's certificate authority, read once and never again from disk."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def load(folder: str, *, keep: bool = False) -> Authority:
    """Read the authority and remove its key from the disk, unless it is to `keep` for another start."""
    key_path = os.path.join(folder, "ca.key")
    try:
        with open(os.path.join(folder, "ca.pem"), "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        with open(key_path, "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
        if not keep:
            os.unlink(key_path)
    except (OSError, ValueError) as error:
        raise HostError(
            f"cannot take the session's certificate authority from {folder!r}: {error}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise HostError(f"the certificate authority in {folder!r} has a key of the wrong kind")
    return Authority(certificate=certificate, key=key)


class Contexts:
    """TLS contexts for allowed hosts, one leaf each, least recently used out."""

    def __init__(self, authority: Authority | None) -> None:
        """Without an authority (a policy that lets nothing out needs none) no host has a context."""
        self._authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._public = self._key.public_key()
        self._private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._kept: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    def get(self, host: str) -> ssl.SSLContext:
        """Return the context for a canonical host that has been allowed."""
        found = self._kept.get(host)
        if found is not None:
            self._kept.move_to_end(host)
            return found
        context = self._kept[host] = self._make(host)
        if len(self._kept) > limits.CONTEXTS:
            self._kept.popitem(last=False)
        return context

    def _make(self, host: str) -> ssl.SSLContext:
        if self._authority is None:
            raise HostError(f"no certificate for {host}: this session was given no authority")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        # One ticket: a server that sends nothing after the client's Finished makes clients without
        # TCP_NODELAY wait 40 ms for its ACK. Each host's context has ticket keys of its own, and every
        # hello is judged, resumed or not.
        context.num_tickets = 1
        context.set_alpn_protocols(["h2", "http/1.1"])  # clients that prefer HTTP/2, such as gRPC, get it
        chain = (mint(self._authority, self._public, host), self._authority.certificate)
        pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
        _load_chain(context, pem + self._private)
        return context


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Load certificate and key; the API wants a path, and memory has one that no disk sees."""
    fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def mint(authority: Authority, public_key: ec.EllipticCurvePublicKey, host: str) -> x509.Certificate:
    """Return a leaf for one host."""
    now, issuer = dt.datetime.now(dt.UTC), authority.certificate
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:_NAME_LIMIT])]))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - DAY, issuer.not_valid_before_utc))
        .not_valid_after(min(now + LIFETIME, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_identifier(issuer), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(host)]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


_DIGITAL_SIGNATURE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        raise HostError("the session's certificate authority has no subject key identifier") from None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(host)) if is_address(host) else x509.DNSName(host)
