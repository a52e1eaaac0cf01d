"""One request and its answer: sent upstream, streamed both ways, scrubbed, put on record.

The answer is read while the body is still being sent, so an early answer gets through. Each piece is
passed on as it comes; whoever reads slowly makes the other side wait. When one side goes, the other is
aborted at once: a closed event stream must stop costing tokens.
"""

import asyncio
import time

from ringfence.credential.secret import Secret
from ringfence.egress import http1, limits, refusal
from ringfence.egress.gate import Target, response_fields
from ringfence.egress.http1 import CHUNKED, Body, MalformedError, RequestHead, ResponseHead
from ringfence.egress.refusal import Refusal
from ringfence.egress.scrub import Scrubber, scrub_fields
from ringfence.egress.services import Services
from ringfence.egress.stream import GoneError, LateError
from ringfence.egress.tls import AnyStream
from ringfence.egress.tunnel import splice
from ringfence.egress.upstream import AddressError, Connection, UnreachableError
from ringfence.errors import PeerError
from ringfence.policy.model import Credential

# Sent again on a new connection when the pooled one turned out to be closed (RFC 9110 §9.2.2).
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class Exchange:
    """One allowed request under way."""

    def __init__(
        self,
        services: Services,
        client: AnyStream,
        head: RequestHead,
        target: Target,
        *,
        chosen: tuple[Credential, Secret] | None,
        rest: bytes,
    ) -> None:
        self._services = services
        self._client = client
        self._head = head
        self._target = target
        self._chosen = chosen
        self._body = http1.body(head.framing)
        self._client_error: PeerError | None = None
        self._upstream: Connection | None = None
        self._started = time.perf_counter()
        self.rest = rest  # bytes after the head that are not used yet; at the end, the next request's
        self.answered = False  # the answer's head has been sent
        self.status = 0
        self.up = 0
        self.down = 0

    async def run(self) -> Refusal | bool:
        """Return whether the connection can take another request, or what to tell the client instead."""
        try:
            rest, self.rest = self.rest, b""
            first = self._take(rest)
            connection = self._upstream = await self._connect()
        except UnreachableError as error:
            return self._failed(error.answer, error.message)
        except AddressError as error:
            return Refusal(status=403, kind=refusal.DENIED, message=error.message, host=self._target.host)
        self._client.on_gone = connection.stream.abort
        self._services.busy += 1
        finished = False
        try:
            outcome = await self._both_ways(connection, first)
            finished = outcome is True or outcome is False
            return outcome
        finally:
            self._client.on_gone = None
            self._services.busy -= 1
            if not finished:
                connection.stream.abort()
            self._tell()

    async def _connect(self) -> Connection:
        target, credential = self._target, self._chosen[0].name if self._chosen else ""
        repeatable = self._repeatable()
        upstreams = self._services.upstreams
        return await upstreams.take(
            target.scheme, target.host, target.port, credential, repeatable=repeatable
        )

    def _repeatable(self) -> bool:
        return self._head.method in _REPEATABLE and self._head.framing == 0

    async def _both_ways(self, connection: Connection, first: bytes) -> Refusal | bool:
        """Send the request and pass on the answer; at most once more on a new connection."""
        if self._head.expect and not self._body.done:
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._send(connection, first)
        if self._body.done:
            outcome = await self._answer(connection)
        else:
            async with asyncio.TaskGroup() as group:
                upload = group.create_task(self._upload(connection))
                outcome = await self._answer(connection)
                upload.cancel()
        if (
            isinstance(outcome, GoneError)
            and connection.reused
            and self._repeatable()
            and not self._client.ended
        ):
            self._upstream = fresh = await self._replaced(connection)
            self._send(fresh, first)
            outcome = await self._answer(fresh)
        return self._settled(outcome)

    async def _replaced(self, stale: Connection) -> Connection:
        stale.stream.abort()
        fresh = await self._services.upstreams.replace(stale)
        self._client.on_gone = fresh.stream.abort
        return fresh

    def _settled(self, outcome: "bool | PeerError") -> Refusal | bool:
        """Turn what went wrong into what to tell the client, if anything can still be told."""
        if isinstance(outcome, bool):
            return outcome
        if self.answered:
            raise outcome
        if self._client_error is not None:
            if isinstance(self._client_error, MalformedError):
                return refusal.malformed(self._client_error.message, self._client_error.answer)
            if isinstance(self._client_error, LateError):
                return refusal.malformed("the request's body took too long", 408)
            raise self._client_error
        if isinstance(outcome, LateError):
            return self._failed(504, f"{self._target.host} took too long to answer")
        return self._failed(502, f"{self._target.host}: {outcome}")

    def _failed(self, status: int, message: str) -> Refusal:
        return Refusal(status=status, kind=refusal.UPSTREAM, message=message, host=self._target.host)

    # --- up

    def _take(self, data: bytes) -> bytes:
        """Decode a piece of the body and frame it again."""
        payload = self._body.take(data) if not self._body.done else b""
        if self._body.done:
            self.rest = self._body.rest or (data if self._head.framing == 0 else b"")
        self.up += len(payload)
        if self._head.framing != CHUNKED:
            return payload
        return http1.chunk(payload) + (http1.LAST_CHUNK if self._body.done else b"")

    def _send(self, connection: Connection, first: bytes) -> None:
        credential, secret = self._chosen or (None, None)
        if credential is not None:
            self._services.record.event(
                "inject", credential=credential.name, host=self._target.host, port=self._target.port
            )
        head = self._services.gate.forward(self._head, self._target, credential, secret)
        connection.stream.write(head + first)

    async def _upload(self, connection: Connection) -> None:
        """Pass the rest of the body on. A client that fails takes the upstream connection with it."""
        try:
            while not self._body.done:
                self._client.expect(limits.BODY_TIME)
                data = await self._client.read()
                if not data:
                    self._body.finish()
                piece = self._take(data)
                if piece:
                    connection.stream.write(piece)
                    await connection.stream.drain()
        except PeerError as error:
            self._client_error = error
            connection.stream.abort()

    # --- down

    async def _answer(self, connection: Connection) -> bool | PeerError:
        """Pass the answer on; errors come back as values so that a body being sent can be ended first."""
        try:
            head, rest = await self._response_head(connection)
            if head.status == 101:
                return await self._switch(connection, head, rest)
            return await self._pass_on(connection, head, rest)
        except PeerError as error:
            return error

    async def _response_head(self, connection: Connection) -> tuple[ResponseHead, bytes]:
        """Read the answer's head; interim answers are swallowed, we have given our own."""
        stream, data, seen = connection.stream, b"", 0
        stream.expect(limits.ANSWER_TIME)
        for _ in range(limits.INFORMATIONAL):
            while not (end := http1.head_end(data, seen)):
                seen = len(data)
                more = await stream.read()
                if not more:
                    raise GoneError("the connection was closed before an answer")
                data += more
            head = http1.parse_response(data[:end], self._head.method)
            data, seen = data[end:], 0
            if head.status >= 200 or (head.status == 101 and self._head.upgrade == b"websocket"):
                return head, data
            if head.status == 101:
                raise MalformedError("the upstream switched to a protocol nobody asked for", answer=502)
        raise MalformedError("too many interim answers", answer=502)

    async def _pass_on(self, connection: Connection, head: ResponseHead, rest: bytes) -> bool:
        client, upstream = self._client, connection.stream
        decoder = http1.body(head.framing)
        scrubber = self._scrubber()
        close = self._head.close or not self._body.done or (head.framing < 0 and self._head.minor == 0)
        chunked = head.framing < 0 and self._head.minor == 1
        self._note_status(head.status)
        out = self._render(head, chunked=chunked, close=close)
        if rest and not decoder.done:
            out += self._piece(decoder, scrubber, rest, chunked=chunked)
        self.answered = True
        client.write(out)
        while not decoder.done:
            await client.drain()
            upstream.expect(limits.STREAM_TIME)
            data = await upstream.read()
            if not data:
                decoder.finish()
            out = self._piece(decoder, scrubber, data, chunked=chunked)
            if out:
                client.write(out)
        await client.drain()
        if head.close or decoder.rest or not self._body.done:
            upstream.close()
        else:
            self._services.upstreams.give_back(connection, head.keep_for)
        return not close

    def _piece(self, decoder: Body, scrubber: Scrubber | None, data: bytes, *, chunked: bool) -> bytes:
        """Decode, scrub and frame what arrived."""
        payload = decoder.take(data) if data else b""
        if scrubber is not None:
            payload = scrubber.feed(payload)
            if decoder.done:
                payload += scrubber.finish()
        self.down += len(payload)
        if not chunked:
            return payload
        return http1.chunk(payload) + (http1.LAST_CHUNK if decoder.done else b"")

    def _render(self, head: ResponseHead, *, chunked: bool, close: bool) -> bytes:
        fields = response_fields(head)
        phrase = head.phrase
        if self._chosen is not None:
            fields = scrub_fields(fields, self._services.keys.values)
            phrase = scrub_fields([(b"", phrase)], self._services.keys.values)[0][1]
        if chunked:
            fields.append((b"Transfer-Encoding", b"chunked"))
        elif head.stated is not None:
            fields.append((b"Content-Length", head.stated))
        elif head.framing > 0 or (head.framing == 0 and self._has_length(head)):
            fields.append((b"Content-Length", b"%d" % head.framing))
        if close:
            fields.append((b"Connection", b"close"))
        elif self._head.minor == 0:
            fields.append((b"Connection", b"keep-alive"))
        return http1.write_head(b"HTTP/1.1 %d %b" % (head.status, phrase), fields)

    def _has_length(self, head: ResponseHead) -> bool:
        """Say whether an empty answer states so: not where there can be no body (RFC 9110 §8.6)."""
        return head.status not in {204, 304} and self._head.method != "HEAD"

    def _scrubber(self) -> Scrubber | None:
        return Scrubber(self._services.keys.values) if self._chosen is not None else None

    def _note_status(self, status: int) -> None:
        self.status = status
        if status == 401 and self._chosen is not None:
            self._services.keys.rejected(self._chosen[0])

    async def _switch(self, connection: Connection, head: ResponseHead, rest: bytes) -> bool:
        """Become a tunnel after a real 101 (WebSocket, RFC 6455 §4)."""
        self._note_status(101)
        fields = response_fields(head)
        if self._chosen is not None:
            fields = scrub_fields(fields, self._services.keys.values)
        fields += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
        self.answered = True
        self._client.on_gone = None
        self._client.write(http1.write_head(b"HTTP/1.1 101 Switching Protocols", fields))
        connection.stream.unread(rest)
        self._client.unread(self.rest)
        self.rest = b""
        self.up, self.down = await splice(self._client, connection.stream)
        connection.stream.close()
        return False

    def _tell(self) -> None:
        took = time.perf_counter() - self._started
        self._services.record.event(
            "response",
            host=self._target.host,
            status=self.status,
            up=self.up,
            down=self.down,
            ms=round(took * 1000, 1),
        )
