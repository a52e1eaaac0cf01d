"""Takes secrets out of what an upstream sends back, as it streams by.

An upstream that echoes a request (an error page, a debug endpoint) would hand the agent its key. Every
value the session has ever held is overwritten by asterisks, as many as it had characters, so lengths
stay true. Across pieces of a stream only a tail that could be the beginning of a value is held back:
an event that holds no such tail is passed on at once.

This finds the plain value in a body that is not compressed; the real control is a short-lived, narrow key.
"""

from ringfence.egress.http1 import Fields

SHORTEST = 4  # a shorter value would also stand in innocent text


class Scrubber:
    """Scrubs one body."""

    def __init__(self, values: tuple[bytes, ...]) -> None:
        self._values = values
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be passed on."""
        data = scrub(self._held + data, self._values)
        keep = max((_tail(data, value) for value in self._values), default=0)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

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


def _tail(data: bytes, value: bytes) -> int:
    """Return how long a beginning of `value` stands at the end of `data`."""
    at = max(len(data) - len(value) + 1, 0)
    while (at := data.find(value[:1], at)) >= 0:
        if value.startswith(data[at:]):
            return len(data) - at
        at += 1
    return 0
