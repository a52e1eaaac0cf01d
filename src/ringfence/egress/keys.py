"""Chooses the secret for a request: the first of a host's credentials whose source has one.

Sources may block (a program that asks a keyring, a server that issues tokens), so anything not at hand is
fetched in a thread, once for all the requests that wait for it. A source that had nothing is not asked
again for a while.
"""

import asyncio

from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.tokens import MINTED
from ringfence.credential.vault import Vault
from ringfence.egress import limits
from ringfence.egress.finder import Finder
from ringfence.egress.scrub import spellings
from ringfence.policy import kinds
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.credential.web import Dial

ASK_AGAIN = 10.0  # seconds until an empty source is asked again
REFETCH = 60.0  # seconds between two fetches because an upstream answered 401


class Keys:
    """The session's secrets as the gate uses them."""

    def __init__(self, vault: Vault, note: "Callable[[str], None]") -> None:
        self._vault = vault
        self._note = note  # puts a failing source on record
        self._loop = asyncio.get_running_loop()
        self._empty_until: dict[str, float] = {}
        self._refetched: dict[str, float] = {}
        self._fetching: dict[str, asyncio.Task[Secret | None]] = {}
        self.values: tuple[bytes, ...] = ()  # all that were ever fetched, in every spelling that is scrubbed
        self.finder = Finder(())  # of these
        vault.access.note = self._note_later

    def adopt(self, former: "Keys") -> None:
        """Keep what was held before these keys: it is scrubbed from answers that are still to come."""
        self._vault.adopt(former._vault)  # noqa: SLF001 - another of its own kind
        self._look_for(former.values)

    def route(self, dial: "Dial | None") -> None:
        """Say how servers are reached that hand out secrets; None: directly."""
        self._vault.access.web.dial = dial

    def at_hand(self, credential: Credential) -> Secret | None:
        """Return a credential's secret where that needs no fetch."""
        return self._vault.ready(credential)

    async def choose(self, credentials: tuple[Credential, ...]) -> tuple[Credential, Secret] | None:
        """Return the first credential that has a secret, and the secret."""
        for one in credentials:
            secret = self._vault.ready(one)
            if secret is None:
                secret = await self._fetched(one)
            if secret is not None:
                return one, secret
        return None

    async def _fetched(self, credential: Credential) -> Secret | None:
        """Fetch, or wait for the fetch under way; a request that is given up does not end it for others."""
        if self._empty_until.get(credential.name, 0.0) > self._loop.time():
            return None
        task = self._fetching.get(credential.name)
        if task is None:
            task = self._fetching[credential.name] = self._loop.create_task(self._fetch(credential))
            task.add_done_callback(lambda _: self._fetching.pop(credential.name, None) and None)
        return await asyncio.shield(task)

    async def _fetch(self, credential: Credential) -> Secret | None:
        try:
            async with asyncio.timeout(limits.SECRET_TIME):
                secret = await asyncio.to_thread(self._vault.get, credential)
        except (SourceError, TimeoutError) as error:
            self._empty_until[credential.name] = self._loop.time() + ASK_AGAIN
            if not credential.optional:
                self._note(f"credential {credential.name}: {error or 'its source took too long'}")
            return None
        except Exception as error:  # noqa: BLE001 - our fault, or the machine's: recorded, and no secret
            self._empty_until[credential.name] = self._loop.time() + ASK_AGAIN
            self._note(f"credential {credential.name}: {type(error).__name__} while it was fetched")
            return None
        every = (one.reveal_for_injection().encode("latin-1") for one in self._vault.every())
        self._look_for(spellings(tuple(every)))
        return secret

    def _look_for(self, values: tuple[bytes, ...]) -> None:
        """Scrub these from answers."""
        if values != self.values:
            self.values, self.finder = values, Finder(values)

    def _note_later(self, text: str) -> None:
        """Put something on record from another thread."""
        self._loop.call_soon_threadsafe(self._note, text)

    def rejected(self, credential: Credential, status: int = 401) -> None:
        """Take note that an upstream refused a request's credential: the value may have been rotated."""
        if status != 401 and (credential.kind != kinds.AWS or status != 403):
            return
        now = self._loop.time()
        fixed = credential.source.startswith("env:") and credential.kind not in MINTED
        if fixed or self._refetched.get(credential.name, -REFETCH) + REFETCH > now:
            return
        self._refetched[credential.name] = now
        self._vault.forget(credential)
