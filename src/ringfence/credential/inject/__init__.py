"""How a secret gets into a request: one kind a file, one line in the table.

Header fields are `(name, value)` pairs of bytes in the order of the request. What the agent itself put
where the secret goes is removed first, every copy of it, whatever its spelling; where that cannot be
told apart from the rest the request is refused (`UnfitError`). So a key of another account's never rides
on a host that has a credential.
"""

import base64

from ringfence.credential.inject import (
    authorization,
    aws,
    cookie,
    header,
    mtls,
    placeholder,
    query,
)
from ringfence.credential.inject.outgoing import Outgoing, UnfitError
from ringfence.credential.secret import Secret
from ringfence.policy import kinds
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ringfence.credential.inject.outgoing import Fields

    class Way(Protocol):
        """What a kind's file holds."""

        def carried(self, credential: Credential) -> tuple[str, ...]:
            """Return the names of the header fields that carry such a credential: removed whole."""

        def carries(self, credential: Credential, fields: Fields, query: str) -> bool:
            """Say whether the agent's own stands in its place, beside those fields."""

        def clear(self, outgoing: Outgoing, credential: Credential) -> None:
            """Remove the agent's own from its place, beside those fields."""

        def needs_body(self, outgoing: Outgoing, credential: Credential) -> bool:
            """Say whether `apply` needs the whole body."""

        def apply(self, outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
            """Put the secret in."""


__all__ = [
    "BODIES",
    "WAYS",
    "Outgoing",
    "UnfitError",
    "apply",
    "carried",
    "carries",
    "clear",
    "in_body",
    "in_header",
    "in_one_field",
    "needs_body",
    "parts",
    "wanted",
]

BODIES = frozenset({kinds.PLACEHOLDER, kinds.AWS})  # kinds that may have to see the body to be put in
WAYS: "dict[str, Way]" = {
    kinds.HEADER: header,
    kinds.BEARER: header,
    kinds.OAUTH: header,
    kinds.GOOGLE: header,
    kinds.BASIC: authorization,
    kinds.GIT: authorization,
    kinds.GITHUB_APP: authorization,
    kinds.QUERY: query,
    kinds.COOKIE: cookie,
    kinds.PLACEHOLDER: placeholder,
    kinds.AWS: aws,
    kinds.MTLS: mtls,
}


def carried(credential: Credential) -> tuple[str, ...]:
    """Return the names of the header fields that carry a credential, in small letters."""
    names = (*WAYS[credential.kind].carried(credential), *credential.strip)
    return tuple(name.lower() for name in names)


def carries(credential: Credential, fields: "Fields", query: str) -> bool:
    """Say whether a request brings something of the agent's own in a credential's place."""
    names = {name.encode("ascii") for name in carried(credential)}
    if any(name.strip().lower() in names for name, _ in fields):
        return True
    return WAYS[credential.kind].carries(credential, fields, query)


def wanted(credential: Credential, path: str, query: str) -> bool:
    """Say whether a credential goes into requests for a path: one for git goes to git's own only."""
    return credential.kind != kinds.GIT or authorization.is_git(path, query)


def clear(outgoing: Outgoing, credential: Credential) -> None:
    """Remove what the agent brings in a credential's place, beside the header fields that carry it."""
    WAYS[credential.kind].clear(outgoing, credential)


def in_header(credential: Credential) -> tuple[str, ...]:
    """Return the header fields in which a placeholder is replaced: as trailers none of them travels."""
    return tuple(one[7:] for one in credential.places if one[:7] == "header:")


def in_body(credential: Credential) -> bool:
    """Say whether a credential's place may lie in the body."""
    return credential.kind == kinds.PLACEHOLDER and placeholder.in_body(credential)


def in_one_field(credential: Credential) -> bool:
    """Say whether a credential is one header field, whatever the request."""
    return WAYS[credential.kind] is header


def needs_body(outgoing: Outgoing, credential: Credential) -> bool:
    """Say whether the whole body has to be there before a credential can be put in."""
    return WAYS[credential.kind].needs_body(outgoing, credential)


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Put a credential into a request."""
    WAYS[credential.kind].apply(outgoing, credential, secret)


def parts(credential: Credential, secret: Secret) -> tuple[Secret, ...]:
    """Return everything of a secret that must not come back in an answer."""
    if credential.kind == kinds.AWS:
        keys = aws.keys_of(credential, secret)
        return tuple(Secret(one, credential.source) for one in (keys.secret, keys.token) if one)
    if credential.kind == kinds.MTLS:
        return ()
    if credential.kind in {kinds.BASIC, kinds.GIT, kinds.GITHUB_APP}:
        pair = authorization.pair(credential, secret)
        encoded = base64.b64encode(pair.encode()).decode()
        return secret, *_password(pair, credential), Secret(encoded, credential.source)
    return (secret,)


def _password(pair: str, credential: Credential) -> tuple[Secret, ...]:
    """Return the password alone: an answer may show it without its user."""
    found = pair.partition(":")[2]
    return (Secret(found, credential.source),) if found else ()
