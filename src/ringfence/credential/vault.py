"""The egress process's secrets: fetched when first needed, again when they may have changed.

A file is read again when it changed, a command is run again after some minutes, a lease or a minted token
is replaced before it ends, so that a rotated secret is used at the next request. Earlier values are kept:
what is scrubbed from responses is every value this session ever held.
"""

import threading
import time

from ringfence.credential import inject, tokens
from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import Access, path_of, read, wrap
from ringfence.credential.sources.file import stamp
from ringfence.credential.tokens.oauth import REFRESH
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringfence.credential.web import Web

MAX_FORMER = 256  # earlier values kept for scrubbing; what is older has long expired


class _Held:
    """One credential's present value and what tells that it is old."""

    def __init__(self, secret: Secret, parts: tuple[Secret, ...], *, until: float, dies: float) -> None:
        self.secret = secret
        self.parts = parts  # every value that must not come back in an answer
        self.until = until  # from then on another is fetched
        self.dies = dies  # and from then on this one is of no use
        self.path = ""
        self.stamp: tuple[int, ...] = ()


class Vault:
    """Gives secrets by credential. Safe to use from several threads; `get` may block on a program."""

    def __init__(
        self, environment: "Mapping[str, str]", workspace: str = "", web: "Web | None" = None
    ) -> None:
        """Take the variables that the launcher handed over."""
        self.access = Access(dict(environment), workspace, web)
        self._held: dict[str, _Held] = {}
        self._former: list[Secret] = []
        self._locks: dict[str, threading.Lock] = {}  # one a credential: a slow program holds up only its own

    def get(self, credential: Credential) -> Secret:
        """Return the present secret, fetched now where none is fresh. One fetch at a time for each."""
        with self._lock(credential):
            held = self._held.get(credential.name)
            if held is None or not _is_fresh(held):
                held = self._renewed(credential, held)
            return held.secret

    def ready(self, credential: Credential) -> Secret | None:
        """Return the secret only where that needs no fetch: the fast path on an event loop."""
        held = self._held.get(credential.name)
        return held.secret if held is not None and _is_fresh(held) else None

    def forget(self, credential: Credential) -> None:
        """Fetch again at the next use: the upstream refused the present value."""
        with self._lock(credential):
            held = self._held.get(credential.name)
            if held is not None:
                self._retire(held.parts)
                del self._held[credential.name]

    def adopt(self, former: "Vault") -> None:
        """Know the values of another vault as earlier ones, of which it held the last."""
        self._former = [*former.every(), *self._former][-MAX_FORMER:]

    def every(self) -> tuple[Secret, ...]:
        """Return all values this session has held, the present ones first."""
        present = [part for held in list(self._held.values()) for part in held.parts]
        return (*present, *self._former)

    def _lock(self, credential: Credential) -> threading.Lock:
        return self._locks.setdefault(credential.name, threading.Lock())

    def _renewed(self, credential: Credential, old: _Held | None) -> _Held:
        """Fetch; a token that still lasts is used on where its issuer cannot be reached."""
        try:
            held = self._fetched(credential)
        except SourceError as error:
            if old is None or credential.kind not in tokens.MINTED or not _lasts(old):
                raise
            old.until = min(time.monotonic() + 30.0, old.dies)
            self.access.note(
                f"credential {credential.name}: {error}; the present token is used until it ends"
            )
            return old
        if old is not None:
            self._retire(tuple(one for one in old.parts if one not in held.parts))  # never a moment unknown
        self._held[credential.name] = held
        return held

    def _fetched(self, credential: Credential) -> _Held:
        path = path_of(credential, self.access)
        before = stamp(path) if path else ()
        now = time.monotonic()
        if credential.kind in tokens.MINTED:
            token = tokens.mint(credential, self.access)
            parts = (*inject.parts(credential, token.secret), *token.also)
            held = _Held(token.secret, parts, until=now + token.fresh_for, dies=now + token.life)
            if credential.grant == REFRESH:
                # Refreshing replaces the file, this session's and every other's: its token outlives that.
                path, before = "", ()
        else:
            reading = read(credential, self.access)
            secret = wrap(credential, reading)
            until = now + reading.lifetime
            held = _Held(secret, inject.parts(credential, secret), until=until, dies=until)
        held.path, held.stamp = path, before
        return held

    def _retire(self, parts: tuple[Secret, ...]) -> None:
        fresh = [one for one in parts if one not in self._former]
        self._former = [*self._former, *fresh][-MAX_FORMER:]


def _is_fresh(held: _Held) -> bool:
    if held.path and held.stamp != stamp(held.path):
        return False
    return time.monotonic() < held.until


def _lasts(held: _Held) -> bool:
    """Say whether an old token may still be used: its source is as it was, its end not yet reached."""
    return time.monotonic() < held.dies and (not held.path or held.stamp == stamp(held.path))
