"""Credentials on HTTP/2: the same places, the same refusals, bodies held and framed anew."""

import json

import pytest
from gates import credential, rule
from http2_peers import connect2

from ringfence.credential import placeholder, sigv4
from ringfence.credential.inject.aws_chunks import Chunks

HOST, AWS = "api.example.com", "s3.us-east-1.amazonaws.com"
KEY, FAKE = "canary-key-0123456789abcdef", "sk-ringfence-placeholder-0001"
KEYS = {"AccessKeyId": "AKIAREALREALREALREAL", "SecretAccessKey": "real-secret-real-secret-real-secret-real"}
CLOUD = credential(AWS, kind="aws", source="env:AWS", name="aws")
TIME = "20300101T000000Z"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


@pytest.fixture(scope="module")
def upstream(serve2):
    return serve2(HOST, AWS)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(rule(HOST), rule(AWS)),
        static=((HOST, upstream.address), (AWS, upstream.address)),
        credentials=(
            credential(HOST, kind="placeholder", places=("header:x-key", "json:/token"), placeholder=FAKE),
            CLOUD,
        ),
        environment={"TEST_KEY": KEY, "AWS": json.dumps(KEYS)},
    )


def asked(gate, host, **request):
    with connect2(gate, f"{host}:443") as client:
        client.ask(1, host, **request)
        assert client.done(1)
        return client.status(1)


def test_a_body_is_held_and_sent_with_its_new_length(gate, upstream):
    upstream.clear()
    body = json.dumps({"x": "y" * 40_000, "token": FAKE}).encode()
    fields = [("x-key", FAKE), ("content-type", "application/json"), ("content-length", str(len(body)))]
    pieces = [body[at : at + 16_000] for at in range(0, len(body), 16_000)]
    with connect2(gate, f"{HOST}:443") as client:
        from http2_peers import data

        head = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/"), *fields]
        client.send(client.headers(1, head, end=False))
        for piece in pieces:
            client.send(data(1, piece, end=piece is pieces[-1]))
        assert client.done(1)
        assert client.status(1) == 200
    (seen,) = upstream.requests
    assert seen.body == body.replace(FAKE.encode(), KEY.encode())
    assert seen.named["x-key"] == KEY
    assert seen.named["content-length"] == str(len(seen.body))


@pytest.mark.guarantee("C8")
@pytest.mark.parametrize(
    "request_",
    [
        {"path": f"/{FAKE}"},
        {"fields": [("x-key", "another")]},
        {"fields": [("x-other", FAKE)]},
        {"fields": [("cookie", FAKE[:10]), ("cookie", FAKE[10:])]},
        {"method": "POST", "fields": [("content-type", "application/json")], "body": b'{"token": "another"}'},
        {"method": "POST", "fields": [("content-type", "text/plain")], "body": FAKE.encode()},
    ],
)
def test_what_is_refused_on_http_1_is_refused_on_http_2(gate, upstream, request_):
    upstream.clear()
    assert asked(gate, HOST, **request_) == 403
    assert upstream.requests == []


def test_chunks_are_signed_anew(gate, upstream):
    upstream.clear()
    identity = placeholder.access_key(CLOUD)[0]
    scope = sigv4.Scope(date=TIME[:8], region="us-east-1", service="s3")
    value = f"AWS4-HMAC-SHA256 Credential={identity}/{scope.text}, SignedHeaders=host, Signature={'0' * 64}"
    body = b"5;chunk-signature=%b\r\nhello\r\n0;chunk-signature=%b\r\n\r\n" % (b"0" * 64, b"0" * 64)
    fields = [("authorization", value), ("x-amz-date", TIME), ("x-amz-content-sha256", STREAMING)]
    assert asked(gate, AWS, method="PUT", path="/b/k", fields=fields, body=body) == 200
    (seen,) = upstream.requests
    key = sigv4.signing_key(KEYS["SecretAccessKey"], scope)
    covered = [("host", AWS), ("x-amz-content-sha256", STREAMING), ("x-amz-date", TIME)]
    names, signature = sigv4.sign(
        key, scope, TIME, method="PUT", path="/b/k", query="", fields=covered, payload=STREAMING
    )
    keys = sigv4.Keys(KEYS["AccessKeyId"], KEYS["SecretAccessKey"])
    assert seen.named["authorization"] == sigv4.authorization(keys, scope, names, signature)
    assert seen.body == Chunks(sigv4.Chain(key, scope, TIME, signature), trailer=False).feed(body)
