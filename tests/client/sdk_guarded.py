"""A program on the Claude Agent SDK whose tools are guarded by a policy.

Usage: sdk_guarded.py CLAUDE ANSWER (yes, no, none, raise, broken). Prints one JSON object.
"""

import json
import os
import sys

import anyio
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage

from ringfence.integrations.claude_agent_sdk import permissions

ASKED: list[str] = []


def on_ask(question: object) -> bool:
    """Answer for the program's user."""
    ASKED.append(question.text)
    if sys.argv[2] == "raise":
        raise RuntimeError("no answer")
    return sys.argv[2] == "yes"


async def main() -> None:
    """Let the model do what it wants."""
    guard = permissions(on_ask=None if sys.argv[2] == "none" else on_ask)
    if sys.argv[2] == "broken":
        with open(os.environ["POLICY"], "w", encoding="utf-8") as file:  # noqa: ASYNC230 - before anything runs
            file.write("[commands\n")
    mode = os.environ.get("MODE", "default")
    options = ClaudeAgentOptions(
        cli_path=sys.argv[1], cwd=os.getcwd(), permission_mode=mode, setting_sources=[], **guard.options
    )
    result = None
    async with ClaudeSDKClient(options=options) as client:
        await client.query("do it")
        async for message in client.receive_response():
            if isinstance(message, ResultMessage):
                result = message
    print(json.dumps({"asked": ASKED, "result": result is not None and result.result}))


anyio.run(main)
