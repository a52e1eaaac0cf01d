"""What the judge and the exchange know of protocols: one request as it comes in, one as it goes out.

Theory. Policy must not depend on framing, nor framing on policy. So whatever speaks a protocol, HTTP/1.1 or
HTTP/2, on the agent's side or on the upstream's, gives each request one of these two faces. Bodies pass
through them decoded; how they are framed, how a connection goes on afterwards and how a cut is shown are
the protocol's business alone.

Output is gathered until `drain` or `finish`, so that a head leaves in one write with the body that is at
hand. Nothing here waits but what is `async`.
"""

from typing import Protocol

from ringfence.egress.http1 import Fields, RequestHead, ResponseHead
from ringfence.egress.memo import AnswerMemo, Memo
from ringfence.egress.refusal import Refusal
from ringfence.egress.tls import AnyStream
from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Inbound(Protocol):
    """One request as the agent's connection delivers it, and the way back for its answer."""

    head: RequestHead
    version: str  # "1.0" | "1.1" | "2"
    memo: Memo | None  # what the connection remembers of its last head
    done: bool  # the whole body has been taken
    answered: bool  # a byte of an answer has left: another answer cannot be given any more

    @property
    def trailers(self) -> Fields:
        """What was sent after the body; complete once `done`."""

    @property
    def ended(self) -> bool:
        """Whether the agent is gone."""

    @property
    def on_gone(self) -> "Callable[[], None] | None":
        """What is called when the agent goes: its connection closed, or its stream reset."""

    @on_gone.setter
    def on_gone(self, call: "Callable[[], None] | None") -> None: ...

    def arrived(self) -> bool:
        """Say whether the next `read` returns without waiting."""

    async def read(self) -> bytes:
        """Return the next piece of the body, b"" at its end; PeerError where it is cut or malformed."""

    def take(self) -> bytes:
        """Return the next piece, which has arrived."""

    def unread(self, data: bytes) -> None:
        """Put back a piece that a rule or a signature has looked at."""

    def proceed(self) -> None:
        """Say `100 Continue` where the agent waits for it."""

    def answer(self, head: ResponseHead, fields: Fields, written: bytes = b"") -> None:
        """Begin the answer; the framing is this side's own, by `head.framing`.

        `written` are the fields as lines, where that is known.
        """

    def write(self, data: bytes) -> None:
        """Add a piece of the answer's body."""

    def finish(self, trailers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """End the answer and send it; trailers only where the agent can take them."""

    @property
    def congested(self) -> bool:
        """Whether `drain` has anything to do."""

    async def drain(self) -> None:
        """Send what is gathered, and wait until the agent has taken enough."""

    def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal of ours, in place of what is gathered and not sent."""

    def abort(self, why: "PeerError | None" = None) -> None:
        """Cut: the agent must see that the answer is incomplete, and why where its protocol can say."""

    def tunnel(self, head: ResponseHead, fields: Fields) -> AnyStream:
        """Accept an upgrade and return the raw stream."""


class Outbound(Protocol):
    """One request on a connection to an upstream. Host and framing are the connection's to write."""

    reused: bool  # the connection had served a request before
    memo: AnswerMemo | None  # what it remembers of its last answer's head
    done: bool  # the whole answer has been taken

    @property
    def trailers(self) -> Fields:
        """What was sent after the answer's body; complete once `done`."""

    def send(
        self,
        method: str,
        path: str,
        fields: Fields,
        framing: int,
        *,
        upgrade: bytes = b"",
        trailers: bool = False,
        written: bytes = b"",
    ) -> None:
        """Begin the request. `trailers`: say that trailers of the answer are welcome.

        `written` are the fields as lines, where that is known.
        """

    def write(self, data: bytes) -> None:
        """Add a piece of the body."""

    def finish(self, trailers: "Sequence[tuple[bytes, bytes]]" = ()) -> None:
        """End the request and send it."""

    async def drain(self) -> None:
        """Send what is gathered, and wait until the upstream has taken enough."""

    async def head(self) -> ResponseHead:
        """Return the answer's head; interim answers are swallowed, the agent had ours."""

    def arrived(self) -> bool:
        """Say whether the next `read` returns without waiting."""

    async def read(self) -> bytes:
        """Return the next piece of the answer, b"" at its end; PeerError where it is cut or malformed."""

    def take(self) -> bytes:
        """Return the next piece, which has arrived."""

    def release(self) -> None:
        """Give the connection back: the whole answer has been taken."""

    def abort(self) -> None:
        """Give the request up now; nothing more is read of its answer."""

    def tunnel(self) -> AnyStream:
        """Return the raw stream behind a 101."""
