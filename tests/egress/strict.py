"""Upstreams that take nothing but what three parsers agree on, and the replay of requests against them."""

import collections
import contextlib
import itertools
import os
import threading
import time
import tomllib

import h11
import httptools
from gates import OK, WAIT, Upstream
from http2_peers import Upstream2, connect2, data, literal

from ringfence import approval
from ringfence.cli import approve

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
PATIENCE = 0.3  # seconds to wait for an answer that may not come
PAUSE = 0.02  # and for one behind another
turns = itertools.count()


def cases(name):
    """Return a table of `cases/`."""
    with open(os.path.join(CASES, f"{name}.toml"), "rb") as file:
        return tomllib.load(file)


class Seen:
    """One whole request as an upstream read it."""

    def __init__(self, method, path, fields, body):
        self.method = method
        self.path = path
        self.fields = fields  # (name in small letters, value)
        self.body = body


class Llhttp:
    """What Node.js would read."""

    def __init__(self):
        self.urls, self.whole, self.body = [], 0, b""

    def on_url(self, url):
        self.urls.append(url)

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.whole += 1


class Strict(Upstream):
    """An HTTP/1.1 server by h11; llhttp reads the same bytes beside it, and has to find the same requests."""

    def __init__(self, context=None):
        self.whole = []
        self.faults = []
        super().__init__(context)

    def clear(self):
        super().clear()
        self.whole.clear()
        self.faults.clear()

    def _converse(self, sock):
        connection, other = h11.Connection(h11.SERVER), Llhttp()
        parser = httptools.HttpRequestParser(other)
        while request := self._next(sock, connection, parser):
            body = b""
            while isinstance(part := self._event(sock, connection, parser), h11.Data):
                body += bytes(part.data)
            if not isinstance(part, h11.EndOfMessage):
                return
            fields = [(bytes(name), bytes(value)) for name, value in request.headers]
            seen = Seen(request.method.decode(), request.target.decode(), fields, body)
            if (other.urls, other.whole, other.body) != ([request.target], 1, body):
                self.faults.append(
                    f"llhttp reads {other.urls} {other.body!r} where h11 has {request} {body!r}"
                )
            if connection.trailing_data[0]:
                self.faults.append(f"{connection.trailing_data[0]!r} behind {request}")
            self.whole.append(seen)
            sock.sendall(OK)
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "2")]))
            connection.send(h11.Data(data=b"ok"))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
            other.__init__()

    def _next(self, sock, connection, parser):
        event = self._event(sock, connection, parser)
        return event if isinstance(event, h11.Request) else None

    def _event(self, sock, connection, parser):
        """Return the next event; a protocol error of either parser is a fault of the gate's."""
        try:
            while (event := connection.next_event()) is h11.NEED_DATA:
                more = sock.recv(65536)
                self.pieces.append(more)
                if not more:
                    return None  # cut: whatever it was, it was not whole
                with contextlib.suppress(httptools.HttpParserUpgrade):
                    parser.feed_data(more)
                connection.receive_data(more)
        except (h11.RemoteProtocolError, httptools.HttpParserError) as error:
            self.faults.append(f"{error!r} after {self.pieces[-1][:300]!r}")
            return None
        return event


class Strict2(Upstream2):
    """An HTTP/2 server; the h2 library checks all that reaches it."""

    @property
    def whole(self):
        """Return the whole requests."""
        return [
            Seen(
                one.named[":method"],
                one.named[":path"],
                [(name.encode("latin-1"), value.encode("latin-1")) for name, value in one.fields],
                one.body,
            )
            for one in self.requests
            if one.over
        ]


class Approver(threading.Thread):
    """Somebody who says yes, once, to everything that is asked."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self._folder = str(folder)
        self._over = threading.Event()
        self.start()

    def run(self):
        while not self._over.wait(0.005):
            if os.path.exists(f"{self._folder}/{approval.SOCKET}"):
                for one in approve._say(self._folder, {"do": "list"}).get("questions", ()):
                    answer = {"do": "answer", "number": one["number"], "seal": one["seal"], "answer": "once"}
                    approve._say(self._folder, answer)

    def stop(self):
        self._over.set()
        self.join(WAIT)


class Replay:
    """Sends cases through one gate to one upstream, and collects what went wrong."""

    def __init__(self, gate, upstream, host):
        self.gate = gate
        self.upstream = upstream
        self.host = host
        self.wrong = []
        self.sent = {}  # by the case's own path: its name, what is expected, its body

    def _own(self, name, expect, body):
        path = f"/ok-{next(turns)}"
        self.sent[path] = name, expect, body
        return path

    def _written(self, text, path):
        text = text.replace("{host}", self.host).replace("{HOST}", self.host.upper())
        return text.replace("/ok", path)

    # --- HTTP/1.1

    def one(self, name, raw, expect="any", body=None):
        """Send the bytes of one case on a connection of its own."""
        path = self._own(name, expect, body)
        with self.gate.connect(f"{self.host}:443") as sock, contextlib.suppress(OSError):
            sock.sendall(self._written(raw, path).encode("latin-1"))
            sock.settimeout(WAIT if expect == "one" else PATIENCE)
            while sock.recv(65536):
                sock.settimeout(PAUSE)

    # --- HTTP/2

    def two(self, name, fields, expect="any", data_=None, body=None, trailers=(), *, kept_open=False):
        """Send one case's frames on a connection of its own, and a request of which nothing is wrong behind it."""
        path = self._own(name, expect, body)
        head = [(one, self._written(value, path)) for one, value in fields]
        head = [(self._written(one, path), value) for one, value in head]
        with connect2(self.gate, f"{self.host}:443") as client:
            over = data_ is None and not trailers and not kept_open
            frames = frame(1, 0x5 if over else 0x4, literal(head))
            if data_ is not None:
                closing = not trailers and not kept_open
                frames += data(1, self._written(data_, path).encode("latin-1"), end=closing).serialize()
            if trailers:
                frames += frame(1, 0x5, literal([tuple(one) for one in trailers]))
            client.send(frames)
            done = client.read(
                lambda: 1 in client.over or 1 in client.resets, WAIT if not kept_open else PAUSE
            )
            if not done and not kept_open and not client.closed:
                self.wrong.append((name, "no answer"))

    # --- afterwards

    def check(self):
        """Compare what the upstream saw with what was judged; return everything that is wrong."""
        time.sleep(PAUSE * 5)  # what is on its way arrives
        seen = list(self.upstream.whole)
        judged = collections.Counter(
            (one["method"], one["path"].partition("?")[0])
            for one in self.gate.records("verdict")
            if one["effect"] in {"allow", "ask"} and one.get("method") not in {None, "CONNECT"}
        )
        for (method, path), count in collections.Counter((one.method, one.path) for one in seen).items():
            if judged[method, path.partition("?")[0]] < count:
                self.wrong.append((self.sent.get(path), "more than was judged", method, path, count))
        by_path = collections.defaultdict(list)
        for one in seen:
            by_path[one.path.partition("?")[0]].append(one)
            self._check_fields(one)
        for path in set(by_path) - set(self.sent):
            self.wrong.append(("a request that was no case", path))
        for path, (name, expect, body) in self.sent.items():
            self._check_case(name, expect, body, by_path[path])
        self.wrong += [("fault", one) for one in self.upstream.faults]
        faults = [
            one for one in self.gate.records("refused") if "fault of ringfence" in one.get("reason", "")
        ]
        self.wrong += [("a fault of ours", one) for one in faults]
        if self.gate.process.poll() is not None:
            self.wrong.append(("the gate has ended", self.gate.stderr))
        return self.wrong

    def _check_fields(self, one):
        names = [name for name, _ in one.fields]
        hosts = [value for name, value in one.fields if name in {b"host", b":authority"}]
        if hosts != [self.host.encode()]:
            self.wrong.append((one.path, "hosts", hosts))
        if b"transfer-encoding" in names and b"content-length" in names:
            self.wrong.append((one.path, "two framings"))
        odd = set(names) & {
            b"expect",
            b"http2-settings",
            b"proxy-connection",
            b"transfer_encoding",
            b"content_length",
        }
        if odd:
            self.wrong.append((one.path, "fields that stay here", odd))

    def _check_case(self, name, expect, body, seen):
        if len(seen) > 1:
            self.wrong.append((name, "more than one request"))
        if expect == "none" and seen:
            self.wrong.append((name, "a request arrived", seen[0].method, seen[0].body))
        if expect == "one" and [one.body for one in seen] != [(body or "").encode("latin-1")]:
            self.wrong.append((name, "should have arrived", [one.body for one in seen]))


def frame(number, flags, block):
    """Return a HEADERS frame."""
    return len(block).to_bytes(3, "big") + bytes((1, flags)) + number.to_bytes(4, "big") + block


__all__ = ["Approver", "Replay", "Strict", "Strict2", "cases", "frame"]
