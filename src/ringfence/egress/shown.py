"""What a person is shown of a request that waits: its fields, its body, and nothing that opens anything.

Secrets are no business of whoever looks over a shoulder: what the gate holds is overwritten, and a field
that carries a credential by its name is told by its kind and length. Everything else stands there whole,
escaped, and is bound by the question's digest.

A body is held until it is whole, within limits, so that its digest can be shown: then exactly these bytes are
sent, or nothing. Of one that is longer, or that is a stream by its nature, only the beginning is shown, and
the question says so.
"""

import asyncio
import contextlib

from ringfence.audit.event import printable
from ringfence.canonical import sha256
from ringfence.egress import limits
from ringfence.egress.http1 import Fields
from ringfence.egress.message import Inbound
from ringfence.egress.scrub import scrub
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Holder(Protocol):
        """Counts what is held of bodies: one request's, and all together."""

        held: int


# A field whose name has one of these in it carries something that opens something.
_OPENING = (
    *("auth", "cookie", "token", "secret", "key", "password", "passwd", "credential", "signature", "session"),
    *("assertion", "csrf", "xsrf", "jwt"),
)
_PLAIN = frozenset({"idempotency-key", "sec-websocket-key", "x-idempotency-key", "authority"})
_STREAMS = (
    b"application/grpc",
    b"application/connect+",
)  # the client waits for an answer before it ends its body
_KIND = 20  # characters that the name of an authentication scheme has at most (RFC 9110 §11.1)


class Body(Struct):
    """The body of a request, as far as it is shown."""

    length: int  # -1 where nobody knows
    text: str = ""  # its beginning, escaped line by line
    beginning: int = 0  # bytes that `text` stands for
    digest: str = ""  # SHA-256 of the whole; "" where it is not held


def fields(found: Fields, secrets: tuple[bytes, ...]) -> tuple[tuple[str, str], ...]:
    """Return a head's fields, escaped, with what opens something left out."""
    return tuple(
        (printable(name.decode("latin-1")), _value(name.decode("latin-1").lower(), content, secrets))
        for name, content in found
    )


def _value(name: str, content: bytes, secrets: tuple[bytes, ...]) -> str:
    if name in _PLAIN or not any(word in name for word in _OPENING):
        return printable(scrub(content, secrets).decode("latin-1"))
    kind, space, rest = content.partition(b" ")
    told = kind.decode("latin-1")
    # Only what stands before a value can be a kind: a value alone is all secret.
    if "auth" in name and space and rest and len(kind) <= _KIND and told.isascii() and told.isalpha():
        return f"{told} ({len(rest)} bytes, not shown)"
    return f"({len(content)} bytes, not shown)"


async def body(inbound: Inbound, holder: "Holder", room: "Holder", secrets: tuple[bytes, ...]) -> Body:
    """Read what is shown of a body and put it back; `holder` is its request, `room` is all of them."""
    head = inbound.head
    if head.framing == 0:
        return Body(length=0)
    kind = b"".join(content for name, content in head.fields if name.lower() == b"content-type")
    if kind.lower().startswith(_STREAMS):
        return Body(length=max(head.framing, -1))
    most = limits.SHOWN_BODY if head.framing > limits.ASKED_BODY else limits.ASKED_BODY
    inbound.proceed()
    pieces: list[bytes] = []
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.ASKED_TIME):
            while not inbound.done and size <= most and room.held <= limits.HELD_BODIES:
                piece = await inbound.read()
                pieces.append(piece)
                size += len(piece)
                holder.held += len(piece)
                room.held += len(piece)
    taken = b"".join(pieces)
    whole = inbound.done
    if taken:
        inbound.unread(taken)
    return _seen(taken, len(taken) if whole else max(head.framing, -1), secrets, whole=whole)


def _seen(taken: bytes, length: int, secrets: tuple[bytes, ...], *, whole: bool) -> Body:
    # Scrubbed before it is cut, or half a secret could stand at the end.
    beginning = scrub(taken[: limits.SHOWN_BODY + limits.WATCH_OVERLAP], secrets)[: limits.SHOWN_BODY]
    lines = beginning.decode("utf-8", "backslashreplace").split("\n")
    return Body(
        length=length,
        text="\n".join(printable(line) for line in lines),
        beginning=len(beginning),
        digest=sha256(taken) if whole else "",
    )
