"""Claude Code by other clouds' APIs: the presets for Bedrock and Vertex AI, with nothing real inside."""

import json

import pytest
from claude_code import answer, claude_words
from upstream import Recorder
from world import World

from fake_api.authority import Authority
from fake_api.scripts import FIX_BUG_PROMPT, fix_bug
from fake_api.server import FakeAPI

BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"
VERTEX = "us-east5-aiplatform.googleapis.com"

pytestmark = pytest.mark.timeout(180)


def policy(world: World, authority: Authority, use: str, host: str, address: str, more: str = "") -> str:
    return f"""
use = ["{use}"]
egress.extra_ca = ["{world.trust(authority)}"]
egress.static."{host}" = "{address}"
environment.set.CLAUDE_CODE_MAX_RETRIES = "0"
{more}
"""


def test_bedrock(world: World, authority: Authority) -> None:
    with Recorder(authority) as cloud:
        world.policy(policy(world, authority, "claude-bedrock:us-east-1", BEDROCK, cloud.address))
        secret = {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-key-of-the-operator"}
        done = world.run(*claude_words("hello"), variables=secret)
        assert b"POST /model/" in cloud.data, done.told()
        assert b"Bearer bedrock-key-of-the-operator" in cloud.data
        assert b"ringfence-placeholder" not in cloud.data
        assert b"gateway.internal" not in cloud.data


def test_vertex(world: World, authority: Authority) -> None:
    token = '[credentials.vertex-account]\nkind = "bearer"\n'
    with Recorder(authority) as cloud:
        world.policy(policy(world, authority, "claude-vertex:acme/us-east5", VERTEX, cloud.address, token))
        done = world.run(*claude_words("hello"), variables={"GOOGLE_CREDENTIALS": "token-of-the-operator"})
        assert b"POST /v1/projects/acme/locations/us-east5/publishers/anthropic/models/" in cloud.data, (
            done.told()
        )
        assert b"Bearer token-of-the-operator" in cloud.data


CLOUDS = [
    ("claude-bedrock:us-east-1", BEDROCK, "AWS_BEARER_TOKEN_BEDROCK", ""),
    (
        "claude-vertex:acme/us-east5",
        VERTEX,
        "GOOGLE_CREDENTIALS",
        '[credentials.vertex-account]\nkind = "bearer"\n',
    ),
]


@pytest.mark.parametrize(("use", "host", "variable", "more"), CLOUDS, ids=["bedrock", "vertex"])
def test_a_task_is_done_over_streams_of_the_clouds_own_shape(
    world: World, authority: Authority, use: str, host: str, variable: str, more: str
) -> None:
    key = "key-of-the-operator"
    with FakeAPI(fix_bug(), authority=authority, key=key) as api:
        world.policy(policy(world, authority, f'{use}", "python", "git', host, api.address, more))
        done = world.run(
            *claude_words(FIX_BUG_PROMPT), variables={variable: key}, options=["--mode", "direct"]
        )
        streamed = [one for one in api.record.requests if "stream" in one.target]
    assert answer(done)["result"] == "Fixed and committed: the tests pass."
    assert len(streamed) >= 3
    assert "return sum((a, b))" in world.git("show", "HEAD:sums.py")


@pytest.mark.guarantee("K5")
@pytest.mark.parametrize(("use", "host", "variable", "more"), CLOUDS, ids=["bedrock", "vertex"])
def test_what_a_clouds_stream_says_was_used_counts(
    world: World, authority: Authority, use: str, host: str, variable: str, more: str
) -> None:
    key = "key-of-the-operator"
    with FakeAPI(fix_bug(), authority=authority, key=key) as api:
        limit = more + "[model]\nsession_tokens = 1\n"
        world.policy(policy(world, authority, f'{use}", "python", "git', host, api.address, limit))
        done = world.run(*claude_words(FIX_BUG_PROMPT), variables={variable: key})
    assert "the model budget is used up" in json.loads(done.out)["result"], done.told()
