"""A secret in one header field, such as `authorization: Bearer …` or `x-api-key: …`."""

from functools import lru_cache

from ringfence.credential.inject.outgoing import Fields, Outgoing
from ringfence.credential.secret import Secret
from ringfence.policy import kinds
from ringfence.policy.model import Credential

_BEARER = frozenset({kinds.BEARER, kinds.OAUTH, kinds.GOOGLE})


def carried(credential: Credential) -> tuple[str, ...]:
    """Return the header field."""
    return (credential.header,)


def carries(_credential: Credential, _fields: Fields, _query: str) -> bool:
    """Say no: there is no other place."""
    return False


def clear(_outgoing: Outgoing, _credential: Credential) -> None:
    """Leave the rest as it is."""


def needs_body(_outgoing: Outgoing, _credential: Credential) -> bool:
    """Say no: only the head changes."""
    return False


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Put the field last, in place of whatever carried one of the agent's own."""
    field, *others = _names(credential.header, credential.strip)
    # A field name may reach us with white space around it only if a parser was lax: compared bare.
    outgoing.drop(field, *others)
    prefix = credential.prefix or ("Bearer " if credential.kind in _BEARER else "")
    value = (prefix + secret.reveal_for_injection()).encode("latin-1")
    outgoing.fields = [*outgoing.fields, (field, value)]


@lru_cache(maxsize=256)
def _names(header: str, strip: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the field's name and those that are stripped, as they are compared."""
    return tuple(name.lower().encode("ascii") for name in (header, *strip))
