"""Certificates for the hosts that the boundary talks to, signed by the session's own authority.

One P-256 key serves all leaves of a session; a leaf is minted at the first visit of an allowed host and
kept among the most recently used.

What a first visit costs is OpenSSL's set-up, not the signature: a context 0.1 ms, reading the leaf 0.1, and
reading a key 0.4, because OpenSSL 3.0 looks for decoders of every kind of key each time. Most hosts are
visited once, so first visits share one context that has the key: it is given the host's leaf, and the
handshake is begun before anything else runs. A host that is visited again gets a context of its own.

A ticket opens what the context that gave it opens, and a session is looked for there too. Neither looks at
the host. So each first visit begins in a context of its own without leaf or key, whose ticket keys and
sessions end with it, and borrows leaf and key of the shared one: nothing of it is resumed anywhere.

The authority's own certificate is not sent (RFC 8446 §4.4.2): whoever trusts it has it.

A leaf has what strict verifiers ask for (Python ≥ 3.13, Go, Java, Apple): subjectAltName, the authority's
key identifier, serverAuth, a beginning in the past, an end within the authority's own.
"""

import base64
import contextlib
import os
import ssl
import time
from collections import OrderedDict

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence.egress import der, limits
from ringfence.errors import HostError
from ringfence.subject import is_address, packed_address
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DAY = 24 * 3600
LIFETIME = 30 * DAY  # a session that lives longer gets new leaves as contexts fall out of the cache
_NAME_LIMIT = 64  # characters of a common name (RFC 5280, ub-common-name)
_KEY_IDENTIFIER = der.oid("2.5.29.14")
_COMMON_NAME = der.oid("2.5.4.3")
_KEY_BEGIN, _KEY_END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
_P256 = der.element(der.SEQUENCE, der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7"))


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
        with open(key_path, encoding="ascii") as file:
            key = read_key(file.read())
        if not keep:
            os.unlink(key_path)
        return _authority(certificate, key)
    except (OSError, ValueError, IndexError) as error:
        raise HostError(
            f"cannot take the session's certificate authority from {folder!r}: {error}"
        ) from error


def read_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key as `mint` writes it (PKCS 8, RFC 5958 §2; RFC 5915 §3); ValueError for any other."""
    content = pem.partition(_KEY_BEGIN)[2].partition(_KEY_END)[0]
    ((_, whole, _),) = der.elements(base64.b64decode(content))
    _, algorithm, (_, inner, _), *_ = der.elements(whole)
    if algorithm[2] != _P256:
        raise ValueError("its key is of the wrong kind")
    ((_, private, _),) = der.elements(inner)
    return ec.derive_private_key(int.from_bytes(der.elements(private)[1][1], "big"), ec.SECP256R1())


def write_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Write a P-256 key as PKCS 8."""
    number = key.private_numbers().private_value.to_bytes(32, "big")
    private = der.element(der.SEQUENCE, der.integer(1), der.element(der.OCTETS, number))
    whole = der.element(der.SEQUENCE, der.integer(0), _P256, der.element(der.OCTETS, private))
    return f"{_KEY_BEGIN}\n{base64.b64encode(whole).decode()}\n{_KEY_END}\n"


def public_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half as a certificate holds it (RFC 5480 §2)."""
    point = key.public_key().public_numbers()
    pair = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    return der.element(der.SEQUENCE, _P256, der.element(der.BITS, b"\0\x04", pair))


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
        key = ec.generate_private_key(ec.SECP256R1())
        self._public = public_key(key)
        self._private = write_key(key)
        self._first: ssl.SSLContext | None = None  # for first visits
        self._kept: OrderedDict[str, ssl.SSLContext | str] = OrderedDict()  # a leaf alone: visited once

    def get(self, host: str) -> ssl.SSLContext:
        """Return the context for one connection to a canonical host that has been allowed.

        The connection has to be made from it at once: the next call may give it another leaf.
        """
        found = self._kept.get(host)
        if found is None:
            return self._visit(host)
        self._kept.move_to_end(host)
        if isinstance(found, str):
            found = self._kept[host] = _context(found, self._private)
        return found

    def _visit(self, host: str) -> ssl.SSLContext:
        if self._authority is None:
            raise HostError(f"no certificate for {host}: this session was given no authority")
        leaf = ssl.DER_cert_to_PEM_cert(mint(self._authority, self._public, host))
        self._kept[host] = leaf
        if len(self._kept) > limits.CONTEXTS:
            self._kept.popitem(last=False)
        if self._first is None:
            self._first = _context(leaf, self._private)
        else:
            _show(self._first, leaf)
        once = _Once(ssl.PROTOCOL_TLS_SERVER)
        once.shown = self._first
        return _prepared(once)


class _Once(ssl.SSLContext):
    """The context of one connection, with another's leaf and key: no session outlives it."""

    shown: ssl.SSLContext

    def wrap_bio(self, *given: "Any", **named: "Any") -> ssl.SSLObject:
        """Begin the connection."""
        made = super().wrap_bio(*given, **named)
        # SSL_set_SSL_CTX(3): leaf, key and ALPN are the other's; ticket keys and sessions stay our own.
        made.context = self.shown
        return made


def _context(leaf: str, key: str) -> ssl.SSLContext:
    """Return a context that shows a leaf."""
    context = _prepared(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    with _file(leaf + key) as path:
        context.load_cert_chain(path)
    return context


def _prepared(context: ssl.SSLContext) -> ssl.SSLContext:
    """Set what every context has."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    # One ticket: a server that sends nothing after the client's Finished makes clients without
    # TCP_NODELAY wait 40 ms for its ACK. Every hello is judged, resumed or not.
    context.num_tickets = 1
    context.set_alpn_protocols(["h2", "http/1.1"])  # clients that prefer HTTP/2, such as gRPC, get it
    return context


def _show(context: ssl.SSLContext, leaf: str) -> None:
    """Have a context show another leaf of the same key.

    load_cert_chain takes the certificate first and then the key, and there is no key in a file without a
    name: the context has the new leaf and keeps its key, which OpenSSL checks against the leaf. Were it
    otherwise, the client would be shown another host's leaf and refuse it.
    """
    with _file(leaf) as path, contextlib.suppress(FileNotFoundError):
        context.load_cert_chain(path, "")


@contextlib.contextmanager
def _file(text: str) -> "Iterator[str]":
    """Keep a text in a file for a while; the API wants a path, and memory has one that no disk sees."""
    fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode("ascii"))
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def mint(authority: Authority, public: bytes, host: str) -> bytes:
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
            der.element(der.SET, der.element(der.SEQUENCE, _COMMON_NAME, common_name)),
        ),
        public,
        der.element(
            der.CONTEXT | der.CONSTRUCTED | 3,
            der.element(
                der.SEQUENCE,
                _BASIC,
                _USAGE,
                _SERVER,
                _extension(
                    _SIGNED_BY, der.element(der.SEQUENCE, der.element(der.CONTEXT, authority.identifier))
                ),
                _extension(_NAMES, der.element(der.SEQUENCE, _name(host))),
            ),
        ),
    )
    signature = authority.key.sign(to_sign, ec.ECDSA(hashes.SHA256()))
    return der.element(der.SEQUENCE, to_sign, _SIGNED_WITH, der.element(der.BITS, b"\0", signature))


def _extension(identifier: bytes, value: bytes, *, critical: bool = False) -> bytes:
    marked = der.element(der.BOOLEAN, b"\xff") if critical else b""
    return der.element(der.SEQUENCE, identifier, marked, der.element(der.OCTETS, value))


_SIGNED_BY, _NAMES = der.oid("2.5.29.35"), der.oid("2.5.29.17")
_SIGNED_WITH = der.element(der.SEQUENCE, der.oid("1.2.840.10045.4.3.2"))  # ecdsa-with-SHA256
_BASIC = _extension(der.oid("2.5.29.19"), der.element(der.SEQUENCE), critical=True)  # no authority
_USAGE = _extension(
    der.oid("2.5.29.15"), der.element(der.BITS, b"\x07\x80"), critical=True
)  # digitalSignature
_SERVER = _extension(
    der.oid("2.5.29.37"), der.element(der.SEQUENCE, der.oid("1.3.6.1.5.5.7.3.1"))
)  # serverAuth


def _name(host: str) -> bytes:
    """Return a host as an alternative name: an address or a DNS name."""
    if is_address(host):
        return der.element(der.CONTEXT | 7, packed_address(host))
    return der.element(der.CONTEXT | 2, host.encode("ascii"))


def _written(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))
