"""Looks for values that must not go out: canaries and what stands in masked files.

A canary is a value made up for this session and laid where an attacker looks for keys. Nobody has a reason
to send it anywhere, so a request that carries it, as it is or in one of the usual spellings (base64, hex,
percent-encoded, reversed, compressed), is theft under way: it is refused, and the session ends.

The values of masked files are what an agent should not have. It cannot read those files, but the same value
may lie in the history of the repository or in a log; toward the hosts that the operator exempts, and those
that hold one of the operator's credentials (the conversation with the model goes there), that is recorded,
toward all others refused.

What is looked at: host, target, fields and body of each request, a compressed body unfolded, and the frames
of a WebSocket toward the upstream. It is a net, not a wall: whoever enciphers a value passes. The wall is
that there is nowhere to send it to.
"""

import contextlib
from urllib.parse import unquote_to_bytes

from ringfence.egress import coding, limits, refusal
from ringfence.egress.filters import Looking
from ringfence.egress.finder import Finder
from ringfence.egress.http1 import Fields
from ringfence.egress.refusal import Refusal, Refused
from ringfence.egress.scrub import spellings
from ringfence.errors import PeerError
from ringfence.handover import Canary
from ringfence.policy.model import Watch as Wanted
from ringfence.subject import host_matches
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ringfence.egress.coding import Decoder

_GZIP = b"\x1f\x8b\x08"


class Hit(Struct):
    """A value that was found on its way out."""

    name: str  # what it is: "the canary in BACKUP_TOKEN", "a value of .env"
    canary: bool


class Sent(Struct):
    """What is looked at before a request's head is sent."""

    host: str
    path: str
    query: str
    fields: Fields


class Watch:
    """The values of one session, and what to do about them."""

    def __init__(
        self,
        wanted: Wanted,
        canaries: "Iterable[Canary]",
        masked: "Iterable[tuple[str, bytes]]",
        *,
        alarm: "Callable[[Hit, str], None]",
        bound: "frozenset[str]" = frozenset(),
    ) -> None:
        """`masked` are (file, value) pairs; `bound` hosts that hold a credential; `alarm` tells of a hit."""
        self._wanted = wanted
        self._alarm = alarm
        self._bound = bound
        self._hits: dict[bytes, Hit] = {}
        if wanted.masked != "off":
            for file, value in masked:
                self._add(value, Hit(name=f"a value of the hidden file {file}", canary=False))
        for one in canaries:
            self._add(one.value.encode(), Hit(name=f"the canary in {one.place}", canary=True))
        self._finder = Finder(self._hits)

    def _add(self, value: bytes, hit: Hit) -> None:
        for spelling in spellings((value,)):
            self._hits[spelling] = hit

    def __bool__(self) -> bool:
        return bool(self._finder)

    def head(self, sent: Sent) -> Refusal | None:
        """Look at a request's head."""
        target = (sent.path + sent.query).encode("latin-1")
        host = sent.host.encode("latin-1")
        places = [host, host.replace(b".", b""), target, unquote_to_bytes(target)]
        places += [part for field in sent.fields for part in field]
        # A value cut over several fields is put together again without what stands between.
        places.append(b"".join([value for _name, value in sent.fields]))
        places.append(b"".join([name for name, _value in sent.fields]))
        found = self._finder.first(b"\n".join(places))
        return None if found is None else self._judge(found, sent.host)

    def body(self, host: str, content_coding: bytes = b"") -> "BodyWatch":
        """Return a filter for a request's body."""
        return BodyWatch(self._finder, lambda found: self._judge(found, host), content_coding)

    def frames(self, host: str) -> "FrameWatch":
        """Return a filter for what a client sends over a WebSocket."""
        return FrameWatch(self.body(host))

    def _judge(self, found: bytes, host: str) -> Refusal | None:
        """Say what becomes of a request that carries a value; None lets it pass, on record."""
        hit = self._hits[found]
        exempt = any(host_matches(pattern, host) for pattern in self._wanted.exempt)
        if hit.canary:
            if exempt:
                return None
            self._alarm(hit, "ended" if self._wanted.alarm == "end" else "refused")
            return _refused(hit, host)
        if exempt or host in self._bound or self._wanted.masked == "record":
            self._alarm(hit, "recorded")
            return None
        self._alarm(hit, "refused")
        return _refused(hit, host)


def _refused(hit: Hit, host: str) -> Refusal:
    return Refusal(
        status=403,
        kind=refusal.WATCH,
        message=f"the request to {host} was refused: it carries {hit.name}",
        host=host,
        how="nothing from hidden places may leave; the operator can exempt a host under `[watch]`",
    )


class BodyWatch(Looking):
    """Looks at one body as it streams by; the beginning of a value waits for what follows it."""

    def __init__(
        self, finder: Finder, judge: "Callable[[bytes], Refusal | None]", content_coding: bytes = b""
    ) -> None:
        self._finder = finder
        self._judge = judge
        self._told = False
        self._held = b""
        self._inside: list[_Unfolded] = []
        if content_coding.strip().lower() not in {b"", b"identity"}:
            with contextlib.suppress(coding.UnknownCodingError):  # one of those is looked at as it is
                self._inside.append(_Unfolded(coding.decoder(content_coding)))

    def feed(self, data: bytes) -> bytes:
        """Return what may be passed on; raises Refused."""
        data = self._held + data
        self._look(data)
        for one in (*self._inside, *self._archives(data)):
            for text in one.feed(data[len(self._held) :]):
                self._look(text)
        keep = self._finder.tail(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def finish(self) -> bytes:
        """Return what was held back."""
        data, self._held = self._held, b""
        return data

    def _look(self, data: bytes) -> None:
        if self._told:
            return
        found = self._finder.first(data)
        if found is None:
            return
        answer = self._judge(found)
        if answer is not None:
            raise Refused(answer)
        self._told = True  # let pass: once on record is enough

    def _archives(self, data: bytes) -> "Iterable[_Unfolded]":
        """Unfold gzip files inside a body (an upload, a part of a form) from where they begin."""
        self._inside = [one for one in self._inside if not one.over]
        at = data.find(_GZIP, max(len(self._held) - 2, 0))
        while at >= 0 and len(self._inside) < limits.ARCHIVES:
            one = _Unfolded(coding.Inflate(b"gzip", single=True))
            self._inside.append(one)
            for text in one.feed(data[at:]):
                self._look(text)
            at = data.find(_GZIP, at + 3)
        return ()


class _Unfolded:
    """What a compressed part of a body unfolds into, with the end of each piece before the next."""

    def __init__(self, decoder: "Decoder | None") -> None:
        self._decoder = decoder
        self._end = b""

    @property
    def over(self) -> bool:
        """Whether nothing more comes: it was no archive, or has ended."""
        decoder = self._decoder
        return decoder is None or (isinstance(decoder, coding.Inflate) and decoder.over)

    def feed(self, data: bytes) -> "Iterable[bytes]":
        """Yield what to look at; damage and bombs end the looking, the body is the upstream's to judge."""
        if self._decoder is None:
            return
        try:
            text = self._end + self._decoder.feed(data)
        except PeerError:
            self._decoder = None
            return
        self._end = text[-limits.WATCH_OVERLAP :]
        yield text


class FrameWatch(Looking):
    """Looks at a client's WebSocket frames: their payload is masked by XOR on the wire (RFC 6455 §5.3)."""

    def __init__(self, body: BodyWatch) -> None:
        self._body = body
        self._buffer = b""  # a frame's head that is not whole
        self._left = 0
        self._mask = b"\0\0\0\0"
        self._at = 0

    def feed(self, data: bytes) -> bytes:
        """Return `data` itself; raises Refused. Nothing is held back: frames are answered to at once."""
        rest = self._buffer + data
        self._buffer = b""
        while rest:
            if not self._left:
                head = _frame_head(rest)
                if head is None:
                    self._buffer = rest
                    break
                size, self._left, self._mask = head
                self._at, rest = 0, rest[size:]
                continue
            piece, rest = rest[: self._left], rest[self._left :]
            self._body.feed(_unmasked(piece, self._mask, self._at))
            self._left -= len(piece)
            self._at += len(piece)
        return data

    def finish(self) -> bytes:
        """Return nothing: all has been passed on."""
        return b""


def _frame_head(data: bytes) -> tuple[int, int, bytes] | None:
    """Return (bytes of the head, length of the payload, mask), or None while it is not whole."""
    if len(data) < 2:
        return None
    length = data[1] & 127
    wide = {126: 2, 127: 8}.get(length, 0)
    masked = 4 if data[1] & 128 else 0
    size = 2 + wide + masked
    if len(data) < size:
        return None
    if wide:
        length = int.from_bytes(data[2 : 2 + wide], "big")
    return size, length, data[size - masked : size] or b"\0\0\0\0"


def _unmasked(data: bytes, mask: bytes, at: int) -> bytes:
    turned = mask[at % 4 :] + mask[: at % 4]
    key = (turned * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")
