"""The Agent SDK for Python: with Claude Code inside the boundary, and with the whole program inside."""

import json
import os
import shlex
import shutil

import pytest
from claude_code import API_HOST, policy
from world import Result, World

from fake_api.authority import Authority
from fake_api.script import Conversation, Reply, Say, Script, Use, use
from fake_api.scripts import fix_bug
from fake_api.server import FakeAPI

HERE = os.path.dirname(os.path.abspath(__file__))

pytestmark = pytest.mark.timeout(150)


def test_the_cli_inside_by_cli_path(world: World, authority: Authority) -> None:
    """The SDK's program stays outside with its own tools; Claude Code and all it starts are inside."""
    script = Script(*fix_bug().steps[:5], use("mcp__own__whoami"), _tell_tool)
    wrapper = world.write(os.path.join(world.folder, "bin/claude-inside"), _wrapper(world), 0o755)
    proof = os.path.join(world.home, "notes.txt")
    world.write(proof, "visible outside only")
    with FakeAPI(script, authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        # The operator's program needs no key of its own: the gate has it.
        told = _told(world.bare(*_sdk(world), wrapper, variables={"SDK_PROOF": proof, **_quiet(world)}))
        assert "sees home: True" in told["result"]
        _check_work(world, api)


def test_the_whole_program_inside(world: World, authority: Authority) -> None:
    with FakeAPI(Script(*fix_bug().steps[:6]), authority=authority, key=world.key.value) as api:
        shutil.copy(os.path.join(HERE, "sdk_app.py"), os.path.join(world.project, "sdk_app.py"))
        more = f"\n[files]\nread = {json.dumps(world.python.folders)}\n"
        more += f'\n[environment.set]\nPYTHONPATH = "{os.pathsep.join(world.python.path)}"\n'
        world.policy(policy(world, authority, {API_HOST: api.address}, more))
        world.own()
        told = _told(world.run(world.python.program, "sdk_app.py", "claude"))
        assert told["result"] == "Fixed and committed: the tests pass."
        _check_work(world, api)


def _tell_tool(conversation: Conversation) -> Reply:
    return [Say(" / ".join(conversation.results))] if conversation.results else [Use("mcp__own__whoami", {})]


def _wrapper(world: World) -> str:
    # The identity is the SDK program's own by now.
    words = world.ringfence("run")[len(world.identity.prefix) :]
    return f'#!/bin/sh\nexec {shlex.join(words)} -- claude "$@"\n'


def _quiet(world: World) -> dict[str, str]:
    return {"PYTHONDONTWRITEBYTECODE": "1", "HOME": world.home}


def _sdk(world: World) -> list[str]:
    app = os.path.join(HERE, "sdk_app.py")
    readable = world.write(os.path.join(world.folder, "sdk_app.py"), _read(app))
    return [world.python.program, readable]


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _told(done: Result) -> dict[str, str]:
    assert done.code == 0, done.told()
    told: dict[str, str] = json.loads(done.out.splitlines()[-1])
    assert not told["error"], done.told()
    return told


def _check_work(world: World, api: FakeAPI) -> None:
    assert "Add instead of subtracting" in world.git("log", "-1", "--format=%s")
    requests = api.record.sent_to("/v1/messages")
    assert requests
    assert all(one.header("x-api-key") == world.key.value for one in requests)
    assert all(world.leaks(one.body) == [] for one in requests)
    assert world.leaks_on_disk() == {}
