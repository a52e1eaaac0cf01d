"""`vault:MOUNT/PATH#FIELD`: HashiCorp Vault or OpenBao: KV version 1 and 2, and engines that issue secrets.

Logs in by the operator's token (BAO_TOKEN, VAULT_TOKEN or ~/.vault-token) or by AppRole (…_ROLE_ID and
…_SECRET_ID). A login is used until it ends, is used up or is refused; a value for as long as its lease
lasts, and one without a lease for some minutes, so that a rotated secret is used soon. Without `#FIELD`
the whole of the data is the secret, as JSON.
"""

import json
import os
import time
from urllib.parse import quote

from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, Reading, expand
from ringfence.credential.sources.file import content
from ringfence.credential.web import Answer
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIFETIME = 300.0  # seconds until a value without a lease is asked for again
SHARE = 2 / 3  # of a lease or a login's life, after which another is taken


class _Refused(Exception):  # noqa: N818 - no error yet: a new login may help
    """The server answered 403: the login has ended, or never sufficed."""


class _Server:
    """One server, as one credential's source asks it."""

    def __init__(self, access: Access, credential: Credential) -> None:
        self._access = access
        self._ca = expand(credential.source_ca or self.variable("CACERT"), access.home)
        self.base = (credential.source_url or self.variable("ADDR")).rstrip("/")
        if not self.base:
            raise SourceError(
                "`vault:`: which server?", hint="set VAULT_ADDR, or `source_url` in the credential"
            )

    def variable(self, name: str) -> str:
        """Return a variable of the operator's; OpenBao's own name counts before Vault's."""
        given = self._access.environment
        return given.get(f"BAO_{name}") or given.get(f"VAULT_{name}") or ""

    def get(self, path: str) -> Answer:
        """Read one path; 403 raises, so that the caller can log in again."""
        answer = self._ask("GET", path, token=self._login())
        if answer.status == 403:
            raise _Refused
        return answer

    def log_out(self) -> bool:
        """Forget the login; says whether another can be had."""
        return self._access.logins.pop(self.base, None) is not None

    def _login(self) -> str:
        """Return a token: the operator's own, or one from AppRole, kept until it ends."""
        kept = self._access.logins.get(self.base)
        if kept is not None and kept[1] > time.monotonic():
            return kept[0]
        own = self.variable("TOKEN")
        if own:
            return own
        role = self.variable("ROLE_ID")
        return self._approle(role) if role else self._stored()

    def _approle(self, role: str) -> str:
        body = json.dumps({"role_id": role, "secret_id": self.variable("SECRET_ID")}).encode()
        answer = self._ask("POST", "auth/approle/login", body=body)
        if answer.status != 200:
            raise SourceError(
                f"{self.base}: the AppRole login failed with {answer.why()}",
                hint="check VAULT_ROLE_ID and VAULT_SECRET_ID",
            )
        given = answer.json(self.base).get("auth") or {}
        token, lease = given.get("client_token"), given.get("lease_duration")
        if not isinstance(token, str) or not isinstance(lease, int):
            raise SourceError(f"{self.base}: the AppRole login gave no token", hint="check the role")
        until = time.monotonic() + lease * SHARE if lease else float("inf")
        self._access.logins[self.base] = (token, until)
        return token

    def _stored(self) -> str:
        place = expand("~/.vault-token", self._access.home)
        if not os.path.exists(place):
            raise SourceError(
                f"{self.base}: no login", hint="set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID"
            )
        return content("file:~/.vault-token", place, self._access.workspace).strip()

    def _ask(self, method: str, path: str, *, token: str = "", body: bytes = b"") -> Answer:
        headers = {"X-Vault-Request": "true"}
        if token:
            headers["X-Vault-Token"] = token
        if self.variable("NAMESPACE"):
            headers["X-Vault-Namespace"] = self.variable("NAMESPACE")
        url = f"{self.base}/v1/{quote(path, safe='/')}"
        return self._access.web.ask(method, url, headers=headers, body=body, ca=self._ca)


def read(rest: str, access: Access, credential: Credential) -> Reading:
    """Return one field of what a path holds, or all of it."""
    source = f"vault:{rest}"
    path, _, name = rest.partition("#")
    server = _Server(access, credential)
    try:
        try:
            return _read(server, source, path, name)
        except _Refused:
            if not server.log_out():
                raise
            return _read(server, source, path, name)  # the login had ended early: once more with a new one
    except _Refused:
        raise SourceError(
            f"`{source}`: {server.base} refuses this path to its login (status 403)",
            hint="check the path and the policy of the token or AppRole",
        ) from None


def _read(server: _Server, source: str, path: str, name: str) -> Reading:
    second, where = _place(server, path)
    answer = server.get(where)
    if answer.status != 200:
        raise SourceError(
            f"`{source}`: {server.base} answered {answer.why()}",
            hint="check the mount, the path and the field",
        )
    found = answer.json(server.base)
    data = found.get("data")
    if second:
        data = data.get("data") if isinstance(data, dict) else None
    text = field(data, name, source) if name else json.dumps(data)
    return Reading(text, _lifetime(found))


def _place(server: _Server, path: str) -> tuple[bool, str]:
    """Find out whether a path lies in a KV store of version 2, and where its data is read from."""
    answer = server.get(f"sys/internal/ui/mounts/{path}")
    found = answer.json(server.base).get("data") if answer.status == 200 else None
    if not isinstance(found, dict):
        return False, path
    mount = str(found.get("path", "")).rstrip("/")
    second = found.get("type") == "kv" and (found.get("options") or {}).get("version") == "2"
    if not second or not path.startswith(f"{mount}/"):
        return False, path
    return True, f"{mount}/data/{path[len(mount) + 1 :]}"


def _lifetime(found: "dict[str, Any]") -> float:
    """Return how long a value may be used: a leased one for a share of its lease (KV 1 only names a wish)."""
    lease = found.get("lease_duration")
    if not isinstance(lease, int) or lease <= 0:
        return LIFETIME
    return lease * SHARE if found.get("lease_id") else min(float(lease), LIFETIME)


def field(data: object, name: str, source: str) -> str:
    """Return one text of an object, or an error: a missing field is never an empty secret."""
    value = data.get(name) if isinstance(data, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise SourceError(f"`{source}`: there is no text named `{name}`", hint="check the name behind `#`")
    return value
