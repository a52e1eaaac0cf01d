"""Codex: PreToolUse and PermissionRequest (facts of 0.169.0).

A hook that nobody has trusted is skipped without a word, so `trust` has Codex itself note that ours may
run, and says where it does not. Codex reads less than Claude Code does: `allow` alone and `ask` from
PreToolUse are faults there, and after a fault, a time-out or a signal the tool runs. So a call that is
allowed gets no answer (its own rules go on from there), and one that a person has to answer is refused,
unless the policy has `ringfence approve` ask. No is status 2 with a reason on standard error: what a user's
profile prints could spoil an answer on standard output.

The working directory of a command comes from the model, and so does its shell, which the hook is not told.
The project is therefore where the hook runs, and a command is read as each shell that it could name.
"""

from ringfence.canonical import encode
from ringfence.integrations import codex_trust
from ringfence.integrations.clients import PROJECT, USER, Around, Client, Reply, fields, reason
from ringfence.integrations.clients.claude import BEFORE, REQUEST
from ringfence.integrations.permissions import Answer, Asked
from ringfence.policy.model import ALLOW, ASK, DENY
from ringfence.verdict.ruling import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATCH, _IMAGE = "apply_patch", "view_image"
_MARKS = ("*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: ")
NOBODY = "a person has to allow this, and Codex asks nobody for a hook: see `prompt` in the policy"
# Tools that act on the client alone.
INNER = frozenset(
    ("update_plan", "get_goal", "create_goal", "update_goal", "request_user_input", "tool_search")
)


def asked(data: "dict[str, Any]", around: Around) -> Asked:
    """Read a hook's input."""
    event = fields.text(data, "hook_event_name")
    if event not in (BEFORE, REQUEST):
        raise fields.BadInputError(f"the hook {event!r} asks for no permission")
    cwd, name, given = fields.folder(data, "cwd"), fields.tool(data), fields.table(data, "tool_input")
    return Asked(
        calls=_calls(name, given, cwd, around),
        root=around.here or fields.root(around, cwd),
        client="codex",
        session=fields.text(data, "session_id", ""),
        mode=fields.text(data, "permission_mode", "default"),
        name=fields.text(data, "tool_use_id", ""),
        shown=name,
        inner=name in INNER,
    )


def _calls(tool: str, given: "dict[str, Any]", cwd: str, around: Around) -> tuple[ToolCall, ...]:
    """Return what a call stands for: a patch is an edit of each file that it names."""
    if tool == "Bash":
        return tuple(ToolCall(tool=tool, input=given, cwd=cwd, shell=shell) for shell in around.shells)
    if tool == _IMAGE:
        return (ToolCall(tool="Read", input={**given, "file_path": fields.text(given, "path")}, cwd=cwd),)
    if tool != _PATCH:
        return (ToolCall(tool=tool, input=given, cwd=cwd),)
    paths = _patched(fields.text(given, "command"))
    if not paths:
        raise fields.BadInputError("a patch that names no file")
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
    if answer.effect == DENY:
        return Reply(refusal=reason(answer))
    if event == BEFORE and answer.effect == ASK:
        return Reply(refusal=f"{reason(answer)}; {NOBODY}")
    if event == REQUEST and answer.effect == ALLOW and answer.ruling.effect == ASK:  # a person said so here
        said = {"hookEventName": event, "decision": {"behavior": "allow"}}
        return Reply(output=encode({"hookSpecificOutput": said}))
    return Reply()


CLIENT = Client(
    name="codex",
    title="Codex",
    asked=asked,
    reply=reply,
    files={USER: "{codex}/hooks.json", PROJECT: "{project}/.codex/hooks.json"},
    events=(BEFORE, REQUEST),
    any_shell=True,
    named_shell=True,
    trust=codex_trust.trust,
    tried="0.169.0",
)
