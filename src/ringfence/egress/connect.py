"""From a connection that names its destination to what flows in it: CONNECT, and TLS by its first bytes.

A destination is judged before anything is answered; the ClientHello is read before a certificate is
shown, and must name the same host; only then is TLS terminated (or passed through, for hosts under
`splice`). Upstream is not dialled before there is a request that was allowed.
"""

import ssl

from ringfence.egress import limits, refusal
from ringfence.egress.conversation import Conversation, linger
from ringfence.egress.gate import TUNNEL, Origin, read_authority
from ringfence.egress.http1 import RequestHead
from ringfence.egress.refusal import Refusal, denied
from ringfence.egress.services import Services
from ringfence.egress.stream import Stream
from ringfence.egress.tls import (
    ACCESS_DENIED,
    HANDSHAKE,
    UNRECOGNISED_NAME,
    Hello,
    HelloError,
    TlsStream,
    alert,
    read_hello,
)
from ringfence.egress.tunnel import splice
from ringfence.egress.upstream import AddressError, UnreachableError
from ringfence.policy.model import ALLOW
from ringfence.subject import canonical_host, is_address
from ringfence.verdict.request import Verdict, opaque

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Connector:
    """Opens tunnels for one client connection."""

    def __init__(self, services: Services, client: Stream) -> None:
        self._services = services
        self._client = client

    async def connect(self, head: RequestHead, rest: bytes) -> None:
        """Serve a CONNECT request, to the end of the connection."""
        origin = self._judged(head)
        if isinstance(origin, Refusal):
            self._client.write(refusal.render(origin, close=True))
            return await linger(self._client)
        self._client.write(ESTABLISHED)
        self._client.unread(rest)
        return await self.serve(origin)

    def _judged(self, head: RequestHead) -> Origin | Refusal:
        place = self._place(head)
        if isinstance(place, Refusal):
            self._services.record.flood(
                "refused",
                reason=place.message,
                status=place.status,
                host=place.host,
                method="CONNECT",
                target=head.target.decode("latin-1"),
            )
            return place
        host, port = place
        if host in self._services.gate.gateways and port == 80:
            return Origin(kind=TUNNEL, scheme="http", host=host, port=port)
        verdict = self._services.gate.connect(host, port)
        if verdict.effect != ALLOW:
            self._tell(verdict, host, port, head.target.decode("latin-1"), "CONNECT")
            return denied(verdict, "https", host, port, f"CONNECT {host}:{port}")
        return Origin(kind=TUNNEL, scheme="https", host=host, port=port)

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

    def _tell(self, verdict: Verdict, host: str, port: int, raw: str, method: str) -> None:
        self._services.record.verdict(
            verdict, host=host, raw_host=raw, port=port, method=method, source=TUNNEL
        )

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
        if verdict is not None and verdict.effect != ALLOW:
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
        verdict = opaque(origin.host, origin.port, self._services.gate.rules)
        self._tell(verdict, origin.host, origin.port, hello.server_name or origin.host, "splice")
        if verdict.effect != ALLOW:
            self._client.write(alert(ACCESS_DENIED))
            return self._client.close()
        try:
            upstream = await self._services.upstreams.dial(origin.host, origin.port)
        except (UnreachableError, AddressError):
            return self._client.close()
        try:
            up, down = await splice(self._client, upstream)
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
