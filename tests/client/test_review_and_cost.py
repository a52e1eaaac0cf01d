"""The real Claude Code works on a copy that is reviewed and taken over; it says when its model budget is gone."""

import json

import pytest
from claude_code import API_HOST, answer, claude_words, policy
from world import World

from fake_api.authority import Authority
from fake_api.scripts import FIX_BUG_PROMPT, fix_bug
from fake_api.server import FakeAPI

pytestmark = pytest.mark.timeout(120)

BUDGET = """
[model]
session_tokens = 1
"""


@pytest.mark.guarantee("W1")
def test_what_claude_does_reaches_the_project_only_when_it_is_applied(
    world: World, authority: Authority
) -> None:
    before = world.git("rev-parse", "HEAD")
    with FakeAPI(fix_bug(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        told = answer(world.run(*claude_words(FIX_BUG_PROMPT), options=["--mode", "overlay"]))
    assert told["result"] == "Fixed and committed: the tests pass."
    assert world.git("rev-parse", "HEAD") == before
    assert world.git("status", "--porcelain", "--untracked-files=no") == ""

    shown = world.outside(*world.ringfence("diff"))
    assert shown.code == 1, shown.told()
    assert "return sum((a, b))" in shown.text
    taken = world.outside(*world.ringfence("apply", "--yes", "--include-risky"))
    assert taken.code == 0, taken.told()
    assert world.git("rev-parse", "HEAD") != before
    assert "return sum((a, b))" in world.git("show", "HEAD:sums.py")
    assert world.git("status", "--porcelain", "--untracked-files=no") == ""
    assert world.bare("python3", "-B", "-m", "unittest", "-q").code == 0

    back = world.outside(*world.ringfence("undo"))
    assert back.code == 0, back.told()
    assert world.git("rev-parse", "HEAD") == before


@pytest.mark.guarantee("K5")
def test_claude_says_that_its_model_budget_is_used_up(world: World, authority: Authority) -> None:
    with FakeAPI(fix_bug(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}, BUDGET))
        done = world.run(*claude_words(FIX_BUG_PROMPT))
        assert len(api.record.sent_to("/v1/messages")) == 1
    told = json.loads(done.out)
    assert told["is_error"] is True
    assert "the model budget is used up" in told["result"], done.told()
    assert "login" not in told["result"].replace("account or the login", "")
