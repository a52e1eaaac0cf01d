"""Gemini CLI: BeforeTool (facts of 0.61.0).

It reads `deny` with a reason, and status 2. Its `ask` has a person asked in a terminal and hangs for ever
in `-p`, which the hook cannot tell apart, so a call that a person has to answer is refused, unless the
policy has `ringfence approve` ask. After a time-out or a signal the tool runs. Its tools have names of
their own; what they do with files and commands is put to the rules as the call of Claude Code's that does
the same. It runs hooks in trusted folders only, and refuses `-p` in others.
"""

import os

from ringfence.canonical import encode
from ringfence.integrations.clients import MANAGED, PROJECT, USER, Around, Client, Reply, fields, signed
from ringfence.integrations.permissions import Answer, Asked
from ringfence.policy.model import ASK, DENY
from ringfence.verdict.ruling import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EVENT = "BeforeTool"
NOBODY = "a person has to allow this, and Gemini CLI asks nobody for a hook: see `prompt` in the policy"
# Its tool -> the tool that rules know, and the keys that may hold the path or text.
_FILES = {
    "read_file": ("Read", "file_path", ("file_path", "absolute_path", "path")),
    "write_file": ("Write", "file_path", ("file_path", "absolute_path", "path")),
    "replace": ("Edit", "file_path", ("file_path", "absolute_path", "path")),
    "list_directory": ("LS", "path", ("dir_path", "path")),
    "glob": ("Glob", "path", ("dir_path", "path")),
    "search_file_content": ("Grep", "path", ("dir_path", "path")),
    "grep_search": ("Grep", "path", ("dir_path", "path")),
}
# Tools that act on the client alone, or only through calls that are asked about themselves.
INNER = frozenset((
    *("update_topic", "write_todos", "ask_user", "enter_plan_mode", "exit_plan_mode", "invoke_agent"),
    *("list_background_processes", "read_background_output"),
))  # fmt: skip
_MANY = "read_many_files"
_SHELL, _FETCH, _SEARCH = "run_shell_command", "web_fetch", "google_web_search"


def asked(data: "dict[str, Any]", around: Around) -> Asked:
    """Read a hook's input."""
    if fields.text(data, "hook_event_name") != EVENT:
        raise fields.BadInputError("only BeforeTool asks for a permission")
    cwd, name, given = fields.folder(data, "cwd"), fields.tool(data), fields.table(data, "tool_input")
    return Asked(
        calls=_calls(name, given, cwd),
        root=fields.root(around, cwd),
        client="gemini",
        session=fields.text(data, "session_id", ""),
        shown=name,
        inner=name in INNER,
    )


def _calls(tool: str, given: "dict[str, Any]", cwd: str) -> tuple[ToolCall, ...]:
    if tool == _SHELL:
        where = fields.text(given, "dir_path", "") or fields.text(given, "directory", "")
        place = os.path.normpath(os.path.join(cwd, where)) if where else cwd
        return (ToolCall(tool="Bash", input={"command": fields.text(given, "command")}, cwd=place),)
    if tool in _FILES:
        known, name, keys = _FILES[tool]
        found = [fields.text(given, key) for key in keys if key in given] or [cwd]
        return tuple(ToolCall(tool=known, input={**given, name: path}, cwd=cwd) for path in found)
    if tool == _MANY:
        return _many(given, cwd)
    if tool == _FETCH:
        return _fetched(given, cwd)
    known = "WebSearch" if tool == _SEARCH else tool
    return (ToolCall(tool=known, input=given, cwd=cwd),)


def _many(given: "dict[str, Any]", cwd: str) -> tuple[ToolCall, ...]:
    named = given.get("include", given.get("paths"))
    if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
        raise fields.BadInputError("files to read are a list of texts")
    return tuple(ToolCall(tool="Read", input={"file_path": path}, cwd=cwd) for path in named)


def _fetched(given: "dict[str, Any]", cwd: str) -> tuple[ToolCall, ...]:
    """Return a call for each address that the prompt names: that is how this tool is told what to fetch."""
    words = [*fields.text(given, "prompt", "").split(), fields.text(given, "url", "")]
    addresses = [word.strip("<>\"'`,.;()[]") for word in words if "://" in word]
    if not addresses:
        return (ToolCall(tool="WebFetch", input=given, cwd=cwd),)
    return tuple(ToolCall(tool="WebFetch", input={"url": address}, cwd=cwd) for address in addresses)


def reply(_event: str, answer: Answer) -> Reply:
    """Return what Gemini CLI reads."""
    if answer.effect not in (DENY, ASK):
        return Reply(output="{}")
    why = signed(answer) if answer.effect == DENY else f"{signed(answer)}; {NOBODY}"
    return Reply(output=encode({"decision": "deny", "reason": why}))


CLIENT = Client(
    name="gemini",
    title="Gemini CLI",
    asked=asked,
    reply=reply,
    files={
        USER: "{home}/.gemini/settings.json",
        PROJECT: "{project}/.gemini/settings.json",
        MANAGED: "/etc/gemini-cli/settings.json",
    },
    events=(EVENT,),
    matcher=".*",
    milliseconds=True,
    named=True,
    held={"hooksConfig": {"enabled": True}},
    tried="0.61.0",
)
