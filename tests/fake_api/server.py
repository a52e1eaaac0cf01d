"""The server: the paths of the Messages API that Claude Code and the SDKs use, on loopback.

Codex and Gemini CLI find the paths of their own APIs beside them, and are answered from the same scripts.
One thread a connection, bounded; a request body and a connection's life are bounded too. The key is
checked as the real API does it, so a placeholder that reaches this far is refused with 401.
"""

import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Self, cast

from . import clouds, events, gemini, responses
from .authority import Authority
from .record import Record, Request
from .script import Conversation, Script

CONNECTIONS = 64
BODY = 32 * 1024 * 1024
IDLE = 60.0  # seconds a connection may say nothing
EVENTS = "text/event-stream; charset=utf-8"
DEFAULT_MODEL = "claude-opus-5-5"


class FakeAPI:
    """A running Messages API. Use as a context manager; `address` is what to dial."""

    def __init__(
        self,
        script: Script,
        *,
        authority: Authority | None = None,
        key: str = "",
        pace: float = 0.0,
        record: Record | None = None,
        port: int = 0,
    ) -> None:
        self.script, self.key, self.pace = script, key, pace
        self.record = record or Record()
        context = authority.server_context("api.anthropic.com") if authority else None
        self._server = _Server(self, context, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Address and port, as a policy's static entry wants them."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, api: FakeAPI, context: ssl.SSLContext | None, port: int) -> None:
        self.api = api
        self._context = context
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a slow client holds up nobody."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            request.settimeout(IDLE)
            if self._context is not None:
                request = self._context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no event worth a traceback."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake-api"
    disable_nagle_algorithm = True

    @property
    def _api(self) -> FakeAPI:
        return cast("_Server", self.server).api

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the record is the log."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        request = Request(
            time=time.time(),
            peer=f"{self.client_address[0]}:{self.client_address[1]}",
            tls=isinstance(self.connection, ssl.SSLSocket),
            method=self.command,
            target=self.path,
            headers=list(self.headers.items()),
            body=body,
        )
        if not self._api.record.add(request):
            self._error(529, "overloaded_error", "this fake keeps no more requests")
            return
        self._answer(request)

    def _body(self) -> bytes | None:
        if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
            return b"".join(self._chunks())
        length = int(self.headers.get("content-length") or 0)
        if length > BODY:
            self._error(413, "request_too_large", "the body is too large")
            return None
        return self.rfile.read(length)

    def _chunks(self) -> Iterator[bytes]:
        total = 0
        while total <= BODY:
            size = int(self.rfile.readline(64).split(b";")[0], 16)
            data = self.rfile.read(size)
            self.rfile.readline(64)
            if not size:
                return
            total += size
            yield data

    def _answer(self, request: Request) -> None:
        path = request.target.partition("?")[0]
        if path.endswith("/api/hello"):
            self._json(200, {"message": "hello"})
        elif not self._key_fits(request):
            self._error(401, "authentication_error", "invalid x-api-key")
        elif path == "/api/claude_code/settings":
            self._json(404, {"error": {"type": "not_found_error", "message": "no managed settings"}})
        elif path.endswith("/v1/messages/count_tokens"):
            self._json(200, {"input_tokens": len(request.body) // 4})
        elif path.endswith("/v1/messages") and request.method == "POST":
            self._message(request)
        elif (call := clouds.call(path)) and request.method == "POST":
            self._message(request, call)
        elif path.endswith("/v1/responses"):
            self._response(request)
        elif path.endswith(gemini.CALLS) and request.method == "POST":
            self._gemini(request, streamed=path.endswith(gemini.STREAM))
        else:
            self._error(404, "not_found_error", f"no such path: {path}")

    def _key_fits(self, request: Request) -> bool:
        key = self._api.key
        if not key:
            return True
        sent = [request.header(name) for name in ("x-api-key", "x-goog-api-key")]
        return key in sent or request.header("authorization") == f"Bearer {key}"

    def _message(self, request: Request, call: clouds.Call | None = None) -> None:
        try:
            body = request.json()
        except ValueError:
            self._error(400, "invalid_request_error", "the body is not JSON")
            return
        reply = self._api.script.reply(Conversation(body))
        model = str(body.get("model") or (call.model if call else DEFAULT_MODEL))
        if not (call.streamed if call else body.get("stream")):
            self._json(200, events.message(reply, model))
        elif call and call.framed:
            self._stream(clouds.frames(events.events(reply, model)), clouds.FRAMES)
        else:
            self._stream(events.stream(reply, model), EVENTS)

    def _response(self, request: Request) -> None:
        if request.method != "POST":  # Codex would rather have a WebSocket
            self._error(426, "invalid_request_error", "this is spoken over HTTP alone")
            return
        body = request.json()
        reply = self._api.script.reply(Conversation(responses.conversation(body)))
        self._stream(responses.stream(reply, body), EVENTS)

    def _gemini(self, request: Request, *, streamed: bool) -> None:
        body = request.json()
        made = gemini.answer(self._api.script.reply(Conversation(gemini.conversation(body))), body)
        if streamed:
            self._stream(iter([gemini.event(made)]), EVENTS)
        else:
            self._json(200, made)

    def _stream(self, parts: Iterator[bytes], content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("cache-control", "no-cache")
        self.send_header("request-id", f"req_{time.time_ns():x}")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()
            if self._api.pace:
                time.sleep(self._api.pace)
        self.wfile.write(b"0\r\n\r\n")

    def _error(self, status: int, kind: str, text: str) -> None:
        self._json(status, {"type": "error", "error": {"type": kind, "message": text}})

    def _json(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
