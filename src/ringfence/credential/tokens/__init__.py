"""Tokens that are not stored but minted: one kind a file, one line in the table.

A credential's source then holds what proves who asks (a client's secret, a refresh token, a private
key). That stays here; what goes into requests is the short-lived token that the issuer gives for it.
"""

import base64
import json
import time

from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import Access
from ringfence.policy import kinds
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MINTED = frozenset({kinds.OAUTH, kinds.GITHUB_APP, kinds.GOOGLE})
AGENT = "ringfence"  # the user agent of our calls
MARGIN = 300.0  # seconds before its end that a token is replaced
USUAL_LIFE = 3600.0  # seconds, where an issuer does not say


class Token:
    """A minted token: how long it lasts, and what else came to light that must be scrubbed."""

    __slots__ = ("also", "life", "secret")

    def __init__(self, secret: Secret, life: float, also: tuple[Secret, ...] = ()) -> None:
        self.secret = secret
        self.life = life
        self.also = also

    @property
    def fresh_for(self) -> float:
        """Return the seconds after which it is replaced: 5 minutes before its end, or in its last third."""
        return max(self.life - MARGIN, self.life * 2 / 3)


def mint(credential: Credential, access: Access) -> Token:
    """Read the source and have a token issued. Blocks; one call at a time for each credential."""
    if credential.kind == kinds.OAUTH:
        from ringfence.credential.tokens import oauth

        return oauth.mint(credential, access)
    if credential.kind == kinds.GITHUB_APP:
        from ringfence.credential.tokens import github_app

        return github_app.mint(credential, access)
    from ringfence.credential.tokens import google

    return google.mint(credential, access)


def jwt(key_text: str, claims: "Mapping[str, object]", source: str, header: "Mapping[str, str]") -> str:
    """Return a signed JSON Web Token (RFC 7519, RS256)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        key = serialization.load_pem_private_key(key_text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SourceError(f"`{source}` holds no RSA private key", hint="store the PEM file as it was issued")
    head = {"alg": "RS256", "typ": "JWT", **header}
    text = b".".join(_part(json.dumps(one, separators=(",", ":")).encode()) for one in (head, claims))
    signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return (text + b"." + _part(signature)).decode("ascii")


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def now() -> int:
    """Return the time as tokens count it."""
    return int(time.time())


def life(found: "Mapping[str, Any]") -> float:
    """Return an answer's `expires_in` (RFC 6749 §5.1), which some send as text."""
    given = found.get("expires_in")
    if isinstance(given, str) and given.isdigit():
        given = int(given)
    if isinstance(given, (int, float)) and not isinstance(given, bool) and given > 0:
        return float(given)
    return USUAL_LIFE


def given(found: "Mapping[str, Any]", name: str, who: str) -> str:
    """Return a token out of an answer; none is an error."""
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise SourceError(f"{who} answered without `{name}`", hint="check the credential's fields")
    return value
