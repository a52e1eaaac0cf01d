"""The base-URL gateway: plain HTTP inside, TLS and the key outside, events passed on one by one."""

import itertools
import json

import pytest
from claude_code import API_HOST, answer, claude_words, policy
from world import World

from fake_api.authority import Authority
from fake_api.scripts import FIX_BUG_PROMPT, fix_bug, story
from fake_api.server import FakeAPI

PACE = 0.12
GATEWAY = f"""
[gateways.anthropic]
upstream = "https://{API_HOST}"
environment = ["ANTHROPIC_BASE_URL"]
"""
READER = """
import http.client, json, os, time, urllib.parse
base = urllib.parse.urlsplit(os.environ["ANTHROPIC_BASE_URL"])
peer = http.client.HTTPConnection(base.hostname, base.port or 80, timeout=20)
body = json.dumps({"model": "m", "stream": True, "max_tokens": 10, "tools": [{"name": "Bash"}],
                   "messages": [{"role": "user", "content": "tell"}]})
peer.request("POST", base.path + "/v1/messages", body, {"x-api-key": "none", "content-type": "application/json"})
answer = peer.getresponse()
seen = []
while line := answer.readline():
    if line.startswith(b"event:"):
        seen.append((time.monotonic(), line.split()[1].decode()))
print(json.dumps({"status": answer.status, "kind": answer.headers["content-type"], "base": base.geturl(), "seen": seen}))
"""

pytestmark = pytest.mark.timeout(120)


def test_events_arrive_one_by_one(world: World, authority: Authority) -> None:
    with FakeAPI(story(), authority=authority, key=world.key.value, pace=PACE) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}, GATEWAY))
        done = world.run("python3", "-c", READER)
        assert done.code == 0, done.told()
    told = json.loads(done.out)
    assert told["status"] == 200
    assert told["kind"].startswith("text/event-stream")
    assert told["base"].startswith("http://anthropic.gateway.internal")
    names = [name for _, name in told["seen"]]
    assert names[0] == "message_start"
    assert names[-1] == "message_stop"
    assert len(names) >= 10
    times = [when for when, _ in told["seen"]]
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert sum(gap > PACE / 2 for gap in gaps) >= 0.9 * len(gaps), f"events came in lumps: {gaps}"


def test_claude_code_works_through_the_gateway(world: World, authority: Authority) -> None:
    with FakeAPI(fix_bug(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}, GATEWAY))
        told = answer(world.run(*claude_words(FIX_BUG_PROMPT)))
        assert told["result"] == "Fixed and committed: the tests pass."
        requests = api.record.sent_to("/v1/messages")
        assert len(requests) == 6
        assert {one.header("x-api-key") for one in requests} == {world.key.value}
        assert {one.header("host") for one in requests} == {API_HOST}


def test_a_gateway_that_no_policy_names_does_not_exist(world: World, authority: Authority) -> None:
    with FakeAPI(story(), authority=authority, key=world.key.value) as api:
        world.policy(policy(world, authority, {API_HOST: api.address}))
        done = world.run("python3", "-c", READER, variables={})
        other = READER.replace('os.environ["ANTHROPIC_BASE_URL"]', '"http://other.gateway.internal"')
        assert world.run("python3", "-c", other).code != 0
        assert done.code != 0
        assert api.record.requests == []
