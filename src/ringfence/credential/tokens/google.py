"""Tokens of a Google service account: the JWT bearer grant (RFC 7523) with its key file."""

import json
from urllib.parse import urlencode

from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import Access, read, wrap
from ringfence.credential.tokens import AGENT, Token, given, jwt, life, now
from ringfence.policy import kinds
from ringfence.policy.model import Credential

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - a URL
CLOUD = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def mint(credential: Credential, access: Access) -> Token:
    """Have an access token issued, or an identity token where the policy names an audience."""
    account = _account(credential, access)
    url = credential.token_url or _url(account)
    issued = now()
    claims: dict[str, object] = {
        "iss": account["client_email"],
        "aud": account.get("token_uri") or url,
        "iat": issued,
        "exp": issued + 3600,
    }
    if credential.audience:
        claims["target_audience"] = credential.audience
    else:
        claims["scope"] = " ".join(credential.scopes or (CLOUD,))
    header = {"kid": account["private_key_id"]} if account.get("private_key_id") else {}
    assertion = jwt(account["private_key"], claims, credential.source, header)
    answer = access.web.ask(
        "POST",
        url,
        headers={"Content-Type": "application/x-www-form-urlencoded", "User-Agent": AGENT},
        body=urlencode({"grant_type": GRANT, "assertion": assertion}).encode(),
    )
    if answer.status != 200:
        raise SourceError(
            f"{url} issued no token: {answer.why()}", hint="check that the key is not revoked, and the scopes"
        )
    found = answer.json(url)
    return Token(
        Secret(given(found, "id_token" if credential.audience else "access_token", url), url), life(found)
    )


def _account(credential: Credential, access: Access) -> dict[str, str]:
    text = wrap(credential, read(credential, access)).reveal_for_injection()
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    wanted = ("client_email", "private_key")
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in wanted):
        raise SourceError(
            f"`{credential.source}` is no service account's key file", hint="store the JSON as it was issued"
        )
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _url(account: dict[str, str]) -> str:
    """Return the key file's own token endpoint, held to what a policy could name."""
    try:
        return kinds.url(account.get("token_uri") or TOKEN_URL)
    except ValueError as error:
        raise SourceError(f"the key file's token_uri: {error}", hint="set `token_url`") from None
