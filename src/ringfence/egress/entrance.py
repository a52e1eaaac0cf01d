"""The listening addresses of a service, and what is spoken at each.

    proxy        HTTP to a proxy, CONNECT and SOCKS 5, told apart by the first byte
    gateway      plain HTTP to one upstream of the policy, as if the gate were that server
    transparent  whatever was on its way to somebody else, redirected here by the network

With `tls:` before an address the first two are spoken inside TLS to the gate itself, where clients may show
a certificate: what an authority of the operator's vouches for in it can say who they are.
"""

import hashlib
import ssl

from ringfence.egress.identity import Address
from ringfence.egress.stream import Stream
from ringfence.egress.tls import TlsStream
from ringfence.errors import HostError
from ringfence.value import Struct

PROXY, GATEWAY, TRANSPARENT = "proxy", "gateway", "transparent"


class Entrance(Struct):
    """One listening address."""

    address: Address
    role: str = PROXY
    gateway: str = ""  # the name of the gateway, in small letters

    @property
    def text(self) -> str:
        """The address as it is written."""
        return self.address.text


class TlsFiles(Struct):
    """What TLS to the gate itself takes: PEM files."""

    certificate: str  # with its chain
    key: str
    client_ca: str = ""  # authorities of clients; with one, nobody gets in without a certificate


class Shell:
    """The gate's own side of TLS, as its files say at one time."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises HostError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        # Invariant: no session is resumed, so that every connection shows its certificate anew.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A wrong password callback, so that an encrypted key is an error and no prompt.
            context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise _unusable(f"{files.certificate} with {files.key}", error) from None
        self.authority = ""  # a digest of the authorities of clients
        if files.client_ca:
            self.authority = _require(context, files.client_ca)
        self.context = context

    def wrap(self, stream: Stream) -> TlsStream:
        """Return TLS on a client's connection; no hands have been shaken yet."""
        return TlsStream(stream, self.context)


def _require(context: ssl.SSLContext, path: str) -> str:
    """Have clients show a certificate by these authorities; returns their digest."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None
    context.verify_mode = ssl.CERT_REQUIRED
    return hashlib.sha256(content).hexdigest()


def _unusable(what: str, error: Exception) -> HostError:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "not as PEM writes it"
    return HostError(
        f"TLS at the gate cannot use {what}: {reason}",
        hint="--tls-cert is a certificate with its chain, --tls-key its unencrypted key, both PEM",
    )


def proofs(stream: TlsStream) -> frozenset[str]:
    """Return what a verified client certificate says of its holder, as identities name it.

    Only subjectAltName counts: a common name is text for people (RFC 9525 §2).
    """
    named, encoded = stream.shown()
    if encoded is None:
        return frozenset()
    kinds = {"DNS": "dns", "URI": "uri", "email": "email", "IP Address": "ip"}
    found = {
        f"{kinds[kind]}:{value if kind == 'URI' else value.lower()}" for kind, value in named if kind in kinds
    }
    return frozenset({*found, f"sha256:{hashlib.sha256(encoded).hexdigest()}"})
