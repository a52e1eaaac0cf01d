"""Orders whose cost nobody would see pass: a model asked to work in the background.

The answer to such a request is a ticket. What the work used is told to whoever asks for the ticket later,
or to nobody, so it is refused while the policy limits what the model may cost. The order is a member of
the body; so the body is held until it has been read, and upstream never has the whole of one that is
refused. What cannot be read could be such an order. All bodies that are held count together, until their
requests are over.
"""

import json

from ringfence.egress import limits
from ringfence.egress.filters import Looking
from ringfence.egress.refusal import Refusal, Refused
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Holder(Protocol):
        """Counts what is held of bodies, all together."""

        held: int


_TOO_MANY = "too many bodies are held at the moment, to be looked into before they are sent"


class Background(Looking):
    """Holds a request's body until it is known to order nothing that is done later."""

    def __init__(self, member: str, refusal: Refusal, holder: "Holder") -> None:
        """`member` of the body, unless it is false, is the order."""
        self._member = member
        self._holder = holder
        self._refusal = refusal
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Hold a piece; raises Refused where it becomes too much."""
        self._pieces.append(data)
        self._size += len(data)
        self._holder.held += len(data)
        if self._size > limits.HELD_BODY:
            raise Refused(self._refusal)
        if self._holder.held > limits.HELD_BODIES:
            raise Refused(replace(self._refusal, status=503, message=_TOO_MANY, how=""))
        return b""

    def finish(self) -> bytes:
        """Let the body go, or raise Refused."""
        body = b"".join(self._pieces)
        if orders(body, self._member):
            raise Refused(self._refusal)
        self._pieces = []
        return body

    def close(self) -> None:
        """Make room: the request is over, and nothing of its body is in a buffer any more."""
        self._holder.held -= self._size
        self._size = 0
        self._pieces = []


def orders(body: bytes, member: str) -> bool:
    """Say whether a JSON object has a member that is not false, by any reading of a member given twice."""
    found: list[Any] = []

    def members(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
        # The outermost object is built last, so what is found at the end is its own.
        found[:] = [value for name, value in pairs if name.lower() == member]
        return dict(pairs)

    try:
        whole = json.loads(body, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return True
    return not isinstance(whole, dict) or any(value is not False and value is not None for value in found)
