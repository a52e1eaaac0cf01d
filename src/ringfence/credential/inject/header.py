"""A secret in one header field, such as `authorization: Bearer …` or `x-api-key: …`."""

from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential


def apply(
    headers: list[tuple[bytes, bytes]], credential: Credential, secret: Secret
) -> list[tuple[bytes, bytes]]:
    """Return the fields without the agent's own credentials and with ours, last."""
    field = credential.header.lower().encode("ascii")
    dropped = {field, *(name.lower().encode("ascii") for name in credential.strip)}
    # A field name may reach us with white space around it only if a parser was lax: compared bare.
    kept = [(name, value) for name, value in headers if name.strip().lower() not in dropped]
    kept.append((field, (credential.prefix + secret.reveal_for_injection()).encode("latin-1")))
    return kept
