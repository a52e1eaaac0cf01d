"""The real Claude Code does a piece of work inside the boundary, without the key."""

import statistics

import pytest
from claude_code import API_HOST, answer, claude_words, policy
from world import World

from fake_api.authority import Authority
from fake_api.script import Script, say, use
from fake_api.scripts import FIX_BUG_PROMPT, fix_bug, hello
from fake_api.server import FakeAPI

ONE_TRY = '\n[environment.set]\nCLAUDE_CODE_MAX_RETRIES = "0"\n'  # else it goes on for minutes, as outside
QUIET = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"


def test_a_task_of_many_turns_is_done_and_resumed(world: World, authority: Authority) -> None:
    with FakeAPI(fix_bug(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        first = answer(world.run(*claude_words(FIX_BUG_PROMPT)))
        assert first["result"] == "Fixed and committed: the tests pass."
        assert "Add instead of subtracting" in world.git("log", "-1", "--format=%s")
        assert "return sum((a, b))" in world.git("show", "HEAD:sums.py")
        assert world.git("status", "--porcelain", "--untracked-files=no") == ""
        assert world.bare("python3", "-m", "unittest", "-q").code == 0

        again = answer(world.run(*claude_words("What did you do?", "--resume", first["session_id"])))
        assert "Add instead of subtracting" in again["result"]
        assert "Begin" in again["result"]
        assert len(api.record.sent_to("/v1/messages")) == 8

    for request in api.record.requests:
        assert request.tls
        assert world.leaks(request.body) == [], "the key was in a body"
        assert request.header("authorization") is None
    assert world.leaks_on_disk() == {}


def test_the_files_it_made_belong_to_who_ran_it(world: World, authority: Authority) -> None:
    import os

    with FakeAPI(fix_bug(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        answer(world.run(*claude_words(FIX_BUG_PROMPT)))
    owners = {
        os.lstat(os.path.join(folder, name)).st_uid
        for folder, folders, files in os.walk(world.project)
        for name in [*folders, *files]
    }
    assert owners == {world.identity.uid}


def test_the_agent_holds_a_placeholder_only(world: World, authority: Authority) -> None:
    script = Script(
        use("Bash", command="env; cat /proc/self/environ /proc/*/environ", description="Look"), say("Done.")
    )
    with FakeAPI(script, authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        answer(world.run(*claude_words("Show the environment.")))
        told = api.record.sent_to("/v1/messages")[-1]
        assert b"ANTHROPIC_API_KEY" in told.body
        assert world.leaks(told.body) == []
        assert told.header("x-api-key") == world.key.value


def test_a_wrong_key_is_told_as_such(world: World, authority: Authority) -> None:
    with FakeAPI(hello(), authority=authority, key="sk-ant-another") as api:
        world.policy(policy(world, authority, {API_HOST: api.address}, ONE_TRY))
        done = world.run(*claude_words("Hello?"))
        assert done.code == 1, done.told()
        assert world.leaks(done.out + done.err) == []


def test_the_first_party_calls_do_not_hold_up_the_start(world: World, authority: Authority) -> None:
    """Claude Code asks for its organisation's settings before anything else; unanswered, that takes 18 s."""
    with FakeAPI(hello(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        inside, outside = [], []
        for _ in range(3):
            inside.append(_seconds(world.run(*claude_words("Hello?"))))
            outside.append(_seconds(_outside(world, authority, api)))
    told = [
        f"{statistics.median(times):.2f} s {where}"
        for times, where in ((inside, "inside"), (outside, "outside"))
    ]
    print(f"\nclaude -p, median of 3: {', '.join(told)}")
    assert min(inside) <= 2 * min(outside) + 3  # a machine that is busy with other tests


def test_first_party_calls_that_the_policy_refuses_do_not_hold_it_up_either(
    world: World, authority: Authority
) -> None:
    refuse = f'\n[[egress.deny]]\nhost = "{API_HOST}"\npaths = ["/api/**"]\n'
    with FakeAPI(hello(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}, refuse))
        assert _seconds(world.run(*claude_words("Hello?"))) < 8
        assert {one.target.partition("?")[0] for one in api.record.requests} == {"/v1/messages"}


def _outside(world: World, authority: Authority, api: FakeAPI) -> object:
    variables = {
        "ANTHROPIC_BASE_URL": f"https://localhost:{api.port}",
        "NODE_EXTRA_CA_CERTS": world.trust(authority),
        "IS_SANDBOX": "1",
        QUIET: "1",
    }
    return world.bare(*claude_words("Hello?"), variables=variables)


def _seconds(done: object) -> float:
    answer(done)  # type: ignore[arg-type]
    return done.seconds  # type: ignore[attr-defined, no-any-return]


pytestmark = pytest.mark.timeout(150)
