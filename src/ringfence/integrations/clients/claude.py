"""Claude Code: PreToolUse and PermissionRequest (facts of 2.1.330; its SDKs start the same program).

An answer of `allow` skips the client's question but none of its own deny and ask rules; `ask` makes it ask;
`deny` and status 2 stop the call in every mode. Every other end of a hook lets the tool run, unless the hook
is declared with `onFailure: "block"`, which older versions do not know.
"""

from ringfence.canonical import encode
from ringfence.integrations.clients import MANAGED, PROJECT, USER, Around, Client, Reply, fields, signed
from ringfence.integrations.permissions import LEAVE, Answer, Asked
from ringfence.policy.model import ALLOW, ASK, DENY
from ringfence.verdict.ruling import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BEFORE, REQUEST = "PreToolUse", "PermissionRequest"
_COMMANDS = ("Bash", "Monitor")
# Tools that act on the client alone, or only through calls that are asked about themselves.
INNER = frozenset((
    *("TodoWrite", "TodoRead", "ToolSearch", "ExitPlanMode", "EnterPlanMode", "AskUserQuestion", "Task"),
    *("Agent", "ListAgents", "TaskCreate", "TaskGet", "TaskList", "TaskUpdate", "TaskOutput", "TaskStop"),
    *("BashOutput", "KillShell", "KillBash", "CronList", "ReportFindings", "EndConversation"),
))  # fmt: skip


def asked(data: "dict[str, Any]", around: Around) -> Asked:
    """Read a hook's input. Nothing in `tool_input` says where the project is, or what is allowed."""
    event = fields.text(data, "hook_event_name")
    if event not in (BEFORE, REQUEST):
        raise fields.BadInputError(f"the hook {event!r} asks for no permission")
    cwd, name, given = fields.folder(data, "cwd"), fields.tool(data), fields.table(data, "tool_input")
    shells = around.shells if name in _COMMANDS else around.shells[:1]
    return Asked(
        calls=tuple(ToolCall(tool=name, input=given, cwd=cwd, shell=shell) for shell in shells),
        root=fields.root(around, cwd),
        client="claude",
        session=fields.text(data, "session_id", ""),
        mode=fields.text(data, "permission_mode", "default"),
        name=fields.text(data, "tool_use_id", ""),
        shown=name,
        inner=name in INNER,
    )


def reply(event: str, answer: Answer) -> Reply:
    """Return what the client reads."""
    if answer.effect == LEAVE:
        return Reply()
    if event == REQUEST:
        said = _requested(answer)
    else:
        said = {"permissionDecision": answer.effect, "permissionDecisionReason": signed(answer)}
    if not said:
        return Reply()
    return Reply(output=encode({"hookSpecificOutput": {"hookEventName": event, **said}}))


def _requested(answer: Answer) -> "dict[str, Any]":
    """Answer a question that the client is about to ask: no is no, and yes only if a person said it here.

    What our rules allow and the client asks about all the same, its own rules ask about.
    """
    if answer.effect == DENY:
        return {"decision": {"behavior": "deny", "message": signed(answer)}}
    if answer.effect == ALLOW and answer.ruling.effect == ASK:
        return {"decision": {"behavior": "allow"}}
    return {}


CLIENT = Client(
    name="claude",
    title="Claude Code",
    asked=asked,
    reply=reply,
    files={
        USER: "{claude}/settings.json",
        PROJECT: "{project}/.claude/settings.local.json",
        MANAGED: "/etc/claude-code/managed-settings.d/ringfence.json",
    },
    events=(BEFORE, REQUEST),
    extra={"onFailure": "block"},
    tried="2.1.330",
)
