"""The scripted Messages API behaves as the real one where clients can tell the difference."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import anthropic
import pytest
from reach import TOP

from fake_api.authority import Authority
from fake_api.script import Conversation, Script, Use, say, together, use
from fake_api.scripts import fix_bug, hello, story
from fake_api.server import FakeAPI

ASK = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
TOOLS = [{"name": "Bash", "description": "Run", "input_schema": {"type": "object"}}]


@pytest.fixture
def api(authority: Authority) -> Iterator[FakeAPI]:
    script = Script(
        use("Bash", "Looking.", command="ls"),
        together(Use("Read", {"a": 1}), Use("Read", {"a": 2})),
        say("Done."),
    )
    with FakeAPI(script, authority=authority, key="sk-real") as one:
        yield one


@contextmanager
def peer(port: int, ca_file: str) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=ca_file)
    with closing(http.client.HTTPSConnection("localhost", port, context=context, timeout=10)) as connection:
        yield connection


@contextmanager
def client(api: FakeAPI, authority: Authority, key: str) -> Iterator[anthropic.Anthropic]:
    trusting = anthropic.DefaultHttpxClient(verify=ssl.create_default_context(cafile=authority.ca_file))
    address = f"https://localhost:{api.port}"
    with anthropic.Anthropic(api_key=key, base_url=address, http_client=trusting, max_retries=0) as one:
        yield one


def test_a_placeholder_is_refused(api: FakeAPI, authority: Authority) -> None:
    with client(api, authority, "placeholder") as one, pytest.raises(anthropic.AuthenticationError):
        one.messages.create(**ASK)


def test_a_request_without_a_key_is_refused(api: FakeAPI, authority: Authority) -> None:
    with peer(api.port, authority.ca_file) as connection:
        connection.request("POST", "/v1/messages", json.dumps(ASK))
        assert connection.getresponse().status == 401


def test_the_official_sdk_reads_the_stream(api: FakeAPI, authority: Authority) -> None:
    with client(api, authority, "sk-real") as one, one.messages.stream(**ASK, tools=TOOLS) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[1].input == {"command": "ls"}
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens > 0


def test_the_official_sdk_reads_a_whole_message(api: FakeAPI, authority: Authority) -> None:
    turns = [*ASK["messages"], {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    with client(api, authority, "sk-real") as one:
        message = one.messages.create(**{**ASK, "messages": turns}, tools=TOOLS)
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"a": 1}, {"a": 2}]


def test_the_last_step_is_followed_by_nothing() -> None:
    turns = [{"role": "assistant", "content": "x"}] * 9
    reply = hello().reply(Conversation({"messages": turns, "tools": TOOLS}))
    assert len(reply) == 1
    assert "Nothing is left" in str(reply[0])


def test_a_side_question_is_no_turn() -> None:
    assert "ok" in str(fix_bug().reply(Conversation({"messages": ASK["messages"]})))


def test_events_are_sent_one_by_one(authority: Authority) -> None:
    with (
        FakeAPI(story(), authority=authority, pace=0.05) as slow,
        peer(slow.port, authority.ca_file) as connection,
    ):
        connection.request("POST", "/v1/messages", json.dumps({**ASK, "tools": TOOLS, "stream": True}))
        answer = connection.getresponse()
        times = [time.monotonic() for line in iter(answer.readline, b"") if line.startswith(b"event:")]
    assert len(times) >= 10
    assert times[-1] - times[0] >= 0.04 * (len(times) - 1)


def test_the_other_paths_of_claude_code_are_answered(api: FakeAPI, authority: Authority) -> None:
    key = {"x-api-key": "sk-real"}
    expected = [
        ("HEAD", "/api/hello", {}, 200),
        ("GET", "/api/claude_code/settings", key, 404),
        ("GET", "/api/claude_code/policy_limits", key, 404),
        ("GET", "/api/claude_code/settings", {}, 401),
        ("POST", "/v1/messages/count_tokens", key, 200),
    ]
    with peer(api.port, authority.ca_file) as connection:
        for method, path, headers, status in expected:
            connection.request(method, path, b"{}", headers)
            answer = connection.getresponse()
            answer.read()
            assert (path, answer.status) == (path, status)


def test_every_request_is_kept_whole(api: FakeAPI, authority: Authority) -> None:
    with peer(api.port, authority.ca_file) as connection:
        connection.request("POST", "/v1/messages?beta=true", b'{"odd": "\xff"}', {"X-Odd": "value"})
        connection.getresponse().read()
    kept = api.record.requests[-1]
    assert (kept.method, kept.target, kept.header("x-odd")) == ("POST", "/v1/messages?beta=true", "value")
    assert kept.body == b'{"odd": "\xff"}'
    assert kept.tls
    assert kept.peer.startswith("127.0.0.1:")


def test_it_runs_as_a_program(tmp_path: "os.PathLike[str]") -> None:
    files = {name: os.path.join(tmp_path, name) for name in ("port", "record", "ca")}
    argv = [sys.executable, "-m", "fake_api", "--script", "hello", "--port-file", files["port"]]
    argv += ["--record", files["record"], "--ca-file", files["ca"], "--key-variable", "FAKE_KEY"]
    variables = {**os.environ, "PYTHONPATH": os.path.join(TOP, "tests"), "FAKE_KEY": "sk-real"}
    program = subprocess.Popen(argv, env=variables)
    try:
        port = _wait_for(files["port"])
        with peer(int(port), files["ca"]) as connection:
            connection.request("POST", "/v1/messages", json.dumps(ASK), {"x-api-key": "sk-real"})
            assert json.loads(connection.getresponse().read())["content"][0]["text"] == "ok"
    finally:
        program.terminate()
        assert program.wait(10) == 0
    with open(files["record"], encoding="utf-8") as file:
        assert [json.loads(line)["target"] for line in file] == ["/v1/messages"]


def _wait_for(path: str) -> str:
    end = time.monotonic() + 10
    while not os.path.exists(path):
        assert time.monotonic() < end, "the program did not start"
        time.sleep(0.02)
    with open(path, encoding="utf-8") as file:
        return file.read()
