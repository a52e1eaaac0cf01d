"""The guard for the Agent SDK, called as the SDK calls it; `tests/client` has the real one."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from ringfence.errors import PolicyError
from ringfence.host.model import Host
from ringfence.integrations import claude_agent_sdk
from ringfence.integrations.claude_agent_sdk import permissions

RULES = '[commands]\nallow = ["Bash(make *)"]\nask = ["Bash(make push)"]\ndeny = ["Bash(curl *)"]\n'


@pytest.fixture
def guard(desk):
    """Return a guard for the desk's project."""
    host = Host(
        system="linux", arch="x86_64", uid=os.getuid(), gid=os.getgid(), user="ada", home=str(desk.home), path=(),
        set_variables=frozenset(), variables=(), config_dir=str(desk.config), state_dir=str(desk.state),
        cache_dir=str(desk.home / ".cache/ringfence"), managed_policy=str(desk.managed), bwrap="", system_bwrap="",
    )  # fmt: skip
    desk.policy(RULES)
    return lambda **more: permissions(cwd=str(desk.project), host=host, **more)


def before(one, desk, command: str, name: str = "t1", **more: object) -> str:
    said = asyncio.run(one.before_tool(desk.call(command, tool_use_id=name, **more), name, None))
    return said.get("hookSpecificOutput", {}).get("permissionDecision", "")


def question(one, command: str, name: str = "t1"):
    context = SimpleNamespace(tool_use_id=name)
    return asyncio.run(one.can_use_tool("Bash", {"command": command}, context))


def test_the_hook_answers_by_the_policy(desk, guard):
    one = guard()
    assert [before(one, desk, command) for command in ("curl x", "make push", "make x")] == [
        "deny",
        "ask",
        "allow",
    ]


def test_a_rule_taken_back_counts_at_once(desk, guard):
    one = guard()
    assert before(one, desk, "make x") == "allow"
    desk.policy("")
    assert before(one, desk, "make x") == "ask"


@pytest.mark.guarantee("H1")
def test_whatever_goes_wrong_is_a_no(desk, guard):
    one = guard(on_ask=lambda _question: True)
    desk.policy("[commands\n")
    assert before(one, desk, "make x") == "deny"
    assert question(one, "make push").behavior == "deny"
    for data in ({}, {"hook_event_name": "PreToolUse"}, []):
        said = asyncio.run(one.before_tool(data, None, None))
        assert said["hookSpecificOutput"]["permissionDecision"] == "deny"


@pytest.mark.parametrize("said", [False, None, 1, "yes", RuntimeError("x")])
def test_everything_but_true_is_a_no(desk, guard, said):
    def on_ask(_question):
        if isinstance(said, Exception):
            raise said
        return said

    one = guard(on_ask=on_ask)
    before(one, desk, "make push")
    assert question(one, "make push").behavior == "deny"


def test_a_coroutine_answers_too_and_silence_is_a_no(desk, guard):
    async def yes(_question):
        return True

    async def never(_question):
        await asyncio.sleep(60)
        return True

    assert question(guard(on_ask=yes), "make push").behavior == "allow"
    desk.policy(RULES + 'prompt_timeout = "0.1s"\n')
    assert question(guard(on_ask=never), "make push").behavior == "deny"


@pytest.mark.guarantee("H2")
def test_an_input_that_is_another_one_by_now_is_judged_as_it_is(desk, guard):
    asked = []
    one = guard(on_ask=lambda given: asked.append(given.text) or True)
    before(one, desk, "make push")
    assert question(one, "curl x").behavior == "deny"
    assert asked == []
    assert question(one, "make push").behavior == "allow"
    assert asked == ["make push"]


def test_what_runs_is_what_was_judged(desk, guard):
    one = guard(on_ask=lambda _question: True)
    before(one, desk, "make push")
    assert question(one, "make push").updated_input is None
    assert "updatedInput" not in str(asyncio.run(one.before_tool(desk.call("make x"), "t", None)))


def test_calls_that_are_never_asked_about_are_forgotten(desk, guard, monkeypatch):
    monkeypatch.setattr(claude_agent_sdk, "MOST_REMEMBERED", 3)
    one = guard()
    for number in range(6):
        before(one, desk, "make push", f"t{number}")
    assert sorted(one._asked) == ["t3", "t4", "t5"]


def test_the_answer_to_a_question_is_on_record(desk, guard):
    one = guard(on_ask=lambda _question: True)
    before(one, desk, "make push")
    question(one, "make push")
    assert [(record["client"], record["effect"]) for record in desk.records()] == [
        ("claude-agent-sdk", "ask"),
        ("claude-agent-sdk", "allow"),
    ]


def test_a_policy_that_cannot_be_used_is_told_at_once(desk, guard):
    desk.policy("[commands\n")
    with pytest.raises(PolicyError):
        guard()
