"""A script: the model's turns, each a function of the conversation so far.

The client sends the whole conversation with every request, so the server keeps no state: the number
of turns the model has already had says which step is next, and a resumed session goes on where the
last one stopped. A request that offers no tools is one of the client's side questions (a title, a
summary) and is no turn.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Say(NamedTuple):
    """Text from the model."""

    text: str


class Use(NamedTuple):
    """One call of a tool."""

    tool: str
    input: dict[str, Any]


Block = Say | Use
Reply = list[Block]


class Conversation:
    """What the client has sent, as a step wants to read it."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.messages: list[dict[str, Any]] = body.get("messages", [])
        self.turns = sum(1 for message in self.messages if message.get("role") == "assistant")
        self.tools = [str(tool.get("name", "")) for tool in body.get("tools") or []]

    @property
    def results(self) -> list[str]:
        """The results of the tools that the last turn called, as text."""
        last = self.messages[-1] if self.messages else {}
        content = last.get("content")
        if not isinstance(content, list):
            return []
        return [_text(block.get("content")) for block in content if block.get("type") == "tool_result"]

    @property
    def prompts(self) -> list[str]:
        """Everything the user side has said in words."""
        users = [message for message in self.messages if message.get("role") == "user"]
        return [_text(message.get("content")) for message in users]


Step = Callable[[Conversation], Reply]


class Script:
    """Steps to be played in order; past the last one the model only says that it is done."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    def reply(self, conversation: Conversation) -> Reply:
        """Return the model's next turn."""
        if not conversation.tools:
            return [Say("ok")]
        if conversation.turns >= len(self.steps):
            return [Say("Nothing is left to do.")]
        return self.steps[conversation.turns](conversation)


def say(text: str) -> Step:
    """Return a step that ends the turn with `text`."""
    return lambda _conversation: [Say(text)]


def use(tool: str, text: str = "", **arguments: Any) -> Step:
    """Return a step that calls one tool, whatever came before."""
    first: Reply = [Say(text)] if text else []
    return lambda _conversation: [*first, Use(tool, arguments)]


def together(*calls: Use) -> Step:
    """Return a step that calls several tools in one turn."""
    return lambda _conversation: list(calls)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return "" if content is None else json.dumps(content)
    return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
