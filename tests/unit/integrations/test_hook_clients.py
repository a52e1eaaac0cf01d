"""What the other clients send and read, by their published formats."""

import pytest

from ringfence.integrations import clients
from ringfence.integrations.clients import Around
from ringfence.integrations.clients.fields import BadInputError
from ringfence.integrations.permissions import Answer
from ringfence.strict import loads
from ringfence.verdict.ruling import Ruling

AROUND = Around(project="/w", shells=("bash",))
CODEX = {
    "session_id": "s", "transcript_path": None, "cwd": "/w", "hook_event_name": "PreToolUse", "model": "m",
    "permission_mode": "default", "tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t",
}  # fmt: skip
GEMINI = {
    "session_id": "s", "transcript_path": "/t", "cwd": "/w", "hook_event_name": "BeforeTool",
    "timestamp": "", "tool_name": "run_shell_command", "tool_input": {"command": "ls"},
}  # fmt: skip
CURSOR = {
    "hook_event_name": "beforeShellExecution", "conversation_id": "c", "generation_id": "g",
    "workspace_roots": ["/w"], "command": "ls", "cwd": "/w/sub",
}  # fmt: skip


def calls(name: str, data: dict) -> list[tuple[str, dict, str]]:
    asked = clients.client(name).asked(data, AROUND)
    return [(one.tool, one.input, one.cwd) for one in asked.calls]


def told(name: str, event: str, effect: str, ruling: str = "") -> dict | None:
    answer = Answer(effect=effect, reason="why", ruling=Ruling(effect=ruling or effect))
    text = clients.client(name).reply(event, answer).output
    return loads(text) if text else None


def refusal(name: str, event: str, effect: str) -> str:
    answer = Answer(effect=effect, reason="why", ruling=Ruling(effect=effect))
    reply = clients.client(name).reply(event, answer)
    assert not reply.output
    return reply.refusal


# --- Codex


def test_codex_asks_about_commands_and_patches():
    assert calls("codex", CODEX) == [("Bash", {"command": "ls"}, "/w")]
    patch = (
        "*** Begin Patch\n*** Update File: a.py\n*** Move to: ../b.py\n@@\n*** Delete File: c\n*** End Patch"
    )
    data = {**CODEX, "tool_name": "apply_patch", "tool_input": {"command": patch}}
    assert [one[1]["file_path"] for one in calls("codex", data)] == ["a.py", "../b.py", "c"]


def test_a_patch_that_names_no_file_is_refused():
    with pytest.raises(BadInputError):
        calls("codex", {**CODEX, "tool_name": "apply_patch", "tool_input": {"command": "*** Begin Patch"}})


def test_codex_is_told_no_or_nothing():
    """Anything else from PreToolUse is a fault to it, and after a fault the tool runs."""
    assert told("codex", "PreToolUse", "allow") is None
    assert refusal("codex", "PreToolUse", "deny") == "why"
    assert "asks nobody" in refusal("codex", "PreToolUse", "ask")
    assert told("codex", "PermissionRequest", "ask") is None
    assert told("codex", "PermissionRequest", "allow") is None
    assert told("codex", "PermissionRequest", "allow", "ask")["hookSpecificOutput"]["decision"] == {
        "behavior": "allow"
    }
    assert refusal("codex", "PermissionRequest", "deny") == "why"


def test_where_codex_runs_its_hooks_is_the_project_and_not_where_its_model_wants_to_work():
    around = Around(here="/w", shells=("bash",))
    asked = clients.client("codex").asked({**CODEX, "cwd": "/etc"}, around)
    assert asked.root == "/w"
    assert [one.cwd for one in asked.calls] == ["/etc"]


def test_a_command_of_codex_is_read_as_each_shell_that_its_model_could_name():
    around = Around(here="/w", shells=clients.all_shells())
    shells = [one.shell for one in clients.client("codex").asked(CODEX, around).calls]
    assert shells[:2] == ["bash", "sh"]
    assert clients.client("codex").named_shell


def test_codex_looking_at_a_picture_is_reading_a_file():
    data = {**CODEX, "tool_name": "view_image", "tool_input": {"path": "/etc/shadow"}}
    assert [(tool, given["file_path"]) for tool, given, _ in calls("codex", data)] == [
        ("Read", "/etc/shadow")
    ]


@pytest.mark.parametrize(
    ("name", "data", "tool"), [("codex", CODEX, "update_plan"), ("gemini", GEMINI, "update_topic")]
)
def test_tools_that_touch_nothing_are_left_to_the_client(name, data, tool):
    asked = clients.client(name).asked({**data, "tool_name": tool, "tool_input": {}}, AROUND)
    assert asked.inner
    assert not clients.client(name).asked(data, AROUND).inner


# --- Gemini CLI


@pytest.mark.parametrize(
    ("tool", "given", "wanted"),
    [
        ("run_shell_command", {"command": "ls"}, [("Bash", "/w")]),
        ("run_shell_command", {"command": "ls", "dir_path": "sub"}, [("Bash", "/w/sub")]),
        ("run_shell_command", {"command": "ls", "directory": "/etc"}, [("Bash", "/etc")]),
        ("read_file", {"file_path": "a"}, [("Read", "a")]),
        ("read_file", {"file_path": "a", "absolute_path": "/etc/shadow"}, [("Read", "a"), ("Read", "/etc/shadow")]),
        ("write_file", {"file_path": "a", "content": ""}, [("Write", "a")]),
        ("replace", {"file_path": "a"}, [("Edit", "a")]),
        ("list_directory", {"dir_path": "d"}, [("LS", "d")]),
        ("list_directory", {}, [("LS", "/w")]),
        ("search_file_content", {"pattern": "x", "path": "d"}, [("Grep", "d")]),
        ("read_many_files", {"include": ["a", "b"]}, [("Read", "a"), ("Read", "b")]),
        ("web_fetch", {"prompt": "see <https://a.test/x>, and https://b.test."},
         [("WebFetch", "https://a.test/x"), ("WebFetch", "https://b.test")]),
        ("google_web_search", {"query": "x"}, [("WebSearch", "x")]),
        ("mcp__s__t", {"a": 1}, [("mcp__s__t", "")]),
    ],
)  # fmt: skip
def test_geminis_tools_are_put_to_the_rules_by_the_names_they_know(tool, given, wanted):
    found = calls("gemini", {**GEMINI, "tool_name": tool, "tool_input": given})
    names = ("file_path", "path", "url", "query")
    shown = [
        (name, cwd if name == "Bash" else next((one[key] for key in names if key in one), ""))
        for name, one, cwd in found
    ]
    assert shown == wanted


def test_gemini_is_told_no_where_a_person_would_have_to_answer():
    assert told("gemini", "BeforeTool", "allow") == {}
    assert told("gemini", "BeforeTool", "leave") == {}
    for effect in ("deny", "ask"):
        said = told("gemini", "BeforeTool", effect)
        assert said["decision"] == "deny"
        assert said["reason"]


# --- Cursor


def test_cursor_asks_about_commands_servers_and_files():
    assert calls("cursor", CURSOR) == [("Bash", {"command": "ls"}, "/w/sub")]
    server = {**CURSOR, "hook_event_name": "beforeMCPExecution", "tool_input": '{"a": 1}'}
    assert calls("cursor", {**server, "tool_name": "MCP:s:t"}) == [("mcp__s__t", {"a": 1}, "/w")]
    assert calls("cursor", {**server, "tool_name": "t"})[0][0] == "mcp__unknown__t"
    file = {**CURSOR, "hook_event_name": "beforeReadFile", "file_path": "/w/.env", "content": "K=1"}
    assert calls("cursor", file) == [("Read", {"file_path": "/w/.env"}, "/w")]


def test_cursor_is_told_what_was_decided():
    for effect in ("allow", "ask", "deny"):
        assert told("cursor", "beforeShellExecution", effect)["permission"] == effect
    assert told("cursor", "beforeReadFile", "ask")["permission"] == "deny"


# --- all of them


@pytest.mark.guarantee("H1")
@pytest.mark.parametrize("name", clients.NAMES)
@pytest.mark.parametrize("change", [{"hook_event_name": "Stop"}, {"hook_event_name": None}, {}])
def test_input_of_another_shape_is_refused(name, change):
    data = {"cwd": "/w", "tool_name": "x", **change}
    with pytest.raises(BadInputError):
        clients.client(name).asked(data, AROUND)


@pytest.mark.parametrize("name", clients.NAMES)
def test_each_says_where_its_hook_stands_and_whether_it_was_tried(name):
    client = clients.client(name)
    assert client.name == name
    assert "user" in client.files
    assert bool(client.tried) == (name != "cursor")
