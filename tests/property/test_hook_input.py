"""Whatever a client sends, its reader makes calls of it or says that it cannot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.canonical import encode
from ringfence.integrations import clients
from ringfence.integrations.clients import Around
from ringfence.integrations.permissions import Answer
from ringfence.strict import loads
from ringfence.verdict.ruling import Ruling

NAMES = st.sampled_from(
    [
        "hook_event_name", "cwd", "tool_name", "tool_input", "session_id", "permission_mode", "command",
        "workspace_roots", "file_path", "tool_use_id", "paths", "include", "prompt", "dir_path", "path",
    ]
)  # fmt: skip
WORDS = st.text(max_size=8) | st.sampled_from(
    [
        "PreToolUse", "PermissionRequest", "BeforeTool", "beforeShellExecution", "beforeMCPExecution", "Bash",
        "beforeReadFile", "/w", "apply_patch", "run_shell_command", "read_many_files", "web_fetch", "\ud800", "\0",
        "*** Add File: x", "MCP:a:b",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
USUAL = st.fixed_dictionaries(
    {},
    optional={
        "hook_event_name": WORDS, "cwd": WORDS, "tool_name": WORDS, "session_id": WORDS | VALUES,
        "tool_input": st.dictionaries(NAMES, VALUES, max_size=4), "workspace_roots": st.lists(WORDS, max_size=2),
    },
)  # fmt: skip


@pytest.mark.guarantee("H1")
@pytest.mark.parametrize("name", clients.NAMES)
@settings(max_examples=300, deadline=None)
@given(data=USUAL | st.dictionaries(NAMES, VALUES))
def test_input_becomes_calls_or_a_refusal(name, data):
    try:
        asked = clients.client(name).asked(data, Around(project="/w"))
    except ValueError:
        return
    assert asked.calls
    assert asked.root.startswith("/")
    for call in asked.calls:
        assert call.tool
        assert isinstance(call.input, dict)
        assert call.cwd.startswith("/")


@pytest.mark.parametrize("name", clients.NAMES)
@given(
    event=st.sampled_from(
        ["PreToolUse", "PermissionRequest", "BeforeTool", "beforeShellExecution", "beforeReadFile"]
    ),
    effect=st.sampled_from(["allow", "ask", "deny", "leave"]),
    reason=st.text(),
)
def test_an_answer_is_one_json_object_and_a_no_is_never_lost(name, event, effect, reason):
    answer = Answer(effect=effect, reason=reason, ruling=Ruling(effect="deny" if effect == "deny" else "ask"))
    reply = clients.client(name).reply(event, answer)
    output = reply.output
    if output:
        assert encode(loads(output)) == encode(loads(encode(loads(output))))
    if effect == "deny":
        assert reply.refusal or "deny" in output
