"""Claude Code by other clouds' APIs: the presets for Bedrock and Vertex AI, with nothing real inside."""

import pytest
from claude_code import claude_words
from upstream import Recorder
from world import World

from fake_api.authority import Authority

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
