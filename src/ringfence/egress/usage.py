"""Reads from a model's answer what it used: tokens in and out, as the service itself counts them.

Shapes: the Messages API (JSON and events; also behind Vertex's rawPredict and Bedrock's InvokeModel), chat
completions and responses of OpenAI-compatible services, Bedrock's Converse. A stream is read event by event
and only events that speak of usage are parsed. Counts in a stream are cumulative, so the largest of each is
taken. An answer that does not say what it used is counted by its bytes, four to a token: unseen is not free.
"""

import base64
import binascii
import json
import re
import struct

from ringfence.egress import limits
from ringfence.egress.filters import Looking
from ringfence.egress.path import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ENDINGS = ("/messages", "/chat/completions", "/completions", "/responses", "/complete", "/embeddings")
_VERBS = (":rawpredict", ":streamrawpredict", ":generatecontent", ":streamgeneratecontent")  # as compared
_BEDROCK = ("/invoke", "/invoke-with-response-stream", "/converse", "/converse-stream")
_UNMETERED = (  # work whose cost shows later, or elsewhere
    *("/messages/batches", "/batches", "/async-invoke", "/model-invocation-job", "/batchpredictionjobs"),
    *(":batchgeneratecontent", ":predictlongrunning", "/invoke-with-bidirectional-stream", "/threads/runs"),
    *(
        "/realtime/calls",
        "/realtime/sessions",
        "/realtime/client_secrets",
        "/realtime/transcription_sessions",
    ),
)
_SOCKETS = (*_ENDINGS, "/realtime", ".bidigeneratecontent")  # a conversation by WebSocket
_LATER = {"/responses": "background", "/interactions": "background", "/chat/completions": "deferred"}
_RUN = re.compile(r"/threads/[^/]+/runs\Z")  # of an assistant
_BYTES_A_TOKEN = 4

_NAMES = {
    "input": ("input_tokens", "prompt_tokens", "inputTokens", "promptTokenCount"),
    "output": ("output_tokens", "completion_tokens", "outputTokens", "candidatesTokenCount"),
    "read": ("cache_read_input_tokens", "cacheReadInputTokens"),
    "write": ("cache_creation_input_tokens", "cacheWriteInputTokens"),
}


def is_model(method: str, path: Path) -> bool:
    """Say whether a request asks a model for an answer that costs tokens, however a server reads its path."""
    return method == "POST" and any(map(_is_model, path.readings))


def is_batch(method: str, path: Path) -> bool:
    """Say whether a request orders work whose cost nobody sees pass: refused while a budget holds."""
    bare = map(_bare, path.readings)
    return method == "POST" and any(one.endswith(_UNMETERED) or _RUN.search(one) for one in bare)


def is_socket(path: Path) -> bool:
    """Say whether a WebSocket is a conversation with a model, whose usage nobody reads: refused likewise."""
    return any(_bare(one).endswith(_SOCKETS) for one in path.readings)


def later(method: str, path: Path) -> str:
    """Return the member of a request's body that orders its answer for later; "" where there is none."""
    endings = (member for one in path.readings for end, member in _LATER.items() if _bare(one).endswith(end))
    return next(endings, "") if method == "POST" else ""


def _is_model(reading: str) -> bool:
    path = _bare(reading)
    return path.endswith((*_ENDINGS, *_VERBS)) or ("/model/" in path and path.endswith(_BEDROCK))


def _bare(reading: str) -> str:
    """Return a path as lax servers route it: whatever its case, with or without a slash at its end."""
    return reading.lower().rstrip("/")


class Usage:
    """Tokens of one answer."""

    def __init__(self) -> None:
        self.model = ""
        self.tokens = {"input": 0, "output": 0, "read": 0, "write": 0, "write_1h": 0}
        self.stated = False

    @property
    def total(self) -> int:
        """All tokens, cached ones included. The writes of an hour are part of `write`."""
        return sum(self.tokens.values()) - self.tokens["write_1h"]

    def take(self, value: "Any") -> None:
        """Take note of everything an event or an answer says."""
        if not isinstance(value, dict):
            return
        for inner in ("message", "response"):
            self.take(value.get(inner))
        if isinstance(value.get("model"), str):
            self.model = value["model"][:200]
        for name in ("usage", "usageMetadata"):
            if isinstance(value.get(name), dict):
                self._count(value[name])

    def _count(self, usage: "dict[str, Any]") -> None:
        for kind, names in _NAMES.items():
            for name in names:
                self._largest(kind, usage.get(name))
        split = usage.get("cache_creation")
        if isinstance(split, dict):
            self._largest("write_1h", split.get("ephemeral_1h_input_tokens"))

    def _largest(self, kind: str, count: "Any") -> None:
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            self.tokens[kind] = max(self.tokens[kind], count)
            self.stated = True


class UsageReader(Looking):
    """A filter that reads an answer's usage as it streams by and changes nothing."""

    needs_plain = True

    def __init__(self, content_type: bytes, done: "Callable[[UsageReader], None] | None" = None) -> None:
        """`done` is called when the exchange is over, however it ended."""
        self.usage = Usage()
        self.seen = 0
        self._whole_answer = False
        self._done = done
        kind = content_type.partition(b";")[0].strip().lower()
        self._take = {
            b"text/event-stream": self._events,
            b"application/vnd.amazon.eventstream": self._frames,
        }.get(kind, self._whole)
        self._json = kind not in {b"text/event-stream", b"application/vnd.amazon.eventstream"}
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Read and pass on."""
        self.seen += len(data)
        self._take(data)
        return data

    def finish(self) -> bytes:
        """Read what was kept; nothing was held back."""
        self._whole_answer = True
        if self._json:
            self.usage.take(_parsed(bytes(self._held)))
            self._held.clear()
        return b""

    def close(self) -> None:
        """Tell who counts."""
        if self._done is not None:
            self._done(self)

    def settle(self, sent: int) -> Usage:
        """Return the usage, estimated from the bytes both ways where the answer did not say."""
        if not self.usage.stated:
            self.usage.tokens["input"] = sent // _BYTES_A_TOKEN
            self.usage.tokens["output"] = self.seen // _BYTES_A_TOKEN
        elif not (self._whole_answer and self.usage.tokens["output"]):
            # Cut before its last word: who leaves just before the end pays for what came. Events are wordy.
            least = self.seen // (8 * _BYTES_A_TOKEN)
            self.usage.tokens["output"] = max(self.usage.tokens["output"], least)
        return self.usage

    def _whole(self, data: bytes) -> None:
        if len(self._held) + len(data) <= limits.USAGE_ANSWER:
            self._held += data

    def _events(self, data: bytes) -> None:
        self._held += data
        *lines, rest = bytes(self._held).split(b"\n")
        self._held = bytearray(rest[-limits.USAGE_EVENT :])
        for line in lines:
            if line.startswith(b"data:") and (b"sage" in line):
                self.usage.take(_parsed(line[5:]))

    def _frames(self, data: bytes) -> None:
        """Read AWS event stream messages: total length, headers' length, CRC, headers, payload, CRC."""
        self._held += data
        while len(self._held) >= 12:
            total, headers, _ = struct.unpack_from("!III", self._held)
            if total < 16 or total > limits.USAGE_EVENT or headers > total - 16:
                self._held.clear()  # not what it says it is: counted by bytes
                self._take = _ignore
                return
            if len(self._held) < total:
                return
            payload = bytes(self._held[12 + headers : total - 4])
            del self._held[:total]
            if b"bytes" in payload or b"sage" in payload:
                self._payload(_parsed(payload))

    def _payload(self, value: "Any") -> None:
        if isinstance(value, dict) and isinstance(value.get("bytes"), str):
            try:
                value = _parsed(base64.b64decode(value["bytes"]))
            except (ValueError, binascii.Error):
                return
        self.usage.take(value)


def _parsed(text: bytes) -> "Any":
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _ignore(data: bytes) -> None:
    """Take no note of the rest of an answer that is not what it says it is."""
