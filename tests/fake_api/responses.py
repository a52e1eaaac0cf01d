"""The Responses API, as Codex uses it: its requests read as a conversation, a reply as its server-sent events."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from .script import Block, Reply, Say

_CALLS = frozenset(("function_call", "custom_tool_call"))
_RESULTS = frozenset(("function_call_output", "custom_tool_call_output"))


def conversation(body: dict[str, Any]) -> dict[str, Any]:
    """Return the request as the Messages API has it."""
    tools = [{"name": one.get("name") or one.get("type")} for one in body.get("tools") or []]
    return {"messages": [_message(one) for one in body.get("input") or []], "tools": tools}


def _message(item: dict[str, Any]) -> dict[str, Any]:
    kind = item.get("type")
    if kind in _CALLS:
        return {"role": "assistant", "content": ""}
    if kind in _RESULTS:
        return {"role": "user", "content": [{"type": "tool_result", "content": item.get("output")}]}
    return {"role": item.get("role", "user"), "content": item.get("content")}


def stream(reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    """Yield each server-sent event of a reply."""
    name = f"resp_{uuid.uuid4().hex}"
    free = {one.get("name") for one in body.get("tools") or [] if one.get("type") == "custom"}
    yield _event("response.created", response={"id": name})
    for index, block in enumerate(reply):
        yield _event("response.output_item.done", output_index=index, item=_item(block, free))
    usage = {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010}
    yield _event("response.completed", response={"id": name, "usage": usage})


def _event(kind: str, **values: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **values})}\n\n".encode()


def _item(block: Block, free: set[str]) -> dict[str, Any]:
    name = uuid.uuid4().hex
    if isinstance(block, Say):
        content = [{"type": "output_text", "text": block.text, "annotations": []}]
        return {"type": "message", "id": f"msg_{name}", "role": "assistant", "content": content}
    call = {"call_id": f"call_{name}", "name": block.tool, "status": "completed"}
    if block.tool in free:  # takes a text and no table
        return {**call, "type": "custom_tool_call", "id": f"ctc_{name}", "input": block.input["input"]}
    return {**call, "type": "function_call", "id": f"fc_{name}", "arguments": json.dumps(block.input)}
