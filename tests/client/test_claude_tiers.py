"""The real Claude Code does its piece of work in every other tier as it does in the sandbox."""

import os
import sys
from collections.abc import Iterator

import pytest
from claude_code import API_HOST, answer, claude_words, policy
from reach import TOP
from world import World, myself

from fake_api.authority import Authority
from fake_api.scripts import FIX_BUG_PROMPT, fix_bug
from fake_api.server import FakeAPI

sys.path.append(os.path.join(TOP, "tests/containment"))
from docking import Engine

LIMIT = 400.0  # seconds: where a machine is translated, Claude Code's start alone takes many
pytestmark = pytest.mark.timeout(LIMIT + 60)


@pytest.fixture
def world(claude: str) -> Iterator[World]:
    with World(myself(), claude) as one:
        yield one


@pytest.mark.parametrize("tier", ["container", "gvisor", "microvm"])
def test_a_task_is_done_and_the_key_stays_outside(
    world: World, authority: Authority, tier: str, request: pytest.FixtureRequest
) -> None:
    if os.getuid() and tier == "container":
        pytest.skip("only root may enter what Docker's daemon makes")
    if tier == "container":
        engine = Engine()
        request.addfinalizer(engine.close)
        world.variables |= engine.variables
    if tier == "microvm":
        _kernel(world)
    with FakeAPI(fix_bug(), authority=authority, key=world.key.value) as api:
        world.policy(f'tier = ["{tier}"]\n' + policy(world, authority, {API_HOST: api.address}))
        done = world.run(*claude_words(FIX_BUG_PROMPT), limit=LIMIT)
        assert answer(done)["result"] == "Fixed and committed: the tests pass."
        print(f"\n{tier}: {done.seconds:.1f} s")
        assert "Add instead of subtracting" in world.git("log", "-1", "--format=%s")
        assert world.bare("python3", "-m", "unittest", "-q").code == 0
        for sent in api.record.requests:
            assert sent.tls
            assert world.leaks(sent.body) == [], "the key was in a body"
    assert world.leaks_on_disk() == {}


def _kernel(world: World) -> None:
    from ringfence.host import kernel

    library = kernel.bundled()
    assert library, "missing: microsandbox, whose wheel carries a kernel"
    os.makedirs(f"{world.state}/images", mode=0o700)
    kernel.put(kernel.of_library(library), f"{world.state}/images/kernel")
    world.own()
