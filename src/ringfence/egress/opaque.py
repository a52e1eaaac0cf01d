"""Raw TCP to a host and port that a rule names (`schemes = ["tcp"]`): databases, ssh, anything at all.

Nobody looks into such a connection, so it is dialled before the client has said a word: many protocols
let the server speak first. What is known of it is on record: where to, under which rule, how many bytes
each way. When the client leaves while its upstream is being dialled, dialling ends too.
"""

from ringfence.egress.dial import AddressError, UnreachableError
from ringfence.egress.gate import Gate
from ringfence.egress.passage import Passage
from ringfence.egress.presence import Presence
from ringfence.egress.services import Services
from ringfence.egress.stream import Stream
from ringfence.egress.tls import AnyStream
from ringfence.policy.model import ALLOW
from ringfence.verdict.request import Verdict, opaque_tcp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What a client is told about a connection that did not come about
DENIED, REFUSED, UNREACHABLE = "denied", "refused", "unreachable"


class Opaque:
    """One raw connection from the boundary to `host:port`."""

    def __init__(self, services: Services, client: AnyStream, host: str, port: int) -> None:
        self._services = services
        self._client = client
        self.host = host
        self.port = port

    def verdict(self) -> Verdict:
        """Decide; a rule about requests (https, http) says nothing about raw TCP."""
        return opaque_tcp(self.host, self.port, self._services.gate.rules)

    async def run(
        self, verdict: Verdict, *, source: str, raw: str, opened: "Callable[[], None]" = lambda: None
    ) -> str:
        """Serve an allowed connection to its end; returns "" or why it did not come about."""
        self._services.record.verdict(
            verdict, host=self.host, raw_host=raw, port=self.port, method="tcp", source=source
        )
        passage = Passage(self._services, self._client, "tcp", self.host, self.port)
        if await passage.refused(verdict) is not None:
            return DENIED
        try:
            with Presence(self._client, lambda: self._client.lost):
                upstream = await self._services.upstreams.dial(self.host, self.port)
        except AddressError:
            return DENIED
        except UnreachableError as error:
            return UNREACHABLE if error.answer == 504 else REFUSED

        def allowed(gate: Gate) -> bool:
            return opaque_tcp(self.host, self.port, gate.rules).effect in {ALLOW, verdict.effect}

        if not allowed(self._services.gate):  # other rules came while it waited for an answer or its upstream
            upstream.abort()
            return DENIED
        opened()
        await self._relay(passage, upstream, allowed)
        return ""

    async def _relay(self, passage: Passage, upstream: Stream, allowed: "Callable[[Gate], bool]") -> None:
        try:
            with self._services.passages.tunnel(allowed, self._client, upstream):
                up, down = await passage.splice(upstream)
        finally:
            upstream.close()
            self._client.close()
        self._services.record.event("response", host=self.host, port=self.port, up=up, down=down)
