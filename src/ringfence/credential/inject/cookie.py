"""A secret in one cookie; the agent's other cookies travel on.

Servers disagree about quotes and commas in Cookie (RFC 2109 against RFC 6265), so a piece in which any
of them would find the credential's cookie is removed.
"""

from ringfence.credential.inject.header import needs_body
from ringfence.credential.inject.outgoing import Fields, Outgoing
from ringfence.credential.secret import Secret, SourceError
from ringfence.policy.model import Credential

__all__ = ["apply", "carried", "carries", "clear", "needs_body", "returned"]


def carried(_credential: Credential) -> tuple[str, ...]:
    """Return no field: Cookie also holds what is not ours."""
    return ()


def carries(credential: Credential, fields: Fields, _query: str) -> bool:
    """Say whether the agent sends a cookie of that name."""
    return any(_is_named(one, credential) for one in _pieces(fields))


def clear(outgoing: Outgoing, credential: Credential) -> None:
    """Remove the agent's own cookie of that name; the others become one field."""
    pieces = _pieces(outgoing.fields)
    if not pieces:
        return
    kept = [one for one in pieces if not _is_named(one, credential)]
    outgoing.drop(b"cookie")
    if kept:
        outgoing.fields.append((b"cookie", b"; ".join(kept)))


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Add the cookie to the agent's others."""
    value = secret.reveal_for_injection().encode("latin-1")
    if any(byte in b' ",;\\' for byte in value):
        raise SourceError(
            f"the secret from `{credential.source}` holds a character that no cookie can carry",
            hint="store the cookie's value alone, as the server set it",
        )
    clear(outgoing, credential)
    kept = outgoing.values(b"cookie")
    outgoing.drop(b"cookie")
    outgoing.fields.append((b"cookie", b"; ".join([*kept, credential.field.encode() + b"=" + value])))


def returned(fields: Fields, credential: Credential) -> Fields:
    """Return an answer's fields without a new value for the cookie: that would be a secret too."""
    return [
        (name, value)
        for name, value in fields
        if name.lower() not in {b"set-cookie", b"set-cookie2"} or not _is_named(value, credential)
    ]


def _pieces(fields: Fields) -> list[bytes]:
    found = [value for name, value in fields if name.strip().lower() == b"cookie"]
    return [one.strip() for value in found for one in value.split(b";") if one.strip()]


def _is_named(piece: bytes, credential: Credential) -> bool:
    name = credential.field.encode().lower()
    parts = piece.replace(b'"', b",").split(b",")
    return any(part.partition(b"=")[0].strip().lower().lstrip(b"$") == name for part in parts)
