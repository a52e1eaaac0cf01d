"""From a connection that names its destination to what flows in it: CONNECT, SOCKS, TLS by its first bytes.

A destination is judged before anything is answered; the ClientHello is read before a certificate is
shown, and must name the same host; only then is TLS terminated (or passed through, for hosts under
`splice`). Upstream is not dialled before there is a request that was allowed; only raw TCP, under a rule
that says so, is dialled at once, because there the server may be the first to speak.
"""

import ssl

from ringfence.egress import dns, limits, opaque, refusal, socks
from ringfence.egress.conversation import Conversation, linger
from ringfence.egress.gate import TUNNEL, Gate, Origin, read_authority
from ringfence.egress.hello import (
    ACCESS_DENIED,
    HANDSHAKE,
    UNRECOGNISED_NAME,
    Hello,
    HelloError,
    alert,
    read_hello,
)
from ringfence.egress.http1 import RequestHead
from ringfence.egress.opaque import Opaque
from ringfence.egress.passage import Passage
from ringfence.egress.refusal import Refusal, denied
from ringfence.egress.services import Services
from ringfence.egress.socks import Wish
from ringfence.egress.tls import AnyStream, TlsStream
from ringfence.egress.upstream import AddressError, UnreachableError
from ringfence.policy.model import ALLOW, DENY
from ringfence.subject import canonical_host, is_address
from ringfence.verdict.request import Verdict
from ringfence.verdict.request import opaque as passed_through

SOCKS = "socks"  # how a connection came to name its destination
_REPLIES = {
    opaque.DENIED: socks.NOT_ALLOWED,
    opaque.REFUSED: socks.REFUSED,
    opaque.UNREACHABLE: socks.UNREACHABLE,
}
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Connector:
    """Opens tunnels for one client connection."""

    def __init__(self, services: Services, client: AnyStream) -> None:
        self._services = services
        self._client = client

    def judged(self, host: str, port: int) -> tuple[Verdict, bool]:
        """Decide on a destination, and say whether what flows there is nobody's business (raw TCP)."""
        raw = Opaque(self._services, self._client, host, port).verdict()
        if raw.effect == ALLOW:
            return raw, True
        seen = self._services.gate.connect(host, port)
        unknown = seen.effect == DENY and seen.rule is None
        return (raw, True) if unknown else (seen, False)

    async def connect(self, head: RequestHead, rest: bytes) -> None:
        """Serve a CONNECT request, to the end of the connection."""
        place = self._place(head)
        if isinstance(place, Refusal):
            self._malformed(head, place)
            return await self._refuse(place)
        self._client.unread(rest)
        host, port = place
        target = head.target.decode("latin-1")
        if self._is_gateway(host, port):
            self._client.write(ESTABLISHED)
            return await self.serve(Origin(kind=TUNNEL, scheme="http", host=host, port=port))
        verdict, raw = self.judged(host, port)
        if self._services.asking.refuses(verdict):
            self._tell(verdict, host, port, raw_host=target, method="CONNECT", source=TUNNEL)
            scheme = "tcp" if raw and verdict.rule else "https"
            return await self._refuse(denied(verdict, scheme, host, port, f"CONNECT {host}:{port}"))
        beyond = self._beyond(host, port, TUNNEL)
        if beyond is not None:
            return await self._refuse(beyond)
        if raw:
            problem = await Opaque(self._services, self._client, host, port).run(
                verdict, source=TUNNEL, raw=target, opened=lambda: self._client.write(ESTABLISHED)
            )
            return await self._refuse(_unreachable(problem, host, port)) if problem else None
        self._client.write(ESTABLISHED)
        return await self.serve(Origin(kind=TUNNEL, scheme="https", host=host, port=port))

    async def socks(self) -> None:
        """Serve a connection that began with SOCKS, to its end."""
        try:
            wish = await socks.wish(self._client)
        except socks.SocksError as error:
            self._services.record.flood("refused", reason=error.message, source=SOCKS)
            return await linger(self._client)
        return await self.wished(wish)

    async def wished(self, wish: Wish) -> None:
        """Serve what a SOCKS request asked for."""
        host, port = self._named(wish.host), wish.port
        if self._is_gateway(host, port):
            self._client.write(socks.reply(socks.SUCCEEDED))
            return await self.serve(Origin(kind=SOCKS, scheme="http", host=host, port=port))
        verdict, raw = self.judged(host, port)
        if self._services.asking.refuses(verdict):
            self._tell(verdict, host, port, raw_host=wish.raw, method="connect", source=SOCKS)
            return await self._replied(socks.NOT_ALLOWED)
        if self._beyond(host, port, SOCKS) is not None:
            return await self._replied(socks.NOT_ALLOWED)
        if raw:
            problem = await Opaque(self._services, self._client, host, port).run(
                verdict,
                source=SOCKS,
                raw=wish.raw,
                opened=lambda: self._client.write(socks.reply(socks.SUCCEEDED)),
            )
            return await self._replied(_REPLIES[problem]) if problem else None
        self._client.write(socks.reply(socks.SUCCEEDED))
        return await self.serve(Origin(kind=SOCKS, scheme="https", host=host, port=port))

    def _named(self, host: str) -> str:
        """Return the name that an address of our resolver stands for: clients may resolve by themselves."""
        return (self._services.names.name(host) or host) if dns.is_ours(host) else host

    def _beyond(self, host: str, port: int, source: str) -> Refusal | None:
        """Return why a name is one too many below its wildcard."""
        beyond = self._services.variety.admit(host, self._services.gate.rules)
        if beyond is not None:
            self._services.record.flood(
                "refused", reason=beyond.message, status=beyond.status, host=host, port=port, source=source
            )
        return beyond

    def _is_gateway(self, host: str, port: int) -> bool:
        return host in self._services.gate.gateways and port == 80

    async def _refuse(self, outcome: Refusal) -> None:
        self._client.write(refusal.render(outcome, close=True))
        await linger(self._client)

    async def _replied(self, code: int) -> None:
        self._client.write(socks.reply(code))
        await linger(self._client)

    def _malformed(self, head: RequestHead, place: Refusal) -> None:
        self._services.record.flood(
            "refused",
            reason=place.message,
            status=place.status,
            host=place.host,
            method="CONNECT",
            target=head.target.decode("latin-1"),
        )

    def _place(self, head: RequestHead) -> tuple[str, int] | Refusal:
        """Read the destination; Host, where it is sent, has to agree (RFC 9110 §9.3.6)."""
        if head.framing != 0 or head.upgrade:
            return refusal.malformed("CONNECT takes neither a body nor an upgrade")
        place = read_authority(head.target, None)
        if isinstance(place, Refusal) or head.host is None:
            return place
        named = read_authority(head.host, place[1])
        if isinstance(named, Refusal):
            return named
        if named not in {place, self._services.gate.own}:  # some clients name the proxy there
            return refusal.mismatch("the CONNECT target and Host name different hosts", place[0])
        return place

    def _tell(self, verdict: Verdict, host: str, port: int, **more: str) -> None:
        self._services.record.verdict(verdict, host=host, port=port, **more)
        if self._services.access is not None and self._services.asking.refuses(verdict):
            self._services.access.connection(verdict, scheme="https", host=host, port=port, status=403)

    async def serve(self, origin: Origin) -> None:
        """Serve what flows to an allowed destination: TLS, or plain HTTP where a rule says so."""
        self._client.expect(limits.HELLO_TIME)
        first = await self._client.read()
        if not first:
            return self._client.close()
        self._client.unread(first)
        if first[0] != HANDSHAKE:
            return await self._plain(origin)
        try:
            hello = await read_hello(self._client)
        except HelloError as error:
            return self._close(origin, error.message, ACCESS_DENIED)
        problem = contradiction(hello, origin.host)
        if problem:
            return self._close(origin, problem, UNRECOGNISED_NAME)
        if self._services.gate.spliced(origin.host):
            return await self._spliced(origin, hello)
        return await self._terminated(origin)

    async def _plain(self, origin: Origin) -> None:
        """Serve plain HTTP; anything else has no business in this connection."""
        gateway = origin.host in self._services.gate.gateways
        verdict = None if gateway else self._services.gate.connect_plain(origin.host, origin.port)
        if verdict is not None and self._services.asking.refuses(verdict):
            return self._close(origin, "bytes that are not TLS in a connection for TLS", None)
        plain = Origin(kind=origin.kind, scheme="http", host=origin.host, port=origin.port)
        return await Conversation(self._services, self._client, plain).run()

    async def _terminated(self, origin: Origin) -> None:
        stream = TlsStream(self._client, self._services.contexts.get(origin.host))
        try:
            await stream.handshake()
        except ssl.SSLError as error:
            reason = f"the client broke off the TLS handshake: {error.reason or error}"
            self._services.record.flood("refused", host=origin.host, port=origin.port, reason=reason)
            return self._client.close()
        inside = Origin(kind=origin.kind, scheme="https", host=origin.host, port=origin.port)
        with self._services.passages.connection(
            lambda gate: gate.connect(origin.host, origin.port).effect != DENY, self._client
        ):
            if stream.protocol == "h2":
                from ringfence.egress import http2_server

                return await http2_server.serve(self._services, stream, inside)
            return await Conversation(self._services, stream, inside).run()

    async def _spliced(self, origin: Origin, hello: Hello) -> None:
        """Pass TLS through unseen, for hosts the operator listed. An inner hello could name anybody."""
        if hello.encrypted:
            return self._close(
                origin, "an encrypted ClientHello to a host that is passed through", ACCESS_DENIED
            )
        judged = self._services.gate
        verdict = passed_through(origin.host, origin.port, judged.rules)
        raw = hello.server_name or origin.host
        self._tell(verdict, origin.host, origin.port, raw_host=raw, method="splice", source=origin.kind)
        passage = Passage(self._services, self._client, "https", origin.host, origin.port)
        if await passage.refused(verdict) is not None:
            self._client.write(alert(ACCESS_DENIED))
            return self._client.close()
        try:
            upstream = await self._services.upstreams.dial(origin.host, origin.port)
        except (UnreachableError, AddressError):
            return self._client.close()
        now = self._services.gate
        if now is not judged and not _passes(now, origin.host, origin.port):
            upstream.abort()
            return self._close(origin, "the policy changed while the connection was made", ACCESS_DENIED)
        try:
            with self._services.passages.tunnel(
                lambda gate: _passes(gate, origin.host, origin.port), self._client, upstream
            ):
                up, down = await passage.splice(upstream)
        finally:
            upstream.close()
        self._services.record.event("response", host=origin.host, up=up, down=down)
        return self._client.close()

    def _close(self, origin: Origin, reason: str, description: int | None) -> None:
        """Close without a certificate having been shown."""
        self._services.record.flood(
            "refused", host=origin.host, port=origin.port, reason=reason, source=origin.kind
        )
        if description is not None and not self._client.lost:
            self._client.write(alert(description))
        self._client.close()


def _passes(gate: Gate, host: str, port: int) -> bool:
    return gate.spliced(host) and passed_through(host, port, gate.rules).effect == ALLOW


def _unreachable(problem: str, host: str, port: int) -> Refusal:
    if problem == opaque.DENIED:
        message = f"{host} resolves to an address that may not be dialled"
        return Refusal(status=403, kind=refusal.DENIED, message=message, host=host)
    status = 504 if problem == opaque.UNREACHABLE else 502
    message = f"{host}:{port} cannot be reached"
    return Refusal(status=status, kind=refusal.UPSTREAM, message=message, host=host)


def contradiction(hello: Hello, host: str) -> str:
    """Say how a ClientHello contradicts the destination, or return "".

    The name in it has to be the host, spelt canonically but for case. An address is named by nobody.
    """
    if hello.server_name is None:
        return "" if is_address(host) else "the ClientHello names no server"
    try:
        named = canonical_host(hello.server_name)
    except ValueError as error:
        return f"the ClientHello's server name is no host: {error}"
    if hello.server_name.endswith(".") or is_address(named):
        return "the ClientHello's server name is not a plain host name (RFC 6066 §3)"
    return "" if named == host else f"the ClientHello names {named}, the connection is for {host}"
