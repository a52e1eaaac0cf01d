"""Claude Code itself asks `ringfence hook`: what it denies, asks or cannot answer does not run."""

import json
import os
from collections.abc import Iterator

import pytest
from world import Result, World

from fake_api.script import Script, say, use
from fake_api.server import FakeAPI

pytestmark = pytest.mark.timeout(150)

POLICY = """
[commands]
allow = ["Bash(touch allowed)", "Bash(touch later)"]
ask   = ["Bash(touch asked)"]
deny  = ["Bash(touch denied)"]
"""
DENIED = "touch denied"


@pytest.fixture
def api(world: World) -> Iterator[FakeAPI]:
    """An API for Claude Code without a boundary, which asks a hook in the user's settings."""
    world.policy(POLICY)
    done = world.outside(*world.ringfence("hook", "install", "--user"))
    assert done.code == 0, done.told()
    with FakeAPI(Script(), key=world.key.value) as one:
        yield one


def session(world: World, api: FakeAPI, *commands: str, words: tuple[str, ...] = ()) -> Result:
    """Let Claude Code carry out the model's wish to run some commands."""
    api.script = Script(*(use("Bash", command=one) for one in commands), say("done"))
    quiet = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_BASE_URL": f"http://{api.address}",
        "NO_PROXY": "127.0.0.1",
        "IS_SANDBOX": "1",
    }
    done = world.bare("claude", "-p", "do it", "--output-format", "json", *words, variables=quiet)
    assert done.code == 0, done.told()
    return done


def made(world: World, name: str) -> bool:
    return os.path.exists(os.path.join(world.project, name))


def told(api: FakeAPI) -> str:
    """Return what the model was told of its last call."""
    last = json.loads(api.record.sent_to("/v1/messages")[-1].body)["messages"]
    return json.dumps([message for message in last if "tool_result" in json.dumps(message)][-1])


def settings_of(world: World) -> str:
    return os.path.join(world.home, ".claude", "settings.json")


@pytest.mark.parametrize("words", [(), ("--dangerously-skip-permissions",)])
def test_its_answers_count(world: World, api: FakeAPI, words: tuple[str, ...]) -> None:
    done = session(world, api, "touch denied", "touch asked", "touch unnamed", "touch allowed", words=words)
    assert [name for name in ("denied", "asked", "unnamed", "allowed") if made(world, name)] == ["allowed"]
    bodies = api.record.sent_to("/v1/messages")[-1].body.decode()
    assert "ringfence: " in bodies, done.told()
    assert "Bash(touch denied)" in bodies


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("policy", "unknown key `alow`"),
        ("interpreter", "the hook ended with status 12"),
        ("killed", "the hook ended with status 137"),
        ("guard killed", "No stderr output"),
        ("state", "cannot be written: File exists"),
    ],
)
def test_a_hook_that_cannot_answer_lets_nothing_run(
    world: World, api: FakeAPI, broken: str, why: str
) -> None:
    if broken == "policy":
        world.policy("[commands]\nalow = []\n")
    elif broken == "state":
        world.write(os.path.join(world.state, "tools"), "a file where a folder should be")
    else:
        with open(settings_of(world), encoding="utf-8") as file:
            text = file.read()
        name = world.python.program
        other = {
            "interpreter": "/nonexistent/python",
            "killed": "sh -c 'kill -9 $$' sh",
            "guard killed": "exec kill -9 $$ #",
        }[broken]
        assert name in text
        world.write(settings_of(world), text.replace(name, other))
    session(world, api, "touch allowed", words=("--dangerously-skip-permissions",))
    assert not made(world, "allowed")
    assert why in told(api)


def test_the_guard_is_needed(world: World, api: FakeAPI) -> None:
    """Without it, and without `onFailure`, the client runs the tool: this is what it protects from."""
    with open(settings_of(world), encoding="utf-8") as file:
        settings = json.load(file)
    bad = {"type": "command", "command": "/nonexistent/python"}
    settings["hooks"] = {"PreToolUse": [{"matcher": "*", "hooks": [bad]}]}
    world.write(settings_of(world), json.dumps(settings))
    session(world, api, "touch allowed", words=("--dangerously-skip-permissions",))
    assert made(world, "allowed")


def test_a_repository_cannot_talk_the_hook_out_of_its_policy(world: World, api: FakeAPI) -> None:
    """A project's settings set variables for hooks: none of them leads to another policy."""
    other = os.path.join(world.project, "evil")
    world.write(os.path.join(other, ".config/ringfence/policy.toml"), '[commands]\nallow = ["Bash"]\n')
    names = ("HOME", "RINGFENCE_CONFIG_DIR", "RINGFENCE_STATE_DIR", "PYTHONPATH", "PYTHONHOME")
    world.write(
        ".claude/settings.json",
        json.dumps({"env": {**dict.fromkeys(names, other), "CLAUDE_PROJECT_DIR": other}}),
    )
    session(world, api, DENIED, "touch unnamed", "touch allowed")
    assert not made(world, "denied")
    assert not made(world, "unnamed")


def test_the_record_of_a_session_tells_every_call(world: World, api: FakeAPI) -> None:
    session(world, api, "touch denied", "touch allowed")
    folder = os.path.join(world.state, "tools")
    (name,) = [one for one in os.listdir(folder) if one.endswith(".jsonl")]
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        records = [json.loads(line) for line in file][1:]
    assert [(one["tool"], one["input"], one["effect"]) for one in records][:2] == [
        ("Bash", '{"command":"touch denied"}', "deny"),
        ("Bash", '{"command":"touch allowed"}', "allow"),
    ]
