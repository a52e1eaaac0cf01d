"""A second reader for request heads: llhttp, the parser of Node.js, must read what we read.

Our grammar (`http1`) is stricter than any server's, and the head that is sent on is written anew. Still, a
grammar of one's own is one opinion; where a parser that millions of servers use reads another method,
target or field, or fails, the request is refused as one that two parsers read differently.
"""

import httptools

from ringfence.egress.http1 import MalformedError, RequestHead


class _Reading:
    """What llhttp saw."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def agree(raw: bytes, head: RequestHead) -> None:
    """Raise unless llhttp reads the same request in a head."""
    seen = _Reading()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT and Upgrade: the head itself was read to its end
    except httptools.HttpParserError:
        raise MalformedError("two parsers read this request differently") from None
    same = (
        seen.complete and parser.get_method().decode("latin-1") == head.method and seen.target == head.target
    )
    if not same or [(name, value.strip(b" \t")) for name, value in seen.fields] != head.fields:
        raise MalformedError("two parsers read this request differently")
