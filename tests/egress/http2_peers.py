"""HTTP/2 on both ends of a gate, for tests: a strict upstream that records, and a client that sends any frame."""

import contextlib
import socket
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack
from gates import WAIT
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Request:
    """One request as an upstream saw it."""

    def __init__(self, number, fields):
        self.number = number
        self.fields = fields  # as sent, pseudo-fields too
        self.body = b""
        self.trailers = None
        self.over = False
        self.reset = None  # the code of a reset

    @property
    def named(self):
        return dict(self.fields)


class Upstream2:
    """An HTTP/2 server on loopback. The h2 library checks all that reaches it, with everything strict.

    `answer(peer, request)` is called when a request is over; `begun(peer, request)` when its head is there.
    """

    def __init__(self, context=None, answer=None, begun=None, settings=None):
        self.context = context
        if context is not None:
            context.set_alpn_protocols(["h2"])
        self.answer = answer or (lambda peer, request: peer.reply(request, 200, b"ok"))
        self.begun = begun
        self.settings = settings or {}
        self.requests = []
        self.faults = []  # what the library found wrong with what the gate sent
        self.connections = 0
        self.ended = 0
        self.events = []
        self._stop = False
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def clear(self):
        self.requests.clear()
        self.faults.clear()
        self.events.clear()
        self.connections = self.ended = 0

    def close(self):
        self._stop = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(WAIT)

    def _run(self):
        while not self._stop:
            try:
                raw, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        raw.settimeout(WAIT * 2)
        try:
            sock = raw if self.context is None else self.context.wrap_socket(raw, server_side=True)
            self.connections += 1
            with sock:
                Peer(self, sock).converse()
        except (OSError, ssl.SSLError):
            raw.close()
        finally:
            self.ended += 1


class Peer:
    """One connection of an upstream."""

    def __init__(self, upstream, sock):
        self.upstream = upstream
        self.sock = sock
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        if upstream.settings:
            self.conn.local_settings.update(upstream.settings)
            self.conn.local_settings.acknowledge()
        self.open = {}
        self.waiting = {}

    def flush(self):
        data = self.conn.data_to_send()
        if data:
            self.sock.sendall(data)

    def reply(self, request, status, body=b"", fields=(), trailers=()):
        """Answer whole."""
        alone = not body and not trailers
        self.conn.send_headers(request.number, [(":status", str(status)), *fields], end_stream=alone)
        if not alone:
            self.waiting[request.number] = (body, list(trailers))
            self.pump()

    def pump(self):
        """Send the bodies that wait as far as their windows allow; what is not wanted any more is dropped."""
        for number in list(self.waiting):
            try:
                self._pump(number)
            except h2.exceptions.StreamClosedError:
                del self.waiting[number]

    def _pump(self, number):
        body, trailers = self.waiting[number]
        while body:
            room = min(self.conn.local_flow_control_window(number), self.conn.max_outbound_frame_size)
            if room <= 0:
                self.waiting[number] = (body, trailers)
                return
            self.conn.send_data(number, body[:room])
            body = body[room:]
        del self.waiting[number]
        if trailers:
            self.conn.send_headers(number, trailers, end_stream=True)
        else:
            self.conn.end_stream(number)

    def converse(self):
        self.conn.initiate_connection()
        self.flush()
        while self.step():
            pass

    def step(self):
        data = self.sock.recv(65536)
        if not data:
            return False
        try:
            events = self.conn.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.upstream.faults.append(repr(error))
            self.flush()
            return False
        for event in events:
            self.take(event)
        self.pump()
        self.flush()
        return True

    def take(self, event):
        upstream = self.upstream
        upstream.events.append(event)
        if isinstance(event, h2.events.RequestReceived):
            request = Request(
                event.stream_id,
                [(bytes(a).decode("latin-1"), bytes(b).decode("latin-1")) for a, b in event.headers],
            )
            self.open[event.stream_id] = request
            upstream.requests.append(request)
            if upstream.begun:
                upstream.begun(self, request)
        elif isinstance(event, h2.events.DataReceived):
            self.open[event.stream_id].body += event.data
            if event.flow_controlled_length:
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.open[event.stream_id].trailers = [
                (bytes(a).decode(), bytes(b).decode()) for a, b in event.headers
            ]
        elif isinstance(event, h2.events.StreamReset):
            self.open[event.stream_id].reset = event.error_code
        elif isinstance(event, h2.events.StreamEnded):
            request = self.open[event.stream_id]
            request.over = True
            upstream.answer(self, request)


class Client2:
    """A client that sends the frames it is told to, right or wrong, and reads what comes back."""

    def __init__(self, sock, *, begin=True):
        self.sock = sock
        self.sock.settimeout(WAIT)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.held = b""
        self.frames = []
        self.heads = {}  # by stream: every field list that came
        self.bodies = {}
        self.resets = {}
        self.over = set()
        self.goaway = None
        self.closed = False
        if begin:
            self.send(PREFACE + SettingsFrame(0).serialize())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, *frames):
        """Send frames, or bytes as they are; a connection that is closed meanwhile is no fault."""
        raw = b"".join(one if isinstance(one, bytes) else one.serialize() for one in frames)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.sock.sendall(raw)

    def headers(self, number, fields, *, end=True, raw=False):
        """Return a field list, in as many frames as it takes; `raw`: every field literal, without a table."""
        frame, block = HeadersFrame(number), literal(fields) if raw else self.encoder.encode(fields)
        frame.data, block = block[:16384], block[16384:]
        frames = [frame]
        while block:
            frames.append(ContinuationFrame(number))
            frames[-1].data, block = block[:16384], block[16384:]
        frames[-1].flags.add("END_HEADERS")
        if end:
            frame.flags.add("END_STREAM")
        return b"".join(one.serialize() for one in frames)

    def ask(self, number, host, method="GET", path="/", fields=(), body=None, scheme="https"):
        """Send a whole request."""
        head = [(":method", method), (":scheme", scheme), (":authority", host), (":path", path), *fields]
        self.send(self.headers(number, head, end=body is None))
        if body is not None:
            self.send(data(number, body, end=True))

    def read(self, until, seconds=WAIT):
        """Read frames until `until()` says so, or the end of the connection, or the time is over."""
        limit = time.monotonic() + seconds
        while not until() and not self.closed:
            left = limit - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except TimeoutError:
                return False
            except (ConnectionResetError, ssl.SSLError):
                more = b""
            if not more:
                self.closed = True
            self.held += more
            self._take()
        return until()

    def _take(self):
        while len(self.held) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.held[:9]))
            if len(self.held) < 9 + length:
                return
            frame.parse_body(memoryview(self.held[9 : 9 + length]))
            self.held = self.held[9 + length :]
            self._frame(frame)

    def _frame(self, frame):
        self.frames.append(frame)
        number = frame.stream_id
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            ack = SettingsFrame(0)
            ack.flags.add("ACK")
            self.send(ack)
        elif isinstance(frame, HeadersFrame):
            fields = [
                (bytes(a).decode("latin-1"), bytes(b).decode("latin-1"))
                for a, b in self.decoder.decode(frame.data, raw=True)
            ]
            self.heads.setdefault(number, []).append(fields)
        elif isinstance(frame, DataFrame):
            self.bodies[number] = self.bodies.get(number, b"") + frame.data
        elif isinstance(frame, RstStreamFrame):
            self.resets[number] = frame.error_code
        elif isinstance(frame, GoAwayFrame):
            self.goaway = frame.error_code
        if "END_STREAM" in frame.flags:
            self.over.add(number)

    def done(self, *numbers):
        """Wait until these streams have ended, one way or the other."""
        return self.read(lambda: all(one in self.over or one in self.resets for one in numbers))

    def status(self, number):
        found = self.heads.get(number)
        return int(dict(found[0])[":status"]) if found else None

    def ended(self, seconds=WAIT):
        """Wait for the end of the connection."""
        self.read(lambda: False, seconds)
        return self.closed


def connect2(gate, authority, **more):
    """Open a tunnel, TLS with HTTP/2 in it, and a client on it."""
    context = ssl.create_default_context(cafile=gate.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    sock = gate.connect(authority, context=context)
    assert sock.selected_alpn_protocol() == "h2"
    return Client2(sock, **more)


def literal(fields):
    """Encode fields as they are: any name, any value, any order."""
    out = b""
    for name, value in fields:
        out += b"\x10"
        for text in (name, value):
            raw = text.encode("latin-1") if isinstance(text, str) else text
            out += integer(len(raw)) + raw
    return out


def integer(size):
    if size < 127:
        return bytes((size,))
    out, size = b"\x7f", size - 127
    while size > 127:
        out += bytes((size & 127 | 128,))
        size >>= 7
    return out + bytes((size,))


def data(number, body, *, end=False):
    frame = DataFrame(number)
    frame.data = body
    if end:
        frame.flags.add("END_STREAM")
    return frame


def reset(number, code=8):
    frame = RstStreamFrame(number)
    frame.error_code = code
    return frame


def ping(content=b"12345678"):
    frame = PingFrame(0)
    frame.opaque_data = content
    return frame


def settings(**values):
    frame = SettingsFrame(0)
    frame.settings = {getattr(SettingsFrame, name): value for name, value in values.items()}
    return frame


def window(number, size):
    frame = WindowUpdateFrame(number)
    frame.window_increment = size
    return frame
