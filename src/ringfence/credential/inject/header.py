"""A secret in one header field, such as `authorization: Bearer …` or `x-api-key: …`."""

from ringfence.credential.inject.outgoing import Outgoing
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Put the field last, in place of whatever carried one of the agent's own."""
    field = credential.header.lower().encode("ascii")
    dropped = {field, *(name.lower().encode("ascii") for name in credential.strip)}
    # A field name may reach us with white space around it only if a parser was lax: compared bare.
    kept = [one for one in outgoing.fields if one[0].strip().lower() not in dropped]
    kept.append((field, (credential.prefix + secret.reveal_for_injection()).encode("latin-1")))
    outgoing.fields = kept
