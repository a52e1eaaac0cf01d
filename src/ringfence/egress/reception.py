"""Where clients of a service arrive: each connection is recognised before anything else is done for it.

What is not recognised gets as far as being told so. Of too many connections that say nothing, the one that
has waited longest has to go: whoever says at once who they are gets in, however many others hold places.
"""

import asyncio
import ssl

from ringfence.egress import front, http1, limits, redirected, refusal, socks
from ringfence.egress.conversation import linger
from ringfence.egress.entrance import GATEWAY, TRANSPARENT, Entrance, Shell, proofs
from ringfence.egress.faults import place_of
from ringfence.egress.http1 import MalformedError, RequestHead
from ringfence.egress.identity import Caller, Door, given_by
from ringfence.egress.refusal import Refusal
from ringfence.egress.stream import LateError, Stream
from ringfence.egress.tally import Tally
from ringfence.egress.tenant import Tenant
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ringfence.egress.access import AccessLog

    Serve = Callable[[], Awaitable[None]]


class Reception:
    """Recognises connections, and hands them to whom they belong to."""

    def __init__(self, tally: Tally, tell: "Callable[[str], None]") -> None:
        self.tenants: dict[str, Tenant] = {}
        self.door = Door((), {})
        self.shell: Shell | None = None  # TLS to the gate itself
        self.access: AccessLog | None = None
        self.group: asyncio.TaskGroup | None = None  # None: nobody is let in
        self._tally = tally
        self._tell = tell
        self._strangers: dict[Stream, None] = {}  # not recognised yet, the oldest first

    def accept(self, stream: Stream, entrance: Entrance) -> None:
        """Take one connection."""
        if self.group is None:
            return stream.abort()
        if len(self._strangers) >= limits.STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()
            self._count("too many")
        self._strangers[stream] = None
        self.group.create_task(self._guarded(stream, entrance))
        return None

    async def _guarded(self, stream: Stream, entrance: Entrance) -> None:
        """Recognise a connection and serve it; whatever goes wrong ends that connection only."""
        try:
            try:
                serve = await self._recognised(stream, entrance)
            finally:
                self._strangers.pop(stream, None)
            if serve is not None:
                await serve()
        except PeerError:
            stream.abort()
        except Exception as error:  # noqa: BLE001 - a fault of ours
            stream.abort()
            self._tell(f"error: a fault of ringfence: {place_of(error)}")

    def _count(self, reason: str, caller: Caller | None = None, status: int = 0) -> None:
        self._tally.add("ringfence_strangers_total", reason=reason)
        if self.access is not None and caller is not None:
            self.access.write(client=caller.address, status=status, verdict="refused", reason=reason)

    # --- recognising

    async def _recognised(self, stream: Stream, entrance: Entrance) -> "Serve | None":
        """Return what serves a connection; None where it has been answered already."""
        caller = Caller(listener=entrance.text, address=_peer(stream, entrance))
        if entrance.role == TRANSPARENT:
            return self._by_place(stream, caller)
        client: AnyStream = stream
        if entrance.address.tls:
            inside = await self._shaken(stream, caller)
            if inside is None:
                return None
            client, caller = inside
        client.expect(limits.HEAD_TIME)
        first = await client.read()
        if not first:
            client.close()
            return None
        client.unread(first)
        if entrance.role == GATEWAY:
            return await self._by_gateway(client, caller, entrance.gateway)
        if first[0] in {socks.VERSION, socks.OLD_VERSION}:
            return await self._by_socks(client, caller)
        return await self._by_http(client, caller)

    async def _shaken(self, stream: Stream, caller: Caller) -> "tuple[AnyStream, Caller] | None":
        """Shake hands; returns what is inside TLS, and what the client's certificate says."""
        shell = self.shell
        if shell is None:
            stream.abort()
            return None
        inside = shell.wrap(stream)
        try:
            await inside.handshake()
        except ssl.SSLError:  # the client has got its alert
            self._count("tls", caller)
            await _dismiss(stream, b"")
            return None
        return inside, replace(caller, proofs=proofs(inside), authority=shell.authority)

    async def _by_http(self, client: AnyStream, caller: Caller) -> "Serve | None":
        head = await self._head(client, caller)
        if head is None:
            return None
        known = replace(caller, given=given_by(head))
        tenant = self.tenants.get(self.door.find(known) or "")
        if tenant is None:
            self._count("not recognised", caller, 407)
            await _dismiss(client, refusal.UNAUTHENTICATED)
            return None

        def admit(again: RequestHead) -> RequestHead | bytes:
            found = self.door.find(replace(caller, given=given_by(again)))
            return again if found == tenant.name else refusal.UNAUTHENTICATED

        asked = None if tenant.name in self.door.anybody else admit
        return lambda: tenant.http(client, known, asked)

    async def _by_gateway(self, client: AnyStream, caller: Caller, gateway: str) -> "Serve | None":
        head = await self._head(client, caller)
        if head is None:
            return None
        name, known, _ = self._visitor(head, caller)
        tenant = self.tenants.get(name)
        if tenant is None:
            self._count("not recognised", caller, front.UNKNOWN.status)
            await _dismiss(client, refusal.render(front.UNKNOWN, close=True))
            return None

        def admit(again: RequestHead) -> RequestHead | bytes:
            found, _, field = self._visitor(again, caller)
            if found != tenant.name:
                return refusal.render(front.UNKNOWN, close=True)
            outcome = front.inward(again, gateway, front.proof_fields(again, field))
            return _told(tenant, outcome, gateway) if isinstance(outcome, Refusal) else outcome

        return lambda: tenant.gateway(client, known, gateway, admit)

    def _visitor(self, head: RequestHead, caller: Caller) -> tuple[str, Caller, bytes]:
        """Return whose a request to a gateway is, or "", how that is known, and the field with its token."""
        for given, field in front.given_to(head):
            known = replace(caller, given=given)
            name = self.door.find(known)
            # A key that is no token of ours is the client's own: it says nothing about who asks.
            ours = given is None or field == b"proxy-authorization"
            if name is not None and (ours or self.door.has_token(name)):
                return name, known, field
        return "", caller, b""

    def _by_place(self, stream: Stream, caller: Caller) -> "Serve | None":
        """Recognise by where a connection comes from: nothing in it is meant for us."""
        place = redirected.original_destination(stream.socket)
        own = stream.socket.getsockname()
        tenant = self.tenants.get(self.door.find(caller) or "")
        if tenant is None or place == (redirected.plain_address(own[0]), own[1]):  # that was no redirection
            self._count("not recognised" if tenant is None else "not redirected", caller)
            stream.abort()
            return None
        return lambda: tenant.redirected(stream, caller, place)

    async def _head(self, client: AnyStream, caller: Caller) -> RequestHead | None:
        """Read the first request's head, and put everything back."""
        data, seen = b"", 0
        try:
            while not (end := http1.head_end(data, seen)):
                seen = len(data)
                more = await client.read()
                if not more:
                    client.close()
                    return None
                data += more
            head = http1.parse_request(data[:end])
        except MalformedError as error:
            told = refusal.malformed(error.message, error.answer)
        except LateError:
            told = refusal.malformed("the request took too long", 408)
        else:
            client.unread(data)
            return head
        self._count("malformed", caller, told.status)
        await _dismiss(client, refusal.render(told, close=True))
        return None

    async def _by_socks(self, client: AnyStream, caller: Caller) -> "Serve | None":
        """Recognise by where the connection comes from, where that is enough; else by user and password."""
        name = self.door.find(caller)

        def authenticate(user: str, password: str) -> bool:
            nonlocal caller, name
            caller = replace(caller, given=(user or "-", password))
            name = self.door.find(caller)
            return name is not None

        try:
            wish = await socks.wish(client, None if name else authenticate)
        except socks.SocksError:
            self._count("socks", caller)
            await _dismiss(client, b"")
            return None
        tenant = self.tenants.get(name or "")
        if tenant is None:
            client.abort()
            return None
        return lambda: tenant.socks(client, caller, wish)


def _told(tenant: Tenant, outcome: Refusal, gateway: str) -> bytes:
    """Put on record what a gateway refuses by itself, and return the answer."""
    tenant.services.record.flood(
        "refused", reason=outcome.message, status=outcome.status, source=f"gateway {gateway}"
    )
    return refusal.render(outcome, close=True)


async def _dismiss(client: AnyStream, answer: bytes) -> None:
    """Answer somebody who is not served, and close."""
    if answer:
        client.write(answer)
    await linger(client)


def _peer(stream: Stream, entrance: Entrance) -> str:
    """Return the address that a connection comes from; "" where there is none."""
    if entrance.address.kind != "tcp":
        return ""
    return redirected.plain_address(str(stream.socket.getpeername()[0]))
