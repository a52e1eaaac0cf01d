"""Cursor: beforeShellExecution, beforeMCPExecution, beforeReadFile; by descriptions of its format, not tried.

It reads `permission`: allow, ask or deny, and blocks on status 2. A hook that fails otherwise lets the call
go on, unless it is declared with `failClosed`. Its editing tool has no hook that could stop it.
"""

from ringfence import strict
from ringfence.canonical import encode
from ringfence.integrations.clients import MANAGED, PROJECT, USER, Around, Client, Reply, fields, signed
from ringfence.integrations.permissions import LEAVE, Answer, Asked
from ringfence.policy.model import ASK, DENY
from ringfence.verdict.ruling import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHELL, SERVER, FILE = "beforeShellExecution", "beforeMCPExecution", "beforeReadFile"


def asked(data: "dict[str, Any]", around: Around) -> Asked:
    """Read a hook's input."""
    event = fields.text(data, "hook_event_name")
    top = _top(data)
    call = {SHELL: _shell, SERVER: _server, FILE: _file}.get(event)
    if call is None:
        raise fields.BadInputError(f"the hook {event!r} asks for no permission")
    return Asked(
        calls=call(data, top, around),
        root=top,
        client="cursor",
        session=fields.text(data, "conversation_id", ""),
    )


def _top(data: "dict[str, Any]") -> str:
    roots = data.get("workspace_roots")
    if not isinstance(roots, list) or not roots or not isinstance(roots[0], str) or roots[0][:1] != "/":
        raise fields.BadInputError("`workspace_roots` names no folder")
    return str(roots[0])


def _shell(data: "dict[str, Any]", top: str, around: Around) -> tuple[ToolCall, ...]:
    cwd = fields.folder(data, "cwd") if data.get("cwd") else top
    given: dict[str, object] = {"command": fields.text(data, "command")}
    return tuple(ToolCall(tool="Bash", input=given, cwd=cwd, shell=shell) for shell in around.shells)


def _server(data: "dict[str, Any]", top: str, _around: Around) -> tuple[ToolCall, ...]:
    given = data.get("tool_input")
    if isinstance(given, str):
        given = strict.loads(given or "{}")
    if not isinstance(given, dict):
        raise fields.BadInputError("`tool_input` is not an object")
    return (ToolCall(tool=_named(fields.text(data, "tool_name"), data), input=given, cwd=top),)


def _named(tool: str, data: "dict[str, Any]") -> str:
    """Return the name that rules know: `mcp__server__tool`, as far as Cursor tells the server."""
    parts = tool.split(":")
    if parts[0] == "MCP" and len(parts) == 3:
        return f"mcp__{parts[1]}__{parts[2]}"
    server = fields.text(data, "server_name", "") or "unknown"
    return f"mcp__{server}__{parts[-1].strip()}"


def _file(data: "dict[str, Any]", top: str, _around: Around) -> tuple[ToolCall, ...]:
    return (ToolCall(tool="Read", input={"file_path": fields.text(data, "file_path")}, cwd=top),)


def reply(event: str, answer: Answer) -> Reply:
    """Return what Cursor reads. It cannot ask about reading a file: that is refused."""
    if answer.effect == LEAVE:
        return Reply(output="{}")
    effect = DENY if answer.effect == ASK and event == FILE else answer.effect
    why = signed(answer)
    return Reply(output=encode({"permission": effect, "user_message": why, "agent_message": why}))


CLIENT = Client(
    name="cursor",
    title="Cursor",
    asked=asked,
    reply=reply,
    files={
        USER: "{home}/.cursor/hooks.json",
        PROJECT: "{project}/.cursor/hooks.json",
        MANAGED: "/etc/cursor/hooks.json",
    },
    events=(SHELL, SERVER, FILE),
    style="cursor",
    extra={"failClosed": True},
)
