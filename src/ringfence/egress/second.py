"""A second reader for request heads: llhttp, the parser of Node.js, must read what we read.

Our grammar (`http1`) is stricter than any server's, and the head that is sent on is written anew. Still, a
grammar of one's own is one opinion; where a parser that millions of servers use reads another method,
target or field, or fails, the request is refused as one that two parsers read differently.
"""

from functools import partial

import httptools

from ringfence.egress.http1 import MalformedError, RequestHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DIFFERENT = "two parsers read this request differently"


class _Seen:
    """What llhttp reports of one head; made once, and emptied before each."""

    __slots__ = ("complete", "fields", "on_header", "on_headers_complete", "on_url", "urls")
    # What else it would report. Named, because asking for a name that is missing costs an exception each.
    on_message_begin = None
    on_body = None
    on_message_complete = None
    on_chunk_header = None
    on_chunk_complete = None
    on_status = None

    def __init__(self, *, fields: bool = True) -> None:
        """Without `fields` it reads them, and does not report them."""
        self.urls: list[bytes] = []
        self.fields: dict[bytes, bytes] = {}
        self.complete: list[bool] = []
        self.on_url = self.urls.append
        self.on_header: Callable[[bytes, bytes], object] | None = self.fields.setdefault if fields else None
        self.on_headers_complete = partial(self.complete.append, True)

    def read(self, raw: bytes) -> bytes:
        """Let llhttp read a head to its end; returns the method."""
        self.urls.clear()
        self.fields.clear()
        self.complete.clear()
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # CONNECT and Upgrade: the head itself was read to its end
        except httptools.HttpParserError:
            raise MalformedError(_DIFFERENT) from None
        if not self.complete:
            raise MalformedError(_DIFFERENT)
        method: bytes = parser.get_method()
        return method


_seen = _Seen()
_begun = _Seen(fields=False)


def agree(raw: bytes, head: RequestHead) -> None:
    """Raise unless llhttp reads the same request in a head.

    What it reports is gathered without a Python call for each line: a dictionary keeps the order, and where a
    name occurs twice it falls short of our list, which is then compared line by line.
    """
    method = _seen.read(raw)
    if method != head.method.encode("latin-1") or _seen.urls != [head.target]:
        raise MalformedError(_DIFFERENT)
    if list(_seen.fields.items()) != head.fields:
        _agree_by_line(raw, head)


def agree_again(raw: bytes, head: RequestHead) -> None:
    """Do as `agree`, where another head with the very same field lines was agreed on (`memo`).

    llhttp reads the whole head as ever, to its end or to its error. That it reports each field to us is left
    out: it cuts a line into name and value by that line's bytes alone.
    """
    method = _begun.read(raw)
    if method != head.method.encode("latin-1") or _begun.urls != [head.target]:
        raise MalformedError(_DIFFERENT)


def _agree_by_line(raw: bytes, head: RequestHead) -> None:
    fields: list[tuple[bytes, bytes]] = []
    by_line = _Seen()
    by_line.on_header = lambda name, value: fields.append((name, value.strip(b" \t")))
    by_line.read(raw)
    if fields != head.fields:
        raise MalformedError(_DIFFERENT)
