"""Certificates for the hosts that the boundary talks to, signed by the session's own authority.

One P-256 key serves all leaves of a session; a leaf is minted at the first visit of an allowed host and
kept, with its TLS context, among the most recently used.

A leaf has what strict verifiers ask for (Python ≥ 3.13, Go, Java, Apple): subjectAltName, the authority's
key identifier, serverAuth, a beginning in the past, an end within the authority's own.
"""

import os
import ssl
import time
from collections import OrderedDict

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.egress import der, limits
from ringfence.errors import HostError
from ringfence.subject import is_address, packed_address
from ringfence.value import Struct

DAY = 24 * 3600
LIFETIME = 30 * DAY  # a session that lives longer gets new leaves as contexts fall out of the cache
_NAME_LIMIT = 64  # characters of a common name (RFC 5280, ub-common-name)
_KEY_IDENTIFIER = der.oid("2.5.29.14")


class Authority(Struct):
    """The session's certificate authority, read once and never again from disk."""

    certificate: bytes  # DER, as is all of this
    key: ec.EllipticCurvePrivateKey
    name: bytes  # its subject
    identifier: bytes  # its subject key identifier
    begins: str  # YYYYMMDDHHMMSSZ
    ends: str


def load(folder: str, *, keep: bool = False) -> Authority:
    """Read the authority and remove its key from the disk, unless it has to outlast this process."""
    key_path = os.path.join(folder, "ca.key")
    try:
        with open(os.path.join(folder, "ca.pem"), encoding="ascii") as file:
            certificate = ssl.PEM_cert_to_DER_cert(file.read())
        with open(key_path, "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
        if not keep:
            os.unlink(key_path)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise HostError(f"the certificate authority in {folder!r} has a key of the wrong kind")
        return _authority(certificate, key)
    except (OSError, ValueError, IndexError) as error:
        raise HostError(
            f"cannot take the session's certificate authority from {folder!r}: {error}"
        ) from error


def _authority(certificate: bytes, key: ec.EllipticCurvePrivateKey) -> Authority:
    """Take an authority's certificate apart (RFC 5280 §4.1)."""
    ((_, whole, _),) = der.elements(certificate)
    _, _, _, _, validity, subject, _, *optional = der.elements(der.elements(whole)[0][1])
    begins, ends = map(der.time_of, der.elements(validity[1]))
    return Authority(
        certificate=certificate,
        key=key,
        name=subject[2],
        identifier=_identifier(optional),
        begins=begins,
        ends=ends,
    )


def _identifier(optional: list[der.Element]) -> bytes:
    """Return the subject key identifier of a certificate, from what follows its public key."""
    for tag, content, _ in optional:
        if tag != der.CONTEXT | der.CONSTRUCTED | 3:
            continue
        for _, extension, _ in der.elements(der.elements(content)[0][1]):
            name, *_, value = der.elements(extension)
            if name[2] == _KEY_IDENTIFIER:
                return der.elements(value[1])[0][1]
    raise HostError("the session's certificate authority has no subject key identifier")


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
        pem = "".join(map(ssl.DER_cert_to_PEM_cert, chain))
        _load_chain(context, pem.encode("ascii") + self._private)
        return context


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Load certificate and key; the API wants a path, and memory has one that no disk sees."""
    fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def mint(authority: Authority, public_key: ec.EllipticCurvePublicKey, host: str) -> bytes:
    """Return a leaf for one host (RFC 5280 §4.1)."""
    now = time.time()
    common_name = der.element(der.UTF8, host[:_NAME_LIMIT].encode("ascii"))
    to_sign = der.element(
        der.SEQUENCE,
        der.element(der.CONTEXT | der.CONSTRUCTED, der.integer(2)),  # version 3
        der.integer(int.from_bytes(os.urandom(20), "big") >> 1),
        _SIGNED_WITH,
        authority.name,
        der.element(
            der.SEQUENCE,
            der.time(max(_written(now - DAY), authority.begins)),
            der.time(min(_written(now + LIFETIME), authority.ends)),
        ),
        der.element(
            der.SEQUENCE,
            der.element(der.SET, der.element(der.SEQUENCE, der.oid("2.5.4.3"), common_name)),
        ),
        public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        der.element(
            der.CONTEXT | der.CONSTRUCTED | 3,
            der.element(
                der.SEQUENCE,
                _BASIC,
                _USAGE,
                _SERVER,
                _extension(
                    "2.5.29.35",  # whose key signed it
                    der.element(der.SEQUENCE, der.element(der.CONTEXT, authority.identifier)),
                ),
                _extension("2.5.29.17", der.element(der.SEQUENCE, _name(host))),
            ),
        ),
    )
    signature = authority.key.sign(to_sign, ec.ECDSA(hashes.SHA256()))
    return der.element(der.SEQUENCE, to_sign, _SIGNED_WITH, der.element(der.BITS, b"\0", signature))


def _extension(identifier: str, value: bytes, *, critical: bool = False) -> bytes:
    marked = der.element(der.BOOLEAN, b"\xff") if critical else b""
    return der.element(der.SEQUENCE, der.oid(identifier), marked, der.element(der.OCTETS, value))


_SIGNED_WITH = der.element(der.SEQUENCE, der.oid("1.2.840.10045.4.3.2"))  # ecdsa-with-SHA256
_BASIC = _extension("2.5.29.19", der.element(der.SEQUENCE), critical=True)  # no authority
_USAGE = _extension("2.5.29.15", der.element(der.BITS, b"\x07\x80"), critical=True)  # digitalSignature
_SERVER = _extension("2.5.29.37", der.element(der.SEQUENCE, der.oid("1.3.6.1.5.5.7.3.1")))  # serverAuth


def _name(host: str) -> bytes:
    """Return a host as an alternative name: an address or a DNS name."""
    if is_address(host):
        return der.element(der.CONTEXT | 7, packed_address(host))
    return der.element(der.CONTEXT | 2, host.encode("ascii"))


def _written(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))
