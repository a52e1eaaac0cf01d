"""The egress process's secrets: fetched when first needed, again when they may have changed.

A file is read again when it changed, a command is run again after some minutes, so that a rotated
secret is used at the next request. Earlier values are kept: what is scrubbed from responses is every
value this session ever held.
"""

import threading
import time

from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import fetch, split
from ringfence.credential.sources.file import stamp
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_LIFETIME = 300.0  # seconds until a command is asked again
MAX_FORMER = 64  # earlier values kept for scrubbing


class _Held:
    """One credential's present value and what tells that it is old."""

    def __init__(self, secret: Secret, stamp: tuple[int, ...], until: float) -> None:
        self.secret = secret
        self.stamp = stamp
        self.until = until


class Vault:
    """Gives secrets by credential. Safe to use from several threads; `get` may block on a program."""

    def __init__(self, environment: "Mapping[str, str]", workspace: str = "") -> None:
        """Take the variables that the launcher handed over."""
        self._environment = dict(environment)
        self._workspace = workspace
        self._held: dict[str, _Held] = {}
        self._former: list[Secret] = []
        self._lock = threading.Lock()

    def get(self, credential: Credential) -> Secret:
        """Return the present secret, fetched now where none is fresh. One fetch at a time."""
        with self._lock:
            held = self._held.get(credential.name)
            if held is None or not self._is_fresh(credential, held):
                held = self._fetched(credential)
            return held.secret

    def ready(self, credential: Credential) -> Secret | None:
        """Return the secret only where that needs no fetch: the fast path on an event loop."""
        held = self._held.get(credential.name)
        return held.secret if held is not None and self._is_fresh(credential, held) else None

    def forget(self, credential: Credential) -> None:
        """Fetch again at the next use: the upstream refused the present value."""
        with self._lock:
            held = self._held.pop(credential.name, None)
            if held is not None:
                self._retire(held.secret)

    def every(self) -> tuple[Secret, ...]:
        """Return all values this session has held, the present ones first."""
        with self._lock:
            return (*(held.secret for held in self._held.values()), *self._former)

    def _is_fresh(self, credential: Credential, held: _Held) -> bool:
        kind, rest = split(credential.source)
        if kind == "file":
            return held.stamp == stamp(rest, self._environment)
        return time.monotonic() < held.until

    def _fetched(self, credential: Credential) -> _Held:
        kind, rest = split(credential.source)
        before = stamp(rest, self._environment) if kind == "file" else ()
        secret = fetch(credential, self._environment, workspace=self._workspace)
        until = time.monotonic() + COMMAND_LIFETIME if kind == "command" else float("inf")
        old = self._held.get(credential.name)
        if old is not None and old.secret != secret:
            self._retire(old.secret)
        held = self._held[credential.name] = _Held(secret, before, until)
        return held

    def _retire(self, secret: Secret) -> None:
        if len(self._former) >= MAX_FORMER:
            raise SourceError("a credential changed too often in one session", hint="start a new session")
        self._former.append(secret)
