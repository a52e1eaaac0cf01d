"""A client certificate: it is shown in the TLS handshake, so nothing of a request changes."""

from ringfence.credential.inject.header import carries, clear, needs_body
from ringfence.credential.inject.outgoing import Outgoing
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

__all__ = ["apply", "carried", "carries", "clear", "needs_body"]


def carried(_credential: Credential) -> tuple[str, ...]:
    """Return no field: the certificate is the connection's."""
    return ()


def apply(_outgoing: Outgoing, _credential: Credential, _secret: Secret) -> None:
    """Leave the request as it is."""
