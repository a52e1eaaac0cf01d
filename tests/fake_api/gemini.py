"""The Gemini API, as Gemini CLI uses it: its requests read as a conversation, a reply as one event or object."""

import json
from typing import Any

from .script import Block, Reply, Say

STREAM = ":streamGenerateContent"
CALLS = (STREAM, ":generateContent")
# What the client's own side questions want to be answered: which model, who speaks next.
_SIDE = {"complexity_score": 1, "complexity_reasoning": "", "reasoning": "", "next_speaker": "user"}


def conversation(body: dict[str, Any]) -> dict[str, Any]:
    """Return the request as the Messages API has it."""
    tools = [one for group in body.get("tools") or [] for one in group.get("functionDeclarations") or []]
    return {"messages": [_message(one) for one in body.get("contents") or []], "tools": tools}


def _message(content: dict[str, Any]) -> dict[str, Any]:
    role = "assistant" if content.get("role") == "model" else "user"
    return {"role": role, "content": [_block(part) for part in content.get("parts") or []]}


def _block(part: dict[str, Any]) -> dict[str, Any]:
    if "functionResponse" in part:
        return {"type": "tool_result", "content": json.dumps(part["functionResponse"].get("response"))}
    return {"type": "text", "text": part.get("text", "")}


def answer(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    """Return a reply, whole."""
    parts = [_part(block) for block in reply]
    if "json" in str((body.get("generationConfig") or {}).get("responseMimeType")):
        parts = [{"text": json.dumps(_SIDE)}]
    content = {"role": "model", "parts": parts}
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 10, "totalTokenCount": 1010}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage,
    }


def event(made: dict[str, Any]) -> bytes:
    """Return an answer as the one event of a stream."""
    return f"data: {json.dumps(made)}\r\n\r\n".encode()


def _part(block: Block) -> dict[str, Any]:
    if isinstance(block, Say):
        return {"text": block.text}
    return {"functionCall": {"name": block.tool, "args": block.input}}
