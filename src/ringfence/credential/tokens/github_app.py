"""Installation tokens of a GitHub App: an hour long, and as narrow as the policy says.

The app proves itself by a JSON Web Token signed with its private key (at most 10 minutes long); the
installation token is asked for the policy's repositories and permissions only. So what an agent can do
with it is bounded by GitHub itself, beside the gate's own rules.
"""

import datetime as dt
import json
import time

from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import Access, read, wrap
from ringfence.credential.tokens import AGENT, USUAL_LIFE, Token, given, jwt, now
from ringfence.policy.model import Credential

API = "https://api.github.com"
_SKEW = 60  # seconds that GitHub's clock may be behind ours


def mint(credential: Credential, access: Access) -> Token:
    """Have an installation token issued."""
    key = wrap(credential, read(credential, access)).reveal_for_injection()
    issued = now() - _SKEW
    claims = {"iat": issued, "exp": issued + 600, "iss": credential.app}
    asked: dict[str, object] = {}
    if credential.repositories:
        asked["repositories"] = list(credential.repositories)
    if credential.permissions:
        asked["permissions"] = dict(credential.permissions)
    api = credential.token_url or API
    answer = access.web.ask(
        "POST",
        f"{api}/app/installations/{credential.installation}/access_tokens",
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {jwt(key, claims, credential.source, {})}",
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            "X-GitHub-Api-Version": "2022-11-28",
        },
        body=json.dumps(asked).encode(),
    )
    if answer.status != 201:
        raise SourceError(
            f"{api} issued no installation token: {answer.why()}",
            hint="check the ids and the key, and that the app has these repositories and permissions",
        )
    found = answer.json(api)
    return Token(Secret(given(found, "token", api), api), _life(found.get("expires_at")))


def _life(expires_at: object) -> float:
    try:
        return dt.datetime.fromisoformat(str(expires_at)).timestamp() - time.time()
    except ValueError:
        return USUAL_LIFE
