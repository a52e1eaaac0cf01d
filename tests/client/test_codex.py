"""Codex itself asks `ringfence hook`, and works inside a boundary without the key."""

import json
import os
from collections.abc import Iterator

import hooked
import pytest
from claude_code import policy
from world import Result, World, myself

from conftest import agent
from fake_api.authority import Authority
from fake_api.script import Script, Step, say, use
from fake_api.server import FakeAPI

pytestmark = pytest.mark.timeout(150)

PATH = "/v1/responses"
HOOKS = ".codex/hooks.json"
FREE = ("-s", "danger-full-access")  # its own sandbox would refuse as well
UNTRUSTED = "--dangerously-bypass-hook-trust"
CONFIG = """
check_for_update_on_startup = false
model = "gpt-5.5"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "{address}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
[analytics]
enabled = false
[features]
plugins = false
"""


@pytest.fixture
def world() -> Iterator[World]:
    """A home and a project, with `codex` on the PATH."""
    with World(myself(), agent("codex")) as one:
        one.variables = {"OPENAI_API_KEY": one.key.value, "NO_PROXY": "127.0.0.1"}
        yield one


@pytest.fixture
def api(world: World) -> Iterator[FakeAPI]:
    """An API for a Codex that asks the hook."""
    with FakeAPI(Script(), key=world.key.value) as one:
        world.write(f"{world.home}/.codex/config.toml", CONFIG.format(address=f"http://{one.address}"))
        hooked.installed(world, "codex")
        yield one


def run(command: str, **more: object) -> Step:
    return use("exec_command", cmd=command, **more)


def patch(name: str) -> Step:
    return use("apply_patch", input=f"*** Begin Patch\n*** Add File: {name}\n+x\n*** End Patch")


def session(world: World, api: FakeAPI, *steps: Step, words: tuple[str, ...] = FREE) -> Result:
    """Let Codex carry out what the model wants."""
    api.script = Script(*steps, say("done"))
    done = world.bare("codex", "exec", "--json", *words, "do it")
    assert done.code == 0, done.told()
    return done


def test_its_answers_count(world: World, api: FakeAPI) -> None:
    """Its commands, its patches and the pictures it looks at are asked about; goals of its own are not."""
    commands = [run(f"touch {name}") for name in ("denied", "asked", "unnamed", "allowed")]
    others = [
        patch("forbidden.txt"),
        patch("made.txt"),
        use("view_image", path="/etc/shadow"),
        use("get_goal"),
    ]
    done = session(world, api, *commands, *others)
    assert hooked.made(world) == ["allowed", "made.txt"], done.told()
    told = hooked.told(api, PATH)
    assert told.count("ringfence: refused: ") == 5
    assert "`Bash(touch denied)` is about `touch denied`" in told
    assert "Codex asks nobody for a hook" in told
    assert "remainingTokens" in told


def test_the_model_does_not_choose_the_project(world: World, api: FakeAPI) -> None:
    """It names the working directory of a command: what may be read in a project is not what lies there."""
    session(world, api, run("cat hostname", workdir="/etc"))
    assert "the working directory /etc lies outside of the project" in hooked.told(api, PATH)


def test_a_person_can_allow_what_is_asked(world: World, api: FakeAPI) -> None:
    world.policy(hooked.POLICY + hooked.APPROVE)
    with hooked.somebody_allows(world) as seen:
        session(world, api, run("touch asked"))
    assert seen == ["touch asked"]
    assert hooked.made(world) == ["asked"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("policy", "unknown key `alow`"),
        ("interpreter", "the hook ended with status 127"),
        ("killed", "the hook ended with status 137"),
    ],
)
def test_a_hook_that_cannot_answer_lets_nothing_run(
    world: World, api: FakeAPI, broken: str, why: str
) -> None:
    if broken == "policy":
        world.policy("[commands]\nalow = []\n")
    elif broken == "interpreter":
        hooked.break_hook(world, HOOKS, "/nonexistent/python")
    else:
        hooked.break_hook(world, HOOKS, world.write("../killed", "#!/bin/sh\nkill -9 $$\n", 0o755))
    session(world, api, run("touch allowed"), words=(*FREE, UNTRUSTED))
    assert hooked.made(world) == []
    assert why in hooked.told(api, PATH)


def test_a_hook_that_codex_does_not_trust_is_skipped_and_install_finds_that(
    world: World, api: FakeAPI
) -> None:
    """Trust is bound to the entry and to its place in the file: another one before it, and ours is skipped."""
    path = os.path.join(world.home, HOOKS)
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    other = {"matcher": "nothing", "hooks": [{"type": "command", "command": "true"}]}
    settings["hooks"]["PreToolUse"].insert(0, other)
    world.write(path, json.dumps(settings))
    session(world, api, run("touch denied"))
    assert hooked.made(world) == ["denied"]
    os.unlink(os.path.join(world.project, "denied"))

    hooked.installed(world, "codex")
    session(world, api, run("touch denied"))
    assert hooked.made(world) == []


def test_it_works_inside_without_the_key(world: World, authority: Authority) -> None:
    script = Script(run("env; cat /proc/self/environ; touch allowed"), say("done"))
    with FakeAPI(script, authority=authority, key=world.key.value) as api:
        text = policy(world, authority, {"api.openai.com": api.address})
        world.policy(text.replace('"claude", ', '"codex", '))
        words = ("-c", 'model="gpt-5.5"', *FREE)
        done = world.run("codex", "exec", "--json", *words, "do it")
        assert done.code == 0, done.told()
        assert hooked.made(world) == ["allowed"], done.told()
        assert api.record.sent_to(PATH)
        sent = [request for request in api.record.sent_to(PATH) if request.method == "POST"]
        assert len(sent) == 2
        assert [world.leaks(request.body) for request in sent] == [[], []]
        assert "placeholder" in hooked.told(api, PATH)
    assert world.leaks_on_disk() == {}
