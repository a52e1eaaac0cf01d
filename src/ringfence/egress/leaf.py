"""Certificates for the hosts that the boundary talks to, signed by the session's own authority.

One P-256 key serves all leaves of a session; a leaf is minted at the first visit of an allowed host and
kept, with its TLS context, among the most recently used. The structure is written as DER by hand: it is
one template of which only name, serial and times change, and `cryptography.x509` would cost a third of
the time until the first answer. Signing is `cryptography`'s.

A leaf has what strict verifiers ask for (Python ≥ 3.13, Go, Java, Apple): subjectAltName, the authority's
key identifier, serverAuth, a beginning in the past, an end within the authority's own.
"""

import datetime as dt
import os
import ssl
import time
from collections import OrderedDict

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.egress import limits
from ringfence.errors import HostError
from ringfence.subject import is_address, packed_address
from ringfence.value import Struct

DAY = 86400
LIFETIME = 30 * DAY  # a session that lives longer gets new leaves as contexts fall out of the cache

_SEQUENCE, _SET, _INTEGER, _BITS, _OCTETS, _OID, _BOOLEAN, _UTF8 = (
    0x30,
    0x31,
    0x02,
    0x03,
    0x04,
    0x06,
    0x01,
    0x0C,
)
_UTC_TIME, _GENERAL_TIME = 0x17, 0x18
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("0603550403")
_TRUE = b"\x01\x01\xff"


class Authority(Struct):
    """The session's certificate authority, read once and never again from disk."""

    certificate: bytes  # PEM, to be sent along
    name: bytes  # its subject, DER
    identifier: bytes  # its subject key identifier
    begins: int
    ends: int
    key: ec.EllipticCurvePrivateKey


def load(folder: str) -> Authority:
    """Read the authority and remove its key from the disk."""
    key_path = os.path.join(folder, "ca.key")
    try:
        with open(os.path.join(folder, "ca.pem"), "rb") as file:
            certificate = file.read()
        with open(key_path, "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
        os.unlink(key_path)
    except OSError as error:
        raise HostError(
            f"cannot take the session's certificate authority from {folder!r}: {error}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise HostError(f"the certificate authority in {folder!r} has a key of the wrong kind")
    name, begins, ends, identifier = _read_certificate(ssl.PEM_cert_to_DER_cert(certificate.decode("ascii")))
    return Authority(
        certificate=certificate, name=name, identifier=identifier, begins=begins, ends=ends, key=key
    )


class Contexts:
    """TLS contexts for allowed hosts, one leaf each, least recently used out."""

    def __init__(self, authority: Authority | None) -> None:
        """Without an authority (a policy that lets nothing out needs none) no host has a context."""
        self._authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
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
        context.set_alpn_protocols(["http/1.1"])
        leaf = ssl.DER_cert_to_PEM_cert(mint(self._authority, self._public, host)).encode("ascii")
        _load_chain(context, leaf + self._authority.certificate + self._private)
        return context


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Load certificate and key; the API wants a path, and memory has one that no disk sees."""
    fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def mint(authority: Authority, public_key: bytes, host: str) -> bytes:
    """Return a leaf for one host as DER (RFC 5280 §4.1)."""
    now = int(time.time())
    begins, ends = max(now - DAY, authority.begins), min(now + LIFETIME, authority.ends)
    to_sign = _tlv(
        _SEQUENCE,
        b"\xa0\x03\x02\x01\x02",  # version 3
        _tlv(_INTEGER, b"\x01" + os.urandom(15)),  # positive, unpredictable
        _ECDSA_SHA256,
        authority.name,
        _tlv(_SEQUENCE, _time(begins), _time(ends)),
        _subject(host),
        public_key,
        _tlv(0xA3, _tlv(_SEQUENCE, *_extensions(host, authority.identifier))),
    )
    signature = authority.key.sign(to_sign, ec.ECDSA(hashes.SHA256()))
    return _tlv(_SEQUENCE, to_sign, _ECDSA_SHA256, _tlv(_BITS, b"\0", signature))


def _extensions(host: str, identifier: bytes) -> list[bytes]:
    name = _tlv(0x87, packed_address(host)) if is_address(host) else _tlv(0x82, host.encode("ascii"))
    server_auth = _tlv(_OID, bytes.fromhex("2b06010505070301"))
    return [
        _extension("551d13", _TRUE, _tlv(_SEQUENCE)),  # basicConstraints: not an authority
        _extension("551d0f", _TRUE, bytes.fromhex("03020780")),  # keyUsage: digitalSignature
        _extension("551d25", b"", _tlv(_SEQUENCE, server_auth)),
        _extension("551d23", b"", _tlv(_SEQUENCE, _tlv(0x80, identifier))),  # authorityKeyIdentifier
        _extension("551d11", b"", _tlv(_SEQUENCE, name)),  # subjectAltName
    ]


def _extension(oid: str, critical: bytes, value: bytes) -> bytes:
    return _tlv(_SEQUENCE, _tlv(_OID, bytes.fromhex(oid)), critical, _tlv(_OCTETS, value))


def _subject(host: str) -> bytes:
    """Return a common name, for people; at most 64 characters (RFC 5280, ub-common-name)."""
    name = _tlv(_SEQUENCE, _COMMON_NAME, _tlv(_UTF8, host[:64].encode("ascii")))
    return _tlv(_SEQUENCE, _tlv(_SET, name))


def _time(seconds: int) -> bytes:
    """Return a time; UTCTime until 2049 (RFC 5280 §4.1.2.5)."""
    at = time.gmtime(seconds)
    if at.tm_year < 2050:
        return _tlv(_UTC_TIME, time.strftime("%y%m%d%H%M%SZ", at).encode("ascii"))
    return _tlv(_GENERAL_TIME, time.strftime("%Y%m%d%H%M%SZ", at).encode("ascii"))


def _tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + content


# --- reading the authority's own certificate ----------------------------------------------------


def _read_certificate(der: bytes) -> tuple[bytes, int, int, bytes]:
    """Return subject, beginning, end and subject key identifier."""
    body = _children(_children(der)[0])
    # version, serial, algorithm, issuer, validity, subject, key, extensions
    begins, ends = (_seconds(one) for one in _children(body[4]))
    return body[5], begins, ends, _key_identifier(der)


def _children(der: bytes) -> list[bytes]:
    """Return the elements inside a constructed element, each whole."""
    rest, found = _content(der), []
    while rest:
        size = _size(rest)
        found.append(rest[:size])
        rest = rest[size:]
    return found


def _size(der: bytes) -> int:
    """Return the whole length of the element at the front."""
    if der[1] < 0x80:
        return 2 + der[1]
    width = der[1] & 0x7F
    return 2 + width + int.from_bytes(der[2 : 2 + width], "big")


def _content(der: bytes) -> bytes:
    start = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
    return der[start : _size(der)]


def _seconds(der: bytes) -> int:
    """Read a UTCTime or GeneralizedTime (RFC 5280 §4.1.2.5); strptime would import half of `locale`."""
    digits = _content(der).decode("ascii").removesuffix("Z")
    if der[0] == _UTC_TIME:
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    year, rest = int(digits[:4]), digits[4:]
    month, day, hour, minute, second = (int(rest[at : at + 2]) for at in range(0, 10, 2))
    return int(dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC).timestamp())


def _key_identifier(der: bytes) -> bytes:
    marker = bytes.fromhex("0603551d0e04")  # subjectKeyIdentifier, then an OCTET STRING
    at = der.find(marker)
    if at < 0:
        raise HostError("the session's certificate authority has no subject key identifier")
    return _content(_content(der[at + len(marker) - 1 :]))
