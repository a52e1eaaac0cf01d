"""What a model's answer used is read from every shape of answer, and never taken for nothing."""

import base64
import json
import struct
import zlib

import pytest

from ringfence.egress import usage
from ringfence.egress.path import canonical_path
from ringfence.egress.usage import UsageReader

MESSAGE = {
    "type": "message",
    "model": "claude-sonnet-5-20260901",
    "content": [{"type": "text", "text": "hello"}],
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 2000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 45,
    },
}
EVENTS = [
    {
        "type": "message_start",
        "message": {"model": "claude-opus-5", "usage": {"input_tokens": 25, "output_tokens": 1}},
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "usage of words"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 15}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 77}},
    {"type": "message_stop"},
]


def stream(events, end=b"\n"):
    return b"".join(b"event: x" + end + b"data: " + json.dumps(one).encode() + end + end for one in events)


def aws(payload):
    body = struct.pack("!II", 16 + len(payload), 0)
    body += struct.pack("!I", zlib.crc32(body)) + payload
    return body + struct.pack("!I", zlib.crc32(body))


def read(content_type, data, step=11, sent=0):
    reader = UsageReader(content_type)
    assert b"".join(reader.feed(data[at : at + step]) for at in range(0, len(data), step)) == data
    assert reader.finish() == b""
    return reader.settle(sent)


def test_a_message_tells_all_its_tokens():
    found = read(b"application/json; charset=utf-8", json.dumps(MESSAGE).encode())
    assert found.stated
    assert found.model == "claude-sonnet-5-20260901"
    assert found.tokens == {"input": 12, "output": 45, "read": 2000, "write": 300, "write_1h": 100}
    assert found.total == 12 + 45 + 2000 + 300


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("step", [1, 64, 100_000])
def test_a_stream_of_events_is_read_as_it_comes(end, step):
    found = read(b"text/event-stream", stream(EVENTS, end), step)
    assert (found.model, found.tokens["input"], found.tokens["output"]) == ("claude-opus-5", 25, 77)


def test_a_stream_cut_before_its_end_costs_what_was_seen():
    found = read(b"text/event-stream", stream([EVENTS[0], *[EVENTS[1]] * 400]))
    assert found.tokens["input"] == 25
    nothing = read(b"text/event-stream", stream([EVENTS[1]] * 400), sent=4000)
    assert not nothing.stated
    assert nothing.tokens["input"] == 1000
    assert nothing.tokens["output"] > 1000


@pytest.mark.parametrize(
    "answer",
    [
        {"model": "gpt-9", "usage": {"prompt_tokens": 7, "completion_tokens": 9}},
        {
            "type": "response.completed",
            "response": {"model": "gpt-9", "usage": {"input_tokens": 7, "output_tokens": 9}},
        },
        {"model": "gpt-9", "usage": {"inputTokens": 7, "outputTokens": 9}},
        {"model": "gpt-9", "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 9}},
    ],
)
def test_other_services_are_read(answer):
    for content_type, data in (
        (b"application/json", json.dumps(answer).encode()),
        (b"text/event-stream", stream([answer]) + b"data: [DONE]\n\n"),
    ):
        found = read(content_type, data)
        assert (found.model, found.tokens["input"], found.tokens["output"]) == ("gpt-9", 7, 9)


@pytest.mark.parametrize("step", [1, 13, 100_000])
def test_an_aws_event_stream_is_read(step):
    wrapped = [
        json.dumps({"bytes": base64.b64encode(json.dumps(one).encode()).decode()}).encode() for one in EVENTS
    ]
    found = read(b"application/vnd.amazon.eventstream", b"".join(map(aws, wrapped)), step)
    assert (found.tokens["input"], found.tokens["output"]) == (25, 77)
    plain = json.dumps({"usage": {"inputTokens": 4, "outputTokens": 5}}).encode()
    assert read(b"application/vnd.amazon.eventstream", aws(plain), step).total == 9


@pytest.mark.parametrize(
    "content_type", [b"application/json", b"text/event-stream", b"application/vnd.amazon.eventstream", b""]
)
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"data: {\n",
        b'{"usage": 3}',
        b'{"usage": {"input_tokens": true}}',
        b"\xff" * 64,
        b"null",
    ],
)
def test_nonsense_is_counted_by_its_bytes(content_type, data):
    found = read(content_type, data, sent=400)
    assert not found.stated
    assert found.tokens["input"] == 100


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/messages",
            "/v1/chat/completions",
            "/openai/v1/responses",
            "/model/anthropic.claude-opus-5/invoke",
        ),
        *("/model/x/invoke-with-response-stream", "/model/x/converse", "/model/x/converse-stream"),
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-5:streamRawPredict",
    ],
)
def test_questions_to_models_are_known(path):
    assert usage.is_model("POST", canonical_path(path.encode()))
    assert not usage.is_model("GET", canonical_path(path.encode()))


@pytest.mark.parametrize(
    "target",
    [
        *(
            b"/v1/messages/",
            b"/v1/messages?beta=true",
            b"//v1//messages",
            b"/V1/Messages",
            b"/v1/messages;x=1",
        ),
        *(b"/v1%2Fmessages", b"/v1/x/../messages", b"/v1/messages%2f", b"/v1/%256dessages"),
        b"/v1/models/m%3AstreamRawPredict",
    ],
)
def test_no_spelling_of_a_path_asks_a_model_unseen(target):
    assert usage.is_model("POST", canonical_path(target))


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/models", "/v1/files", "/invoke", "/"])
def test_other_requests_are_none(path):
    assert not usage.is_model("POST", canonical_path(path.encode()))


@pytest.mark.parametrize(
    "path", ["/v1/messages/batches", "/v1/batches", "/v1/messages/batches/", "/async-invoke"]
)
def test_batches_are_known(path):
    assert usage.is_batch("POST", canonical_path(path.encode()))
    assert not usage.is_batch("GET", canonical_path(path.encode()))


def test_who_leaves_just_before_the_counts_pays_for_what_came():
    begun = {"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}}
    reader = UsageReader(b"text/event-stream")
    reader.feed(stream([begun, *[EVENTS[1]] * 400]))
    reader.close()  # the agent has gone: no end
    assert reader.settle(0).tokens["output"] > 400
