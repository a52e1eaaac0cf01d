"""The Agent SDK with a policy as its hooks and its `can_use_tool`: what the policy says is what happens."""

import json
import os
import shutil
from collections.abc import Iterator

import pytest
from world import World

from fake_api.script import Script, say, use
from fake_api.server import FakeAPI

pytestmark = pytest.mark.timeout(150)

HERE = os.path.dirname(os.path.abspath(__file__))
POLICY = """
[commands]
allow = ["Bash(touch allowed)"]
ask   = ["Bash(touch asked)"]
deny  = ["Bash(touch denied)"]
"""
NAMES = ("denied", "asked", "unnamed", "allowed")


@pytest.fixture
def api(world: World) -> Iterator[FakeAPI]:
    """An API whose model wants four files."""
    world.policy(POLICY)
    steps = [use("Bash", command=f"touch {name}") for name in NAMES]
    with FakeAPI(Script(*steps, say("done")), key=world.key.value) as one:
        yield one


def guarded(world: World, api: FakeAPI, answer: str, mode: str = "default") -> dict:
    """Run the program; return what it tells."""
    with open(os.path.join(HERE, "sdk_guarded.py"), encoding="utf-8") as file:
        app = world.write(os.path.join(world.folder, "sdk_guarded.py"), file.read())
    claude = shutil.which("claude", path=world.environment["PATH"])
    variables = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_BASE_URL": f"http://{api.address}",
        "NO_PROXY": "127.0.0.1",
        "IS_SANDBOX": "1",
        "MODE": mode,
        "POLICY": os.path.join(world.config, "policy.toml"),
    }
    done = world.bare(world.python.program, app, claude, answer, variables=variables)
    assert done.code == 0, done.told()
    return json.loads(done.out.splitlines()[-1])


def made(world: World) -> list[str]:
    return [name for name in NAMES if os.path.exists(os.path.join(world.project, name))]


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "bypassPermissions"])
@pytest.mark.parametrize("answer", ["no", "none", "raise"])
def test_without_a_yes_only_what_is_allowed_happens(
    world: World, api: FakeAPI, answer: str, mode: str
) -> None:
    guarded(world, api, answer, mode)
    assert made(world) == ["allowed"]


def test_a_yes_lets_pass_what_is_asked_and_not_what_is_denied(world: World, api: FakeAPI) -> None:
    told = guarded(world, api, "yes")
    assert made(world) == ["asked", "unnamed", "allowed"]
    assert told["asked"] == ["touch asked", "touch unnamed"]


def test_a_policy_that_breaks_meanwhile_lets_nothing_pass(world: World, api: FakeAPI) -> None:
    guarded(world, api, "broken")
    assert made(world) == []
