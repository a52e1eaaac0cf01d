"""Filters: what looks into bodies as they stream by, one chain for each direction of each request.

A filter takes a piece and returns what may be passed on, now; at the end it gives what it held back. It may
raise `refusal.Refused`. Most requests have no filter, and a chain that is empty costs nothing.
"""

from typing import Protocol

from ringfence.egress.gate import Target
from ringfence.egress.http1 import CHUNKED, RequestHead, ResponseHead
from ringfence.egress.scrub import Scrubber
from ringfence.value import replace
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # Each makes a filter for one request, or None. What it puts into the notes goes into the response record.
    Notes = dict[str, object]
    Upward = Callable[[RequestHead, Target, Verdict, Notes], "Filter | None"]
    Downward = Callable[[RequestHead, Target, Verdict, Notes, ResponseHead], "Filter | None"]


class Filter(Protocol):
    """Looks into one body."""

    keeps_length: bool  # what it returns is as long as what it was given
    needs_plain: bool  # it reads the body, so a content coding has to be undone before

    def feed(self, data: bytes) -> bytes:
        """Return what can be passed on."""

    def finish(self) -> bytes:
        """Return what was held back: the body has ended."""

    def close(self) -> None:
        """Take note that the exchange is over, however it ended: called once, before its record."""


class Looking:
    """What filters have in common that look and pass everything on."""

    keeps_length = True
    needs_plain = False

    def close(self) -> None:
        """Leave everything as it is."""


def feed(chain: "Sequence[Filter]", data: bytes) -> bytes:
    """Pass one piece through all filters."""
    for one in chain:
        data = one.feed(data)
    return data


def last(chain: "Sequence[Filter]", data: bytes) -> bytes:
    """Pass the last piece through all filters, and end them."""
    for one in chain:
        if isinstance(one, Scrubber):
            data = one.last(data)
        else:
            data = (one.feed(data) if data else b"") + one.finish()
    return data


def finish(chain: "Sequence[Filter]") -> bytes:
    """End all filters in turn; each sees what the one before it held back."""
    data = b""
    for one in chain:
        data = (one.feed(data) if data else b"") + one.finish()
    return data


def keep_length(chain: "Sequence[Filter]") -> bool:
    """Say whether a body is as long behind the filters as before."""
    return False not in [one.keeps_length for one in chain]


def unframed(head: ResponseHead) -> ResponseHead:
    """Return the head of an answer whose length is not known any more."""
    return replace(head, framing=CHUNKED) if head.framing > 0 else head
