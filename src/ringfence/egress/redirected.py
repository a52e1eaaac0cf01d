"""Connections that were on their way somewhere else: redirected to the gate by the network around a client.

Where such a connection was going counts for nothing by itself: the name in the ClientHello or in Host is
judged, and dialled at the address *we* resolve for it. Only where a rule names the very address, that
address is meant.
"""

import socket

from ringfence.egress import limits
from ringfence.egress.connect import Connector
from ringfence.egress.conversation import Conversation
from ringfence.egress.gate import WIRE, Origin
from ringfence.egress.hello import ACCESS_DENIED, HANDSHAKE, HelloError, alert, read_hello
from ringfence.egress.opaque import Opaque
from ringfence.egress.services import Services
from ringfence.egress.stream import Stream
from ringfence.egress.tunnel import cut
from ringfence.errors import PeerError
from ringfence.policy.model import EgressRule
from ringfence.subject import canonical_host
from ringfence.verdict.request import USUAL_PORT, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h; the same number is IP6T_SO_ORIGINAL_DST

Place = tuple[str, int]


class Redirected:
    """One such connection, to an address that stands for no name of ours."""

    def __init__(self, services: Services, stream: Stream, ports: frozenset[int]) -> None:
        """`ports` are those on which some rule could allow a request: see `ports_named`."""
        self._services = services
        self._stream = stream
        self._ports = ports

    async def run(self, address: str, port: int) -> None:
        """Serve it: by rule for its address, else by the name it gives in itself."""
        services, stream = self._services, self._stream
        literal, raw = Connector(services, stream).judged(address, port)
        if raw and not services.asking.refuses(literal):
            return await opaque(services, stream, literal, address, port)
        if services.asking.refuses(literal) and port not in self._ports:
            return refuse(services, stream, literal, address, port)
        stream.expect(limits.HELLO_TIME)
        first = await stream.read()
        stream.unread(first)
        if not first:
            return stream.close()
        if first[0] != HANDSHAKE:
            origin = Origin(kind=WIRE, scheme="http", port=port, address=address)
            return await Conversation(services, stream, origin).run()
        return await self._by_hello(address, port, literal)

    async def _by_hello(self, address: str, port: int, literal: Verdict) -> None:
        stream = self._stream
        try:
            named = (await read_hello(stream)).server_name
            host = address if named is None else canonical_host(named)
        except (HelloError, ValueError):
            host = address
        verdict = literal if host == address else self._services.gate.connect(host, port)
        if self._services.asking.refuses(verdict):
            stream.write(alert(ACCESS_DENIED))
            _tell(self._services, verdict, host, port, address)
            return stream.close()
        return await Connector(self._services, stream).serve(
            Origin(kind=WIRE, scheme="https", host=host, port=port)
        )


async def opaque(services: Services, stream: Stream, verdict: Verdict, host: str, port: int) -> None:
    """Serve raw TCP; what cannot be reached is reset, as a closed port would be."""
    if await Opaque(services, stream, host, port).run(verdict, source=WIRE, raw=host):
        cut(stream)


def refuse(services: Services, stream: Stream, verdict: Verdict, host: str, port: int) -> None:
    """Refuse a connection before a byte of it was read."""
    _tell(services, verdict, host, port, host)
    stream.abort()


def _tell(services: Services, verdict: Verdict, host: str, port: int, address: str) -> None:
    services.record.verdict(
        verdict, host=host, raw_host=host, port=port, method="connect", address=address, source=WIRE
    )
    if services.access is not None:
        services.access.connection(verdict, scheme="tcp", host=host, port=port, status=403)


def original_destination(sock: socket.socket) -> Place:
    """Return where a redirected connection was going, before the redirection."""
    peer = str(sock.getpeername()[0])
    try:
        if sock.family == socket.AF_INET or peer.startswith("::ffff:"):
            raw = sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
            return socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")
        raw = sock.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
        return plain_address(socket.inet_ntop(socket.AF_INET6, raw[8:24])), int.from_bytes(raw[2:4], "big")
    except OSError as error:
        raise PeerError(f"a connection without an original destination: {error.strerror}") from error


def ports_named(rules: "Iterable[EgressRule]") -> frozenset[int]:
    """Return every port on which some rule could allow a request; raw TCP names no host by itself."""
    ports: set[int] = set()
    for rule in rules:
        usual = [USUAL_PORT[scheme] for scheme in rule.schemes if scheme in USUAL_PORT]
        if usual:
            ports.update(rule.ports or usual)
    return frozenset(ports)


def plain_address(address: str) -> str:
    """Return an IPv4 address without its IPv6 clothes, and an IPv6 address without its zone."""
    return address.removeprefix("::ffff:") if "." in address else address.partition("%")[0]
