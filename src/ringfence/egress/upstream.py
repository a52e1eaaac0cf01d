"""Connections to upstreams: dialled, verified, and kept for the next request.

Nothing of a request is sent before the certificate has been verified for the very name that was judged.
Connections wait for the next request in a pool keyed by scheme, host, port and credential, so a
connection that has seen one credential never carries another.
"""

import asyncio
import os
import ssl

from ringfence.egress import limits
from ringfence.egress.certificates import Certificates
from ringfence.egress.dial import AddressError, Dialler, UnreachableError
from ringfence.egress.gate import Target, authority_text
from ringfence.egress.http1_client import ClientConnection
from ringfence.egress.keys import Keys
from ringfence.egress.message import Outbound
from ringfence.egress.record import Record
from ringfence.egress.stream import GoneError, Registry, Stream
from ringfence.egress.tls import AnyStream, TlsStream
from ringfence.egress.trust import Verifying, upstream_context
from ringfence.errors import PeerError
from ringfence.handover import Handover
from ringfence.verdict.request import Rules

__all__ = ["AddressError", "UnreachableError", "Upstreams"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.egress.http2_pool import Multiplexer

Key = tuple[str, str, int, str]
BOTH = ("h2", "http/1.1")  # what is offered where HTTP/2 is wanted


class Upstreams:
    """Connections of one session, new ones and waiting ones."""

    def __init__(
        self,
        handover: Handover,
        rules: Rules,
        registry: Registry,
        record: Record,
        keys: Keys | None = None,
    ) -> None:
        self._record = record
        self._trust = (handover.extra_ca, handover.trust_file, handover.trust_dir)
        self._stamps = tuple(_stamp(path) for path in (*handover.extra_ca, *self._trust[1:]) if path)
        self._loop = asyncio.get_running_loop()
        self.dialler = Dialler(handover, rules, registry, record, keys)
        self._waiting: dict[Key, list[ClientConnection]] = {}
        self._retired = False
        self._context: Verifying | None = None
        self.certificates = Certificates(self._trust)  # those that upstreams ask of us
        self._both: Verifying | None = None  # offers HTTP/2 as well
        self._multiplexed: Multiplexer | None = None

    # --- pool

    async def take(
        self,
        target: Target,
        credential: str,
        *,
        repeatable: bool,
        fresh: bool = False,
        multiplexed: bool = False,
    ) -> Outbound:
        """Return a connection for one request: one that waits, or a new one (`fresh`: in any case).

        `repeatable`: the request can be sent again, should the connection turn out to be closed.
        `multiplexed`: by HTTP/2, where the upstream speaks it; only its own kind of client needs that.
        """
        if multiplexed:
            return await self._multiplexer().take(target, credential, fresh=fresh)
        found = None if fresh else self.at_hand(target, credential, repeatable=repeatable)
        if found is not None:
            return found
        context = self.certificates.context(credential) or self.context()
        stream = await self._connect(target.scheme, target.host, target.port, context)
        return self._made(target, credential, stream)

    def at_hand(self, target: Target, credential: str, *, repeatable: bool) -> ClientConnection | None:
        """Return a connection that waits for a request of this kind."""
        waiting = self._waiting.get((target.scheme, target.host, target.port, credential))
        now = self._loop.time() if waiting else 0.0
        while waiting:  # the one used last, if it is alive and young enough for this request
            found = waiting.pop()
            found.stream.bottom.on_gone = None
            old = now > found.expires or (not repeatable and now > found.idle_since + limits.POOL_IDLE_ONCE)
            if not old and found.stream.quiet():
                found.reused = True
                return found
            found.stream.abort()
        return None

    def _made(self, target: Target, credential: str, stream: AnyStream) -> ClientConnection:
        key = (target.scheme, target.host, target.port, credential)
        authority = authority_text(target.host, target.port, target.scheme)
        return ClientConnection(key, stream, authority, self.give_back)

    def _multiplexer(self) -> "Multiplexer":
        """Return the pool for HTTP/2; its library is imported when it is wanted."""
        if self._multiplexed is None:
            from ringfence.egress.http2_pool import Multiplexer

            self._multiplexed = Multiplexer(self._offered, self._older)
        return self._multiplexed

    async def _offered(self, target: Target, credential: str) -> AnyStream:
        """Connect, and offer HTTP/2."""
        context = self.certificates.context(credential, BOTH)
        if context is None:
            context = self._both = self._both or upstream_context(*self._trust, protocols=BOTH)
        return await self._connect(target.scheme, target.host, target.port, context)

    async def _older(self, target: Target, credential: str, stream: AnyStream | None) -> Outbound:
        """Serve a request that came by HTTP/2 by HTTP/1.1."""
        if stream is not None:
            return self._made(target, credential, stream)
        return await self.take(target, credential, repeatable=False)

    def retire(self) -> None:
        """Close what waits, and whatever comes back from now on: another policy holds."""
        self._retired = True
        self.sweep(float("inf"))
        if self._multiplexed is not None and self._multiplexed.open:
            self._loop.call_later(1.0, self.retire)  # what is under way on it ends first

    def inherit(self, former: "Upstreams") -> None:
        """Take over what reading the same authorities again would come to: that takes a tenth of a second."""
        # ruff: noqa: SLF001 - another of its own kind
        if (self._trust, self._stamps) == (former._trust, former._stamps):
            self._context, self._both = former._context, former._both

    def give_back(self, connection: ClientConnection, keep_for: float) -> None:
        """Keep a connection whose answer was read to the end."""
        waiting = self._waiting.setdefault(connection.key, [])
        if self._retired or len(waiting) >= limits.POOL_HOST or not connection.stream.quiet():
            return connection.stream.close()
        now = self._loop.time()
        kept = min(limits.POOL_IDLE, keep_for - 1.0) if keep_for else limits.POOL_IDLE
        connection.idle_since, connection.expires = now, now + kept
        connection.stream.bottom.on_gone = connection.stream.bottom.abort
        waiting.append(connection)
        return None

    def sweep(self, now: float) -> None:
        """Close what has waited too long, forget what was resolved too long ago."""
        for key, waiting in list(self._waiting.items()):
            for old in [one for one in waiting if now > one.expires or not one.stream.quiet()]:
                waiting.remove(old)
                old.stream.on_gone = None
                old.stream.close()
            if not waiting:
                del self._waiting[key]
        if self._multiplexed is not None:
            self._multiplexed.sweep(now)
        self.dialler.sweep(now)

    # --- dialling

    async def _connect(self, scheme: str, host: str, port: int, context: Verifying) -> AnyStream:
        if not self._record.settle():  # a connection tells of its request as well
            raise GoneError("the request could not be put on record")
        raw = await self.dial(host, port)
        if scheme != "https":
            return raw
        stream = TlsStream(raw, context, server_hostname=host)
        try:
            await stream.handshake()
        except ssl.SSLCertVerificationError as error:
            raw.close()
            if context.complete(error):
                return await self._connect(scheme, host, port, context)
            raise self._untrusted(host, port, error.verify_message) from error
        except (ssl.SSLError, PeerError) as error:
            raw.abort()
            reason = getattr(error, "reason", None) or str(error)
            raise UnreachableError(f"the TLS handshake with {host} failed: {reason}") from error
        except BaseException:
            raw.abort()
            raise
        return stream

    def _untrusted(self, host: str, port: int, reason: str) -> UnreachableError:
        self._record.event("dial", host=host, port=port, error=f"certificate: {reason}")
        return UnreachableError(
            f"the certificate of {host} does not verify: {reason}; nothing of the request was sent"
        )

    def context(self) -> Verifying:
        """Return the one context for upstreams; there is no way to make it lenient."""
        if self._context is None:
            self._context = upstream_context(*self._trust)
        return self._context

    async def dial(self, host: str, port: int) -> Stream:
        """Open a connection to a vetted address of a host that was allowed, without TLS."""
        return await self.dialler.dial(host, port)


def _stamp(path: str) -> tuple[int, int]:
    """Return what changes with a file."""
    try:
        state = os.stat(path)
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)
