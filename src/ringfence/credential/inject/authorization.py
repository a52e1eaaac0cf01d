"""User and password in `authorization: Basic …` (RFC 7617); a GitHub App's token as its two sides want it.

git asks without a credential first and sends one only after a 401. The gate puts it in at once, so the
agent's git never needs to know that there is one.
"""

import base64

from ringfence.credential.inject.header import carries, clear, needs_body
from ringfence.credential.inject.outgoing import Outgoing
from ringfence.credential.secret import Secret
from ringfence.policy import kinds
from ringfence.policy.model import Credential

__all__ = ["apply", "carried", "carries", "clear", "is_git", "needs_body", "pair"]

TOKEN_USER = "x-access-token"  # noqa: S105 - the user's name that GitHub documents for installation tokens


def carried(_credential: Credential) -> tuple[str, ...]:
    """Return the header field."""
    return ("authorization",)


def is_git(path: str, query: str) -> bool:
    """Say whether a request is one of git's smart HTTP protocol, or of its large files'."""
    if path.endswith("/info/refs"):
        return "service=git-" in query
    return path.endswith(("/git-upload-pack", "/git-receive-pack")) or "/info/lfs/" in path


def pair(credential: Credential, secret: Secret) -> str:
    """Return `user:password`; without a user in the policy the secret is both, where it can be."""
    value = secret.reveal_for_injection()
    if credential.user:
        return f"{credential.user}:{value}"
    if credential.kind == kinds.BASIC or (credential.kind == kinds.GIT and ":" in value):
        return value if ":" in value else f"{value}:"
    return f"{TOKEN_USER}:{value}"


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Put the field last, in place of the agent's own."""
    outgoing.drop(b"authorization", *(name.lower().encode("ascii") for name in credential.strip))
    if credential.kind == kinds.GITHUB_APP and not is_git(outgoing.path, outgoing.query):
        value = f"Bearer {secret.reveal_for_injection()}".encode("latin-1")
    else:
        value = b"Basic " + base64.b64encode(pair(credential, secret).encode())
    outgoing.fields.append((b"authorization", value))
