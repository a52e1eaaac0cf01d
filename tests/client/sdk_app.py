"""A program on the Claude Agent SDK: does the sample task, and offers the model one tool of its own.

Usage: sdk_app.py CLAUDE. Prints one JSON object.
"""

import json
import os
import shutil
import sys

import anyio
from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ResultMessage,
    TextBlock,
    create_sdk_mcp_server,
    query,
    tool,
)

SEES_HOME = os.path.exists(os.environ.get("SDK_PROOF", "/nonexistent"))


@tool("whoami", "Tell which process runs this tool", {})
async def whoami(_arguments: dict) -> dict:
    """Answer with what only this process knows."""
    return {"content": [{"type": "text", "text": f"sees home: {SEES_HOME}"}]}


async def main() -> None:
    """Run one query and tell how it went."""
    server = create_sdk_mcp_server("own", tools=[whoami])
    options = ClaudeAgentOptions(
        cli_path=shutil.which(sys.argv[1]),
        cwd=os.getcwd(),
        permission_mode="bypassPermissions",
        mcp_servers={"own": server},
        allowed_tools=["Bash", "Read", "Edit", "mcp__own__whoami"],
        setting_sources=[],
    )
    said, result = [], None
    async for message in query(prompt="The tests fail. Fix the bug, run the tests, commit.", options=options):
        if isinstance(message, AssistantMessage):
            said += [block.text for block in message.content if isinstance(block, TextBlock)]
        if isinstance(message, ResultMessage):
            result = message
    assert result is not None
    out = {"said": said, "error": result.is_error, "result": result.result, "session": result.session_id}
    print(json.dumps(out))


anyio.run(main)
