"""One HTTP/1.1 connection from the boundary: request after request, each judged on its own.

One request is in flight at a time; what a client pipelines waits. After anything malformed the
connection is closed, because where the next request would start is unknown.
"""

from ringfence.egress import http1, judge, limits, refusal
from ringfence.egress.gate import PROXY, Origin
from ringfence.egress.http1 import MalformedError, OtherVersionError, RequestHead
from ringfence.egress.http1_server import ServerRequest
from ringfence.egress.memo import Memo
from ringfence.egress.refusal import Refusal
from ringfence.egress.services import Services
from ringfence.egress.stream import GoneError, LateError
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Connector = Callable[[RequestHead, bytes], Awaitable[None]]  # takes over a connection at CONNECT
    Admit = Callable[[RequestHead], RequestHead | bytes]  # the request to judge, or the answer to it


class Conversation:
    """Serves the requests of one connection."""

    def __init__(
        self,
        services: Services,
        client: AnyStream,
        origin: Origin,
        connector: "Connector | None" = None,
        admit: "Admit | None" = None,
    ) -> None:
        """`connector` is what CONNECT leads to; without it CONNECT is refused.

        `admit` says whether a request comes from whom the connection was accepted from, and what of it is
        meant for others than the gate.
        """
        self._services = services
        self._client = client
        self._origin = origin
        self._connector = connector
        self._admit = admit
        self._rest = b""  # read and not used yet
        self._memo = Memo()
        # Without TLS there is no ALPN: who begins with HTTP/2's preface speaks it with prior knowledge. Each
        # request is judged as plain HTTP then, so only rules that allow the scheme let it through.
        self._may_be_newer = origin.scheme == "http" and origin.kind != PROXY and admit is None

    async def run(self) -> None:
        """Serve until the client or a fault ends it."""
        while True:
            try:
                head = await self._next_head()
            except MalformedError as error:
                if isinstance(error, OtherVersionError) and self._may_be_newer:
                    return await self._newer()
                return await self._refuse_whole(refusal.malformed(error.message, error.answer))
            except LateError:
                return self._late()
            if head is None:
                return self._client.close()
            if self._admit is not None:
                admitted = self._admit(head)
                if isinstance(admitted, bytes):
                    self._client.write(admitted)
                    return await linger(self._client)
                head = admitted
            if head.method == "CONNECT" and self._connector is not None:
                return await self._connector(head, self._rest)
            self._may_be_newer = False
            request = ServerRequest(self._client, head, self._rest, self._memo)
            self._rest = b""
            await judge.serve(self._services, request, self._origin)
            if request.cut:
                return None
            if not request.again:
                return await linger(self._client)
            self._rest = request.rest

    async def _next_head(self) -> RequestHead | None:
        """Read the next request's head; None at the end of the connection."""
        client, data, seen, end = self._client, self._rest, 0, 0
        idle = not data  # the deadline is that of waiting for a head
        client.expect(limits.IDLE_TIME if idle else limits.HEAD_TIME)
        while not (data and (end := http1.head_end(data, seen))):
            if data and idle:
                idle = False
                client.expect(limits.HEAD_TIME)
            seen = len(data)
            more = await client.read()
            if not more:
                if data:
                    raise GoneError("the connection ended in the middle of a head")
                return None
            data += more
        self._rest = data[end:]
        return self._memo.read(data[:end])

    async def _newer(self) -> None:
        """Go on as HTTP/2, whose preface has been read for a head."""
        from ringfence.egress import http2_server
        from ringfence.egress.http2_meter import PREFACE

        self._client.unread(PREFACE[:18] + self._rest)
        await http2_server.serve(self._services, self._client, self._origin)

    # --- refusing

    async def _refuse_whole(self, outcome: Refusal) -> None:
        """Tell about something that could not be read, and close."""
        self._services.record.flood(
            "refused",
            reason=outcome.message,
            status=outcome.status,
            host=self._origin.host,
            source=self._origin.kind,
        )
        self._client.write(refusal.render(outcome, close=True))
        await linger(self._client)

    def _late(self) -> None:
        """End a connection that took too long: with 408 where a head had begun, else silently."""
        if self._rest or self._origin.kind == PROXY:
            self._client.write(
                refusal.render(refusal.malformed("the request took too long", 408), close=True)
            )
        self._client.close()


async def linger(client: AnyStream) -> None:
    """Close so that the last answer arrives: end our direction, then read what is still coming for a while.

    Closing with unread bytes makes the kernel send a reset, which can overtake the answer (RFC 9112 §9.6).
    """
    try:
        await client.drain()
        client.write_eof()
        client.expect(limits.REFUSE_TIME)
        read = 0
        while read < limits.DRAIN and (more := await client.read()):
            read += len(more)
    except PeerError:
        pass
    client.close()
