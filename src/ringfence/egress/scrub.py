"""Takes secrets out of what an upstream sends back, as it streams by.

An upstream that echoes a request (an error page, a debug endpoint) would hand the agent its key. Every
value the session has ever held is overwritten by asterisks, as many as it had characters, so lengths
stay true. Across pieces of a stream only a tail that could be the beginning of a value is held back:
an event that holds no such tail is passed on at once.

A value is looked for as it is and in the spellings that echoing programs give it: base64 at each of its three
alignments, hexadecimal, percent-encoded, reversed. A compressed body is not looked into; the real control
is a short-lived, narrow key.
"""

import base64
from urllib.parse import quote_from_bytes

from ringfence.egress.finder import Finder
from ringfence.egress.http1 import Fields, ResponseHead
from ringfence.value import replace

DIALOGUE = 6  # in a dialogue, the shortest beginning of a value that is held back
SHORTEST = 4  # a shorter value would also stand in innocent text
_SHORTEST_SPELLING = 8  # the same for its other spellings


def spellings(values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return everything to look for: the values, and each in its other spellings, longest first."""
    found: set[bytes] = set()
    for value in values:
        plain = (value, value[::-1])
        hexadecimal = value.hex().encode()
        percent = "".join(f"%{byte:02x}" for byte in value).encode()
        quoted = quote_from_bytes(value, safe="").encode()
        other = {hexadecimal, hexadecimal.upper(), percent, percent.upper(), quoted, quoted.lower()}
        other |= {one for shift in range(3) for one in in_base64(value, shift)}
        found |= {one for one in plain if len(one) >= SHORTEST}
        found |= {one for one in other if len(one) >= _SHORTEST_SPELLING}
    return tuple(sorted(found, key=len, reverse=True))


def in_base64(value: bytes, shift: int) -> tuple[bytes, bytes]:
    """Return those characters of a value's base64 that do not depend on what stands before and after it."""
    first = -(-shift * 8 // 6)  # characters that the bytes before have a share in
    last = (shift + len(value)) * 8 // 6
    padded = bytes(shift) + value + bytes(-(shift + len(value)) % 3)
    return base64.b64encode(padded)[first:last], base64.urlsafe_b64encode(padded)[first:last]


class Scrubber:
    """Scrubs one body."""

    keeps_length = True
    needs_plain = True

    def __init__(self, values: tuple[bytes, ...], least: int = 1, finder: Finder | None = None) -> None:
        """Hold back no tail shorter than `least`: in a dialogue it would be waited for.

        `finder`, where there is one, finds the same values.
        """
        self._values = values
        self._finder = finder
        self._least = least
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be passed on."""
        data = self._scrubbed(data)
        keep = 0
        for value in self._values:
            keep = max(keep, _tail(data, value))
        if keep < self._least:
            keep = 0
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def last(self, data: bytes) -> bytes:
        """Return all that is left, where this piece is known to be the last."""
        data, self._held = self._scrubbed(data), b""
        return data

    def _scrubbed(self, data: bytes) -> bytes:
        """Scrub what was held back and what follows it; nearly always there is nothing to find."""
        data = self._held + data
        if self._finder is not None and self._finder.first(data) is None:
            return data
        return scrub(data, self._values)

    def close(self) -> None:
        """Leave everything as it is."""

    def finish(self) -> bytes:
        """Return what was held back: the body has ended, so it was no beginning."""
        data, self._held = self._held, b""
        return data


def scrub(data: bytes, values: tuple[bytes, ...]) -> bytes:
    """Overwrite every value in `data`."""
    for value in values:
        if value in data:
            data = data.replace(value, b"*" * len(value))
    return data


def scrub_fields(fields: Fields, values: tuple[bytes, ...]) -> Fields:
    """Overwrite every value in a head's fields."""
    return [(name, scrub(content, values)) for name, content in fields]


def scrub_head(head: ResponseHead, fields: Fields, values: tuple[bytes, ...]) -> tuple[ResponseHead, Fields]:
    """Overwrite every value in an answer's head and in those of its fields that travel on."""
    whole = b"\n".join([head.phrase, *(content for _, content in fields)])  # no value holds a line feed
    if scrub(whole, values) is whole:
        return head, fields
    return replace(head, phrase=scrub(head.phrase, values)), scrub_fields(fields, values)


def _tail(data: bytes, value: bytes) -> int:
    """Return how long a beginning of `value` stands at the end of `data`."""
    at = max(len(data) - len(value) + 1, 0)
    while (at := data.find(value[:1], at)) >= 0:
        if value.startswith(data[at:]):
            return len(data) - at
        at += 1
    return 0
