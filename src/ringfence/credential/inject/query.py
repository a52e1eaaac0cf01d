"""A secret in one query key, such as `?key=…`.

Servers disagree about what a query is: some split it at `;` too, some decode twice, some ignore case or
take `key[]` for `key`. A pair that any of them would read as the credential's key is removed.
"""

from urllib.parse import quote, unquote_plus

from ringfence.credential.inject.header import needs_body
from ringfence.credential.inject.outgoing import Fields, Outgoing
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

__all__ = ["apply", "carried", "carries", "clear", "is_named", "needs_body"]


def carried(_credential: Credential) -> tuple[str, ...]:
    """Return no field: the place is the query."""
    return ()


def carries(credential: Credential, _fields: Fields, query: str) -> bool:
    """Say whether the agent sends a value of its own for the key."""
    return any(is_named(pair, credential.field) for pair in query[1:].split("&"))


def clear(outgoing: Outgoing, credential: Credential) -> None:
    """Remove the agent's own values for the key."""
    if outgoing.query:
        kept = [pair for pair in outgoing.query[1:].split("&") if not is_named(pair, credential.field)]
        outgoing.query = "?" + "&".join(kept) if kept and kept != [""] else ""


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Put the key last."""
    clear(outgoing, credential)
    pair = f"{credential.field}={quote(secret.reveal_for_injection(), safe='', encoding='latin-1')}"
    outgoing.query = f"{outgoing.query}&{pair}" if outgoing.query else f"?{pair}"


def is_named(pair: str, name: str) -> bool:
    """Say whether any server would read a pair, or a part of it, as a value for the name."""
    return any(_bare(one.partition("=")[0]) == name.lower() for one in _split(pair))


def _split(pair: str) -> list[str]:
    """Split a pair as lax servers do: at `;` as well, also where it or `&` is encoded."""
    return [one for text in _readings(pair) for one in text.replace(";", "&").split("&")]


def _readings(text: str) -> list[str]:
    found = [text]
    for _ in range(3):
        text = unquote_plus(text)
        found.append(text)
    return found


def _bare(name: str) -> str:
    """Return a key without what servers leave out of it."""
    return name.partition("[")[0].partition("\0")[0].strip().lower()
