"""What an HTTP/2 peer may cost: frames counted before they are read.

Theory. HTTP/2 lets a peer cause work with a few bytes: a reset stream (CVE-2023-44487) or one that it
makes us reset (CVE-2025-8671), a ping or a setting to be acknowledged (CVE-2019-9512, -9515), an empty
frame (CVE-2019-9518), a window opened byte by byte (CVE-2019-9511), a header block without an end
(CVE-2024-27316). So every frame costs something, and what moves a request on earns it back: a peer that
works is never stopped, one that only keeps us busy is soon out of means. Resets have an allowance of
their own. Lengths are checked when the nine bytes of a frame's head are there: nothing too long is kept
while it arrives.
"""

import time

from ringfence.egress import limits
from ringfence.errors import PeerError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = 9  # bytes before a frame's payload
DATA, HEADERS, RST_STREAM, SETTINGS, CONTINUATION = 0, 1, 3, 4, 9
END_STREAM, END_HEADERS = 0x1, 0x4

ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR = 11, 6  # RFC 9113 §7


class FloodError(PeerError):
    """The peer costs too much: `code` goes into the GOAWAY that ends the connection."""

    def __init__(self, message: str, *, code: int = ENHANCE_YOUR_CALM) -> None:
        super().__init__(message)
        self.code = code


class Allowance:
    """A number that shrinks by use and grows with time, up to where it began."""

    __slots__ = ("_burst", "_left", "_rate", "_since")

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = burst
        self._left = burst
        self._rate = rate
        self._since = time.monotonic()

    def take(self, amount: float) -> bool:
        """Use some; returns whether there was as much."""
        self._left -= amount
        if self._left >= 0:
            return True
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        return self._left >= 0

    def give(self, amount: float) -> None:
        """Earn some back."""
        self._left = min(self._burst, self._left + amount)


class Meter:
    """Walks over the frames of one connection as their bytes arrive."""

    __slots__ = ("_block", "_held", "_left", "_preface", "_resets", "_work", "in_block")

    def __init__(self, *, preface: bool) -> None:
        """`preface`: the peer is a client, and begins with its preface."""
        self._preface = len(PREFACE) if preface else 0
        self._held = b""  # an unfinished frame head
        self._left = 0  # of the present frame's payload
        self._block = 0  # bytes of the header block under way
        self.in_block = False
        self._work = Allowance(limits.H2_WORK, limits.H2_WORK_RATE)
        self._resets = Allowance(limits.H2_RESETS, limits.H2_RESETS_RATE)

    @property
    def between(self) -> bool:
        """Whether no frame and no header block is under way."""
        return not (self.in_block or self._left or self._held or self._preface)

    def take(self, data: bytes) -> None:
        """Count the frames in what arrived; raises on the first that is one too many."""
        at, end = 0, len(data)
        if self._preface:
            at = min(self._preface, end)
            self._preface -= at
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            need = HEAD - len(self._held)
            head = self._held + data[at : at + need]
            at += need
            if len(head) < HEAD:
                self._held = head
                return
            self._held = b""
            self._frame(head)

    def _frame(self, head: bytes) -> None:
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        if length > limits.H2_FRAME:
            raise FloodError("a frame is too long", code=FRAME_SIZE_ERROR)
        self._left = length
        if kind in (HEADERS, CONTINUATION):
            self._block = length + (self._block if kind == CONTINUATION else 0)
            self.in_block = not flags & END_HEADERS
            if self._block > limits.HEAD:
                raise FloodError("a header block is too long")
        elif kind == SETTINGS and length > limits.H2_SETTINGS * 6:
            raise FloodError("too many settings in one frame")
        elif kind == RST_STREAM:
            self.reset()
        if not self._work.take(1):
            raise FloodError("too many frames that move nothing on")

    def reset(self) -> None:
        """Count a stream that the peer has reset, or made us reset."""
        if not self._resets.take(1):
            raise FloodError("too many streams were reset")

    def moved(self, amount: float = 1.0) -> None:
        """Take note that a request, or its answer, has moved on."""
        self._work.give(amount)
