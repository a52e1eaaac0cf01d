"""Gemini CLI itself asks `ringfence hook`, and works inside a boundary without the key."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import hooked
import pytest
from claude_code import policy
from world import Result, World, myself

from conftest import agent
from fake_api.authority import Authority
from fake_api.script import Script, Step, say, use
from fake_api.server import FakeAPI
from ringfence.integrations.clients import gemini

pytestmark = pytest.mark.timeout(150)

SETTINGS = ".gemini/settings.json"
KEY = json.dumps({
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
})  # fmt: skip
# One process and not two; and without `--skip-trust` it runs nothing, headless.
QUIET = {"GEMINI_CLI_NO_RELAUNCH": "true", "NO_PROXY": "127.0.0.1", "GEMINI_TELEMETRY_ENABLED": "false"}
WORDS = ("gemini", "--yolo", "--skip-trust", "-p", "do it")
OLDEST_NODE = 20


@pytest.fixture
def world() -> Iterator[World]:
    """A home and a project, with `gemini` on the PATH."""
    program = agent("gemini")
    told = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    if int(told.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"missing: Node {OLDEST_NODE} for Gemini CLI; this is {told.strip()}")
    with World(myself(), program) as one:
        one.variables = {"GEMINI_API_KEY": one.key.value, **QUIET}
        one.write(f"{one.home}/{SETTINGS}", KEY)
        yield one


@pytest.fixture
def api(world: World) -> Iterator[FakeAPI]:
    """An API for a Gemini CLI that asks the hook."""
    with FakeAPI(Script(), key=world.key.value) as one:
        world.variables["GOOGLE_GEMINI_BASE_URL"] = f"http://{one.address}"
        hooked.installed(world, "gemini")
        yield one


def session(world: World, api: FakeAPI, *steps: Step) -> Result:
    """Let Gemini CLI carry out what the model wants."""
    api.script = Script(*steps, say("done"))
    done = world.bare(*WORDS)
    assert done.code == 0, done.told()
    return done


def run(command: str) -> Step:
    return use("run_shell_command", command=command)


def told(api: FakeAPI) -> str:
    """Return all that the model was told in the last request."""
    return api.record.requests[-1].body.decode()


def test_its_answers_count_and_a_person_can_allow_what_is_asked(world: World, api: FakeAPI) -> None:
    commands = [run(f"touch {name}") for name in ("denied", "asked", "unnamed", "allowed")]
    files = [use("write_file", file_path=name, content="x") for name in ("forbidden.txt", "made.txt")]
    topic = use("update_topic", title="t", summary="s", strategic_intent="i")
    done = session(world, api, *commands, *files, topic)
    assert hooked.made(world) == ["allowed", "made.txt"], done.told()
    assert told(api).count("Tool execution blocked: ringfence: ") == 4
    assert "Gemini CLI asks nobody for a hook" in told(api)

    world.policy(hooked.POLICY + hooked.APPROVE)
    with hooked.somebody_allows(world) as seen:
        session(world, api, run("touch asked"))
    assert seen == ["touch asked"]
    assert hooked.made(world) == ["asked", "allowed", "made.txt"]


def test_a_hook_that_cannot_answer_lets_nothing_run(world: World, api: FakeAPI) -> None:
    hooked.break_hook(world, SETTINGS, "/nonexistent/python")
    with managed(world):
        session(world, api, run("touch allowed"))
    assert hooked.made(world) == []
    assert "the hook ended with status 127" in told(api)


@contextmanager
def managed(world: World) -> Iterator[None]:
    """Where root runs this: the hook stands in the machine's settings, and a trusted repository wants it off.

    Gemini CLI reads root's settings alone. Those of a repository stand above the user's, and would win there.
    """
    if os.getuid() != 0:
        yield
        return
    with open(os.path.join(world.home, SETTINGS), encoding="utf-8") as file:
        settings = json.load(file)
    world.variables["GEMINI_CLI_TRUST_WORKSPACE"] = "true"
    world.write(".gemini/settings.json", json.dumps({"hooksConfig": {"enabled": False}}))
    with tempfile.TemporaryDirectory(dir="/run", prefix="rf-gemini-") as folder:
        path = os.path.join(folder, "settings.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**settings, **gemini.CLIENT.held}, file)
        world.write(f"{world.home}/{SETTINGS}", KEY)
        world.variables["GEMINI_CLI_SYSTEM_SETTINGS_PATH"] = path
        yield


def test_it_works_inside_without_the_key(world: World, authority: Authority) -> None:
    script = Script(run("env; cat /proc/self/environ; touch allowed"), say("done"))
    with FakeAPI(script, authority=authority, key=world.key.value) as api:
        text = policy(world, authority, {"generativelanguage.googleapis.com": api.address})
        world.policy(text.replace('"claude", ', '"gemini", '))
        done = world.run(*WORDS)
        assert done.code == 0, done.told()
        assert hooked.made(world) == ["allowed"], done.told()
        assert [world.leaks(request.body) for request in api.record.requests if request.body] == [[], [], []]
        assert "placeholder" in told(api)
    assert world.leaks_on_disk() == {}
