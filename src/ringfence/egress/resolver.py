"""From a name to its addresses: by the system's resolver, or by the nameserver that the policy names.

A domain with a nameserver of its own (split DNS) is looked up there and nowhere else: where that server
says no or nothing, the name does not resolve. Asking the system instead would tell an inside name to the
outside, and could get an answer from there. What is returned here is judged by `dial`, wherever it is from.
"""

import asyncio
import socket

from ringfence.egress import limits, lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Resolved = tuple[float, tuple[str, ...]]


class Resolver:
    """The names of one session, and what they resolved to."""

    def __init__(self, nameservers: "Iterable[tuple[str, str]]" = ()) -> None:
        self._nameservers = dict(nameservers)
        self._loop = asyncio.get_running_loop()
        self._kept: dict[str, Resolved] = {}

    def nameserver(self, host: str) -> str:
        """Return the nameserver of the longest domain that holds a name, or ""."""
        while host:
            found = self._nameservers.get(host)
            if found is not None:
                return found
            host = host.partition(".")[2]
        return ""

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return a name's addresses. Raises OSError, TimeoutError or `lookup.NoAnswerError`."""
        now = self._loop.time()
        kept = self._kept.get(host)
        if kept is not None and kept[0] > now:
            return kept[1]
        server = self.nameserver(host) if self._nameservers else ""
        async with asyncio.timeout(limits.RESOLVE_TIME):
            lifetime, found = await (self._asked(server, host) if server else self._system(host))
        if len(self._kept) >= limits.RESOLVED_NAMES:
            self._kept.pop(next(iter(self._kept)))
        self._kept[host] = (now + lifetime, found)
        return found

    def sweep(self, now: float) -> None:
        """Forget what was resolved too long ago."""
        self._kept = {host: kept for host, kept in self._kept.items() if kept[0] > now}

    async def _system(self, host: str) -> Resolved:
        found = await self._loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return limits.RESOLVED_KEPT, tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _asked(self, server: str, host: str) -> Resolved:
        """Ask for addresses of both kinds at once; one kind that fails leaves the other."""
        answers = await asyncio.gather(
            *(lookup.ask(server, host, kind) for kind in (lookup.AAAA, lookup.A)), return_exceptions=True
        )
        heard = [one for one in answers if isinstance(one, lookup.Answer)]
        found = tuple(dict.fromkeys(address for one in heard for address in one.addresses))
        if not found:
            failed = next((one for one in answers if isinstance(one, BaseException)), None)
            raise failed or lookup.NoAnswerError(f"{host} has no address")
        return max(1.0, min(one.lifetime for one in heard if one.addresses)), found
