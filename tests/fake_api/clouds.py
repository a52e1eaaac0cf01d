"""The same API as two clouds have it: Bedrock's InvokeModel, whose streams are frames, and Vertex's rawPredict.

A frame is what AWS calls an event stream message: lengths, a checksum of these, headers, the payload, a checksum
of all (smithy.io, "Amazon Event Stream Specification"). Its payload holds one event of the Messages API in base64.
"""

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

FRAMES = "application/vnd.amazon.eventstream"
_BEDROCK = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
_VERTEX = re.compile(
    r"/v1/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/([^/:]+):(rawPredict|streamRawPredict)"
)
_TEXT = 7  # the type of a header's value


class Call(NamedTuple):
    """What a path asks for."""

    model: str
    streamed: bool
    framed: bool


def call(path: str) -> Call | None:
    """Read a path of either cloud."""
    if found := _BEDROCK.fullmatch(path):
        return Call(found[1], found[2].endswith("stream"), True)
    if found := _VERTEX.fullmatch(path):
        return Call(found[1], found[2].startswith("stream"), False)
    return None


def frames(events: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the frame of each event."""
    for event in events:
        inner = base64.b64encode(json.dumps(event).encode()).decode()
        yield _frame(
            {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
            json.dumps({"bytes": inner}).encode(),
        )


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    packed = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">BH", _TEXT, len(value)) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    whole = lengths + struct.pack(">I", zlib.crc32(lengths)) + packed + payload
    return whole + struct.pack(">I", zlib.crc32(whole))
