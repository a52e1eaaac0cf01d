"""A reply as the Messages API sends it: one JSON message, or the server-sent events that build it."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from .script import Reply, Say, Use

PIECE = 24  # characters a delta


def message(reply: Reply, model: str) -> dict[str, Any]:
    """Return the whole message, as a request without `stream` gets it."""
    return {
        **_envelope(model),
        "content": [_whole(block) for block in reply],
        "stop_reason": _reason(reply),
        "usage": _usage(_weight(reply)),
    }


def stream(reply: Reply, model: str) -> Iterator[bytes]:
    """Yield each server-sent event of a streamed reply."""
    for event in events(reply, model):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def events(reply: Reply, model: str) -> Iterator[dict[str, Any]]:
    """Yield what each event of a streamed reply says."""
    start = {**_envelope(model), "content": [], "stop_reason": None, "usage": _usage(1)}
    yield _event("message_start", message=start)
    yield _event("ping")
    for index, block in enumerate(reply):
        yield _event("content_block_start", index=index, content_block=_empty(block))
        for delta in _deltas(block):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ending = {"stop_reason": _reason(reply), "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage={"output_tokens": _weight(reply)})
    yield _event("message_stop")


def _event(kind: str, **fields: object) -> dict[str, Any]:
    return {"type": kind, **fields}


def _envelope(model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_sequence": None,
    }


def _usage(output: int) -> dict[str, Any]:
    return {
        "input_tokens": 1000,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    }


def _whole(block: Say | Use) -> dict[str, Any]:
    if isinstance(block, Say):
        return {"type": "text", "text": block.text}
    return {**_empty(block), "input": block.input}


def _empty(block: Say | Use) -> dict[str, Any]:
    if isinstance(block, Say):
        return {"type": "text", "text": ""}
    return {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": block.tool, "input": {}}


def _deltas(block: Say | Use) -> Iterator[dict[str, str]]:
    if isinstance(block, Say):
        yield from ({"type": "text_delta", "text": piece} for piece in _pieces(block.text))
        return
    yield {"type": "input_json_delta", "partial_json": ""}
    for piece in _pieces(json.dumps(block.input)):
        yield {"type": "input_json_delta", "partial_json": piece}


def _pieces(text: str) -> Iterator[str]:
    # A long tool input would otherwise be hundreds of events; eight pieces show the same behaviour.
    size = max(PIECE, -(-len(text) // 8))
    return (text[start : start + size] for start in range(0, len(text), size))


def _reason(reply: Reply) -> str:
    return "tool_use" if any(isinstance(block, Use) for block in reply) else "end_turn"


def _weight(reply: Reply) -> int:
    return sum(len(str(block)) // 4 + 1 for block in reply)
