"""The egress process's secrets: fetched when first needed, again when they may have changed.

A file is read again when it changed, a command is run again after some minutes, so that a rotated
secret is used at the next request. Earlier values are kept: what is scrubbed from responses is every
value this session ever held.
"""

import threading
import time

from ringfence.credential.secret import Secret
from ringfence.credential.sources import fetch, split
from ringfence.credential.sources.file import stamp
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_LIFETIME = 300.0  # seconds until a command is asked again
MAX_FORMER = 256  # earlier values kept for scrubbing; what is older has long expired


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
        self._locks: dict[str, threading.Lock] = {}  # one a credential: a slow program holds up only its own

    def get(self, credential: Credential) -> Secret:
        """Return the present secret, fetched now where none is fresh. One fetch at a time for each."""
        with self._lock(credential):
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
        with self._lock(credential):
            held = self._held.get(credential.name)
            if held is not None:
                self._retire(held.secret)
                del self._held[credential.name]

    def every(self) -> tuple[Secret, ...]:
        """Return all values this session has held, the present ones first."""
        return (*(held.secret for held in list(self._held.values())), *self._former)

    def _lock(self, credential: Credential) -> threading.Lock:
        return self._locks.setdefault(credential.name, threading.Lock())

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
        held = _Held(secret, before, until)
        old = self._held.get(credential.name)
        if old is not None and old.secret != secret:
            self._retire(old.secret)  # before it is replaced: at no moment is a value unknown
        self._held[credential.name] = held
        return held

    def _retire(self, secret: Secret) -> None:
        if secret not in self._former:
            self._former = [*self._former, secret][-MAX_FORMER:]
