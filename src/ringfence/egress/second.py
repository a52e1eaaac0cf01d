"""A second reader for request heads: llhttp, the parser of Node.js, must read what we read.

Our grammar (`http1`) is stricter than any server's, and the head that is sent on is written anew. Still, a
grammar of one's own is one opinion; where a parser that millions of servers use reads another method,
target or field, or fails, the request is refused as one that two parsers read differently.
"""

from functools import partial
from types import SimpleNamespace

import httptools

from ringfence.egress.http1 import MalformedError, RequestHead


def agree(raw: bytes, head: RequestHead) -> None:
    """Raise unless llhttp reads the same request in a head.

    What it reports is gathered without a Python call for each line: a dictionary keeps the order, and where a
    name occurs twice it falls short of our list, which is then compared line by line.
    """
    urls: list[bytes] = []
    fields: dict[bytes, bytes] = {}
    method = _read(raw, urls, fields.setdefault)
    if method != head.method.encode("latin-1") or len(urls) != 1 or urls[0] != head.target:
        raise MalformedError(_DIFFERENT)
    if list(fields.items()) != head.fields:
        _agree_by_line(raw, head)


def _agree_by_line(raw: bytes, head: RequestHead) -> None:
    fields: list[tuple[bytes, bytes]] = []
    _read(raw, [], lambda name, value: fields.append((name, value.strip(b" \t"))))
    if fields != head.fields:
        raise MalformedError(_DIFFERENT)


def _read(raw: bytes, urls: list[bytes], on_header: "Callable[[bytes, bytes], object]") -> bytes:
    """Let llhttp read a head to its end; returns the method."""
    complete: list[bool] = []
    seen = SimpleNamespace(
        on_url=urls.append, on_header=on_header, on_headers_complete=partial(complete.append, True)
    )
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT and Upgrade: the head itself was read to its end
    except httptools.HttpParserError:
        raise MalformedError(_DIFFERENT) from None
    if not complete:
        raise MalformedError(_DIFFERENT)
    method: bytes = parser.get_method()
    return method


_DIFFERENT = "two parsers read this request differently"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
