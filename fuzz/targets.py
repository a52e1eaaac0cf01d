"""What is fuzzed: readers of what agents and upstreams send, each with the laws that hold for any bytes.

A target takes bytes and returns nothing. The errors that a reader is meant to raise are caught here; whatever
else comes out of it is a find. Nothing here does input or output.
"""

import asyncio
import contextlib
import functools
import json
import time

import h11
import httptools

from ringfence.cli.policy_explain import handover
from ringfence.credential import sigv4
from ringfence.credential.inject import Outgoing, UnfitError, placeholder
from ringfence.credential.inject.aws_chunks import Chunks
from ringfence.credential.secret import Secret
from ringfence.egress import coding, dns, http1, inspect_git, inspect_graphql, limits, second, socks
from ringfence.egress.gate import TUNNEL, Gate, Origin, Target, read_authority
from ringfence.egress.hello import HelloError, parse_hello
from ringfence.egress.http1 import MalformedError, RequestHead
from ringfence.egress.http1_client import ClientConnection
from ringfence.egress.http2_channel import Channel
from ringfence.egress.http2_connection import Connection
from ringfence.egress.http2_fields import parse_request, parse_trailers
from ringfence.egress.path import canonical_path
from ringfence.egress.refusal import Refused
from ringfence.egress.stream import GoneError
from ringfence.egress.usage import UsageReader
from ringfence.egress.watch import Watch
from ringfence.errors import PeerError
from ringfence.handover import Canary
from ringfence.policy import toolrules
from ringfence.policy.model import Credential, Egress, EgressRule, Policy
from ringfence.policy.model import Watch as Wanted
from ringfence.subject import canonical_host
from ringfence.verdict.facts import Commands, GraphQL, Unread
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

HOST = "api.example.com"
CANARY = b"rf8Zq27LmXw0TnPvKc5Bd1Ys"
SECRET = "S3cretThatIsPutIn"
MARK = b"rf-placeholder-0123456789"
GATE = Gate(handover(Policy(egress=Egress(allow=(EgressRule(host=HOST),)))))
ORIGIN = Origin(kind=TUNNEL, scheme="https", host=HOST, port=443)


def pieces(data: bytes) -> list[bytes]:
    """Cut bytes into pieces; the first byte says how long they are."""
    if not data:
        return []
    step = data[0] % 64 + 1
    return [data[at : at + step] for at in range(1, len(data), step)]


# --- HTTP/1.1


class Llhttp:
    """What llhttp reads."""

    def __init__(self) -> None:
        self.urls: list[bytes] = []
        self.hosts: list[bytes] = []
        self.whole = 0
        self.body = b""

    def on_url(self, url: bytes) -> None:
        """Take a piece of a target."""
        self.urls.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        if name.lower() == b"host":
            self.hosts.append(value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Count."""
        self.whole += 1


class Wire:
    """Takes what a connection writes."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        """Take it."""
        self.written += data


def read_http1(data: bytes) -> tuple[RequestHead, bytes, bytes] | None:
    """Return a whole request, its body and what stands behind it."""
    try:
        end = http1.head_end(data)
        if not end:
            return None
        head = http1.parse_request(data[:end])
        second.agree(data[:end], head)
        body = http1.body(head.framing)
        payload = b"" if body.done else body.take(data[end:])
    except MalformedError:
        return None
    if not body.done:
        return None
    return head, payload, body.rest if head.framing else data[end:]


def http1_request(data: bytes) -> None:
    """Whatever is read as a request is read the same by llhttp, and goes on as one request for all parsers."""
    found = read_http1(data)
    if found is None:
        return
    head, payload, rest = found
    seen = llhttp(data[: len(data) - len(rest)])
    if seen is not None:
        assert seen.whole == 1
        assert (b"".join(seen.urls), seen.body) == (head.target, payload)
    with contextlib.suppress(MalformedError):
        target = GATE.target(head, ORIGIN)
        if isinstance(target, Target):
            goes_on(head, target, payload)


def llhttp(data: bytes) -> Llhttp | None:
    """Return what llhttp reads, None where it refuses it."""
    seen = Llhttp()
    try:
        httptools.HttpRequestParser(seen).feed_data(data)
    except httptools.HttpParserUpgrade:
        return None
    except httptools.HttpParserError:
        return None
    return seen


def goes_on(head: RequestHead, target: Target, payload: bytes) -> None:
    """Write a request as it goes upstream, and have it read."""
    wire = Wire()
    connection = ClientConnection((), wire, HOST.encode(), None)  # type: ignore[arg-type]
    out = GATE.outgoing(head, target)
    connection.send(out.method, out.path + out.query, out.fields, out.framing, trailers=head.trailers)
    connection.write(payload)
    connection.finish()
    seen = llhttp(wire.written)
    if head.method in KNOWN:
        assert seen is not None, wire.written
        assert (seen.whole, seen.body, seen.hosts) == (1, payload, [HOST.encode()])
    other = h11.Connection(h11.SERVER)
    other.receive_data(wire.written)
    request = other.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(part := other.next_event(), h11.Data):
        body += bytes(part.data)
    assert isinstance(part, h11.EndOfMessage)
    assert (body, other.trailing_data[0]) == (payload, b"")
    assert request.target == (target.path.text + target.path.query).encode()


KNOWN = {"GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"}


def http1_body(data: bytes) -> None:
    """A chunked body is the same however it is cut."""
    whole, cut = http1.ChunkedBody(), http1.ChunkedBody()
    outcomes = []
    for body, given in ((whole, [data[1:]]), (cut, pieces(data))):
        payload, rest = b"", b""
        try:
            for piece in given:
                if body.done:
                    rest += piece
                    continue
                payload += body.take(piece)
                rest += body.rest
            outcomes.append((payload, body.done, rest if body.done else b"", body.trailers))
        except MalformedError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


def http1_response(data: bytes) -> None:
    """An answer's head is read or refused."""
    with contextlib.suppress(MalformedError):
        end = http1.head_end(data)
        if end:
            http1.parse_response(data[:end], "GET")


# --- HTTP/2


class Peer:
    """A stream that takes everything and says nothing."""

    ended = lost = congested = False
    on_gone = None
    received = sent = 0

    def write(self, data: bytes) -> None:
        """Forget it."""

    def expect(self, seconds: float) -> None:
        """Wait for nobody."""

    def quiet(self) -> bool:
        """Say that nothing waits."""
        return True

    def close(self) -> None:
        """Do nothing."""

    abort = close


def http2(data: bytes) -> None:
    """Frames of an agent's end in requests that are plain, or in the end of stream or connection."""
    asyncio.run(_http2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", data))


async def _http2(preface: bytes, data: bytes) -> None:
    from h2.events import RequestReceived

    connection = Connection(Peer(), client=False, window=limits.H2_CONNECTION_WINDOW)  # type: ignore[arg-type]

    def begun(event: RequestReceived) -> None:
        try:
            head = parse_request(event.headers or [], "https", over=event.stream_ended is not None)
        except MalformedError:
            return connection.reset(event.stream_id, 1)
        plain(head)
        channel = connection.channels[event.stream_id] = Channel(connection, event.stream_id)
        channel.expect_length(head.framing)
        return None

    connection.handle(RequestReceived, begun)
    with contextlib.suppress(PeerError):
        for piece in (preface, *pieces(data)):
            connection.receive(piece)
            connection.flush()
    await asyncio.sleep(0)
    connection.lose(GoneError("over"))


def plain(head: RequestHead) -> None:
    """Hold a head to what may be written into HTTP/1.1."""
    assert head.target.startswith(b"/")
    text = [
        head.method.encode(),
        head.target,
        head.host or b"",
        *(part for one in head.fields for part in one),
    ]
    assert not any(byte in b"\r\n\0" for part in text for byte in part), text
    assert all(name == name.lower() and name and b":" not in name for name, _ in head.fields)
    assert b" " not in head.target
    assert not {b"transfer-encoding", b"connection", b"upgrade"} & {name for name, _ in head.fields}


def http2_fields(data: bytes) -> None:
    """A field list is a plain head, or malformed."""
    fields = [tuple(line.split(b"\0", 1)) for line in data.split(b"\xff") if b"\0" in line]
    with contextlib.suppress(MalformedError):
        plain(parse_request(fields, "https", over=bool(len(data) % 2)))  # type: ignore[arg-type]
    with contextlib.suppress(MalformedError):
        parse_trailers(fields, 400)  # type: ignore[arg-type]


# --- names and places


def path(data: bytes) -> None:
    """A canonical path is one for good, and has no reading that is none."""
    data = bytes(
        byte for byte in data if byte > 0x20 and byte != 0x7F
    )  # both protocols' grammars see to that
    try:
        found = canonical_path(b"/" + data)
    except MalformedError:
        return
    assert found.readings[0] == found.text
    assert (
        not any(one in {"", ".", ".."} for one in found.text[1:].rstrip("/").split("/")) or found.text == "/"
    )
    assert all(one.startswith("/") for one in found.readings)
    again = canonical_path((found.text + found.query).encode())
    assert (again.text, again.query) == (found.text, found.query)
    assert found.text.isascii()
    assert not set(found.text + found.query) & set("\r\n\0 #")


def authority(data: bytes) -> None:
    """An authority is one canonical host and a port, or refused."""
    found = read_authority(data, 443)
    if isinstance(found, tuple):
        host, port = found
        assert canonical_host(f"[{host}]" if ":" in host else host) == host
        assert 0 < port < 65536
        assert host.isascii()
        assert not set(host) & set("%@/\\?# \t\r\n\0[]*")


def hello(data: bytes) -> None:
    """A ClientHello says the same as soon as it says anything."""
    outcomes = []
    for end in (len(data) // 2, len(data)):
        try:
            outcomes.append(parse_hello(data[:end]))
        except HelloError:
            outcomes.append("malformed")
    if outcomes[0] is not None:
        assert outcomes[0] == outcomes[1]


def names(data: bytes) -> None:
    """A datagram is answered about a name that is allowed, or told off; never with more than a question."""
    reply, _, said = dns.answer(data, lambda name: name == HOST or name.endswith(".example.com"), dns.Names())
    if reply:
        assert reply[:2] == data[:2]
        assert reply[2] & 0x80
        assert len(reply) <= len(data) + 16
    if said.startswith("198.18."):
        question = dns.read_question(data)
        assert question is not None
        assert canonical_host(question.name).endswith("example.com")


class Client(Peer):
    """A client that has sent these pieces."""

    def __init__(self, given: list[bytes]) -> None:
        self.given = given
        self.back = b""

    async def read(self) -> bytes:
        """Return the next piece."""
        return self.given.pop(0) if self.given else b""

    def unread(self, data: bytes) -> None:
        """Take a piece back."""
        self.back += data


def socks5(data: bytes) -> None:
    """A SOCKS handshake ends in one canonical host, or in a refusal; nothing behind it is lost."""
    client = Client(pieces(data))
    try:
        wish = asyncio.run(socks.wish(client))  # type: ignore[arg-type]
    except PeerError:
        return
    assert canonical_host(wish.host) == wish.host
    assert 0 < wish.port < 65536
    assert data.endswith(client.back + b"".join(client.given))


# --- bodies


def pushes(data: bytes) -> None:
    """What a push asks for is the same however it is cut."""
    found = []
    for given in ([data[1:]], pieces(data)):
        reader = inspect_git.CommandReader()
        for piece in given:
            if reader.feed(piece):
                break
        found.append(reader.finish())
    assert found[0] == found[1]
    if isinstance(found[0], Commands):
        assert all(one.ref.startswith("refs/") and ".." not in one.ref for one in found[0].updates)
    inspect_git.read_lfs(data)


def graphql(data: bytes) -> None:
    """A GraphQL request is read for certain, or it is not."""
    for content_type in (b"application/json", b"application/graphql"):
        raw = b"POST /graphql HTTP/1.1\r\nHost: %b\r\nContent-Type: %b\r\n\r\n" % (
            HOST.encode(),
            content_type,
        )
        head = http1.parse_request(raw)
        target = GATE.target(head, ORIGIN)
        assert isinstance(target, Target)
        found = inspect_graphql.read(GATE.request(head, target), data)
        assert isinstance(found, GraphQL | Unread)


@functools.cache
def watch() -> Watch:
    """Return a watch on one canary."""
    canary = Canary(place="X", value=CANARY.decode())
    return Watch(Wanted(), [canary], [], alarm=lambda *_: None)


def watched(data: bytes) -> None:
    """Either all of a body goes on, or it is refused; a canary never goes on whole."""
    for content_coding in (b"", b"gzip"):
        body, out = watch().body("evil.test", content_coding), b""
        try:
            out = b"".join([body.feed(piece) for piece in pieces(data)]) + body.finish()
        except Refused:
            continue
        assert out == data[1:]
        assert CANARY not in out
    frames = watch().frames("evil.test")
    with contextlib.suppress(Refused):
        assert b"".join([frames.feed(piece) for piece in pieces(data)]) == data[1:]


def codings(data: bytes) -> None:
    """A compressed body unfolds, or is damaged; it is never more than the limit at once."""
    for name in (b"gzip", b"deflate", b"br", b"zstd"):
        try:
            decoder = coding.decoder(name)
        except coding.UnknownCodingError:
            continue
        assert decoder is not None
        with contextlib.suppress(PeerError):
            for piece in pieces(data):
                decoder.feed(piece)
            decoder.finish()


def signed_chunks(data: bytes) -> None:
    """Chunks signed anew are as long as they were, and the same however they are cut."""
    scope = sigv4.Scope(date="20260101", region="us-east-1", service="s3")
    for trailer in (False, True):
        outcomes = []
        for given in ([data[1:]], pieces(data)):
            chunks = Chunks(sigv4.Chain(b"k" * 32, scope, "20260101T000000Z", "0" * 64), trailer=trailer)
            try:
                out = b"".join([chunks.feed(piece) for piece in given])
                chunks.finish()
                outcomes.append(out)
            except UnfitError:
                outcomes.append(None)
        assert outcomes[0] == outcomes[1]
        assert outcomes[0] is None or len(outcomes[0]) == len(data) - 1


def model_usage(data: bytes) -> None:
    """An answer's usage is read or estimated, and what is read passes on as it is."""
    for content_type in (b"application/json", b"text/event-stream", b"application/vnd.amazon.eventstream"):
        found = []
        for given in ([data[1:]], pieces(data)):
            reader = UsageReader(content_type)
            assert b"".join([reader.feed(piece) for piece in given]) == b"".join(given)
            assert reader.finish() == b""
            found.append(reader.settle(10).tokens)
        assert found[0] == found[1]
        assert all(count >= 0 for count in found[0].values())


def json_places(data: bytes) -> None:
    """A secret gets into exactly one place of a body, that of its placeholder, or nothing goes."""
    credential = Credential(
        name="c",
        source="env:X",
        host=HOST,
        kind="placeholder",
        placeholder=MARK.decode(),
        places=("json:/a",),
    )
    outgoing = Outgoing(
        method="POST",
        scheme="https",
        host=HOST,
        port=443,
        path="/",
        query="",
        fields=[(b"content-type", b"application/json")],
        framing=len(data),
    )
    outgoing.body = data
    try:
        placeholder.apply(outgoing, credential, Secret(SECRET, "env:X"))
    except UnfitError:
        return
    body = outgoing.body
    assert body is not None
    if body != data:
        assert json.loads(body)["a"] == SECRET
        assert body.replace(SECRET.encode(), MARK) == data.replace(SECRET.encode(), MARK)


# --- rules about commands ----------------------------------------------------------------------------

SHELLS = ("bash", "sh", "zsh")
COMMAND_RULES = toolrules.read(
    allow=[
        "Bash(git *)",
        "Bash(echo *)",
        "Bash(cat *)",
        "Bash(find *)",
        "Bash(sed *)",
        "Bash(xargs *)",
        "Edit(src/**)",
    ],
    ask=["Bash(git push *)"],
    deny=["Bash(curl *)", "Read(./.env)"],
).rules
WIDE = Rulebook(toolrules.read(allow=["Bash"], ask=[], deny=[]).rules, home="/home/u")
STRICT = Rulebook(COMMAND_RULES, home="/home/u")
SLOWEST = 1.0  # seconds for a text of at most LONGEST bytes, on a busy machine


class NoFiles:
    """A file system in which there is nothing."""

    case_blind = False

    def link(self, _path: str) -> None:
        """Say that nothing is a link."""
        return

    def is_folder(self, path: str) -> bool:
        """Say that there are two folders."""
        return path in {"/", "/w"}

    def names(self, _folder: str, _limit: int) -> tuple[tuple[str, bool], ...]:
        """Say that they are empty."""
        return ()


def commands(data: bytes) -> None:
    """A verdict on any text: without an exception, in time, the same twice, and never laxer with more rules."""
    if not data:
        return
    shell = SHELLS[data[0] % len(SHELLS)]
    text = data[1:].decode("utf-8", "surrogateescape" if data[0] & 128 else "replace")
    call = ToolCall(tool="Bash", input={"command": text}, cwd="/w", shell=shell)
    began = time.process_time()
    ruling = decide(call, STRICT, NoFiles())
    assert time.process_time() - began < SLOWEST, "too slow"
    assert "ringfence failed" not in ruling.reason
    assert ruling.effect in {"allow", "ask", "deny"}
    assert decide(call, STRICT, NoFiles()).effect == ruling.effect
    if ruling.effect == "allow":
        assert not ruling.findings
        assert decide(call, WIDE, NoFiles()).effect == "allow"


TARGETS = {
    "commands": commands,
    "http1_request": http1_request,
    "http1_body": http1_body,
    "http1_response": http1_response,
    "http2": http2,
    "http2_fields": http2_fields,
    "path": path,
    "authority": authority,
    "hello": hello,
    "dns": names,
    "socks": socks5,
    "push": pushes,
    "graphql": graphql,
    "watch": watched,
    "coding": codings,
    "aws_chunks": signed_chunks,
    "usage": model_usage,
    "json_place": json_places,
}
