"""Codex: PreToolUse and PermissionRequest, by its published schemas; not tried with the real program.

It reads less than Claude Code does: `allow` and `ask` from PreToolUse are faults there, and after a fault
the tool runs. So a call that is allowed gets no answer (its own rules go on from there), and one that a
person has to answer is refused, unless the policy has `ringfence approve` ask. Status 2 needs a reason on
standard error.
"""

from ringfence.canonical import encode
from ringfence.integrations.clients import (
    PROJECT,
    USER,
    Around,
    BadInputError,
    Client,
    Reply,
    folder,
    root,
    table,
    text,
    tool,
)
from ringfence.integrations.clients.claude import BEFORE, REQUEST, reason
from ringfence.integrations.permissions import Answer, Asked
from ringfence.policy.model import ALLOW, ASK, DENY
from ringfence.verdict.ruling import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATCH = "apply_patch"
_MARKS = ("*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: ")
NOBODY = "a person has to allow this, and Codex asks nobody for a hook: see `prompt` in the policy"


def asked(data: "dict[str, Any]", around: Around) -> Asked:
    """Read a hook's input."""
    event = text(data, "hook_event_name")
    if event not in (BEFORE, REQUEST):
        raise BadInputError(f"the hook {event!r} asks for no permission")
    cwd, name, given = folder(data, "cwd"), tool(data), table(data, "tool_input")
    return Asked(
        calls=_calls(name, given, cwd, around),
        root=root(around, cwd),
        client="codex",
        session=text(data, "session_id", ""),
        mode=text(data, "permission_mode", "default"),
        name=text(data, "tool_use_id", ""),
        shown=name,
    )


def _calls(tool: str, given: "dict[str, Any]", cwd: str, around: Around) -> tuple[ToolCall, ...]:
    """Return what a call stands for: a patch is an edit of each file that it names."""
    if tool == "Bash":
        return tuple(ToolCall(tool=tool, input=given, cwd=cwd, shell=shell) for shell in around.shells)
    if tool != _PATCH:
        return (ToolCall(tool=tool, input=given, cwd=cwd),)
    paths = _patched(text(given, "command"))
    if not paths:
        raise BadInputError("a patch that names no file")
    return tuple(ToolCall(tool="Edit", input={"file_path": path}, cwd=cwd) for path in paths)


def _patched(patch: str) -> tuple[str, ...]:
    found = [
        line.lstrip()[len(mark) :].strip()
        for line in patch.splitlines()
        for mark in _MARKS
        if line.lstrip().startswith(mark)
    ]
    return tuple(dict.fromkeys(path for path in found if path))


def reply(event: str, answer: Answer) -> Reply:
    """Return what Codex reads: no is no, everything else is its own to decide."""
    person = answer.effect == ALLOW and answer.ruling.effect == ASK
    if event == REQUEST:
        if answer.effect == DENY:
            said: dict[str, Any] = {"decision": {"behavior": "deny", "message": reason(answer)}}
        elif person:
            said = {"decision": {"behavior": "allow"}}
        else:
            return Reply()
    elif answer.effect in (DENY, ASK):
        why = reason(answer) if answer.effect == DENY else f"{reason(answer)}; {NOBODY}"
        said = {"permissionDecision": "deny", "permissionDecisionReason": why}
    else:
        return Reply()
    return Reply(output=encode({"hookSpecificOutput": {"hookEventName": event, **said}}))


CLIENT = Client(
    name="codex",
    title="Codex",
    asked=asked,
    reply=reply,
    files={USER: "{home}/.codex/hooks.json", PROJECT: "{project}/.codex/hooks.json"},
    events=(BEFORE, REQUEST),
)
