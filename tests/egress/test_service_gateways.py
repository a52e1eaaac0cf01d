"""`ringfence egress --gateway`: real SDKs that know a base URL and no proxy, and who else could reach it."""

import json
import socket

import httpx
import pytest
import servers
from gates import WAIT, drain, parse
from services import BLUE, HOST, RED, TWO, allow, policy, said, serving

KEY = "sk-ant-real-secret"
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
ASK = {"model": "claude-test", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}


def answered(value):
    """Return an upstream's answer in JSON."""
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


@pytest.fixture
def model(tmp_path, serve, certificates):
    """Return a function that serves policies with one gateway, and where it listens."""
    made = []

    def begin(*words, identities="", host=HOST, more="", answer=None, prefix="", environment=None):
        upstream = serve(host, answer=answer or answered(MESSAGE))
        text = f'egress.extra_ca = ["{certificates.ca}"]\n{more}\n[gateways.model]\nupstream = "https://{host}{prefix}"\n'
        pairs = ((host, upstream.address),)
        for name in ("p", "red"):
            policy(tmp_path, f"{name}.toml", pairs, allow(host), more=text)
        policy(tmp_path, "blue.toml", pairs, allow(host))  # no gateway in it
        (tmp_path / "who.toml").write_text(identities)
        where = f"127.0.0.1:{servers.free_port()}"
        who = ("--identities", "who.toml") if identities else ("--policy", "p.toml")
        environment = {"RED": RED, "BLUE": BLUE, "KEY": KEY, **(environment or {})}
        context = serving(tmp_path, "--gateway", f"model={where}", *words, *who, environment=environment)
        service = context.__enter__()
        made.append(context)
        service.where, service.upstream = where, upstream
        return service

    yield begin
    for context in made:
        context.__exit__(None, None, None)


BOUND = f'[credentials.key]\nsource = "env:KEY"\nhost = "{HOST}"\nheader = "x-api-key"\nstrip = ["authorization"]\n'


def raw(service, *lines, host=None, path="/v1/messages"):
    """Send one request; returns (status, headers, body)."""
    with socket.create_connection(service.where.split(":"), WAIT) as sock:
        head = [f"GET {path} HTTP/1.1", f"Host: {host or service.where}", *lines, "Connection: close"]
        sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        return parse(drain(sock))


def anthropic(service, key="placeholder"):
    sdk = pytest.importorskip("anthropic", reason="the SDK is the client under test")
    return sdk.Anthropic(
        base_url=f"http://{service.where}",
        api_key=key,
        http_client=sdk.DefaultHttpxClient(trust_env=False),
        max_retries=0,
    )


# --- what does not start


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model", "is no NAME=ADDRESS"),
        ("=127.0.0.1:1", "is no NAME=ADDRESS"),
        ("model=here", "an address cannot be used"),
        ("other=127.0.0.1:1", "no policy has a gateway `other`"),
        ("model=0.0.0.0:1", "anybody who can reach 0.0.0.0:1"),
    ],
)
def test_a_gateway_that_cannot_be_meant_is_told_at_the_start(tmp_path, word, told):
    (tmp_path / "p.toml").write_text('[gateways.model]\nupstream = "https://api.example.com"\n')
    status, output, errors = said(tmp_path, "egress", "--gateway", word, "--policy", "p.toml")
    assert status in {2, 125}
    assert output == ""
    assert told in errors
    assert "Traceback" not in errors


# --- who gets in


@pytest.mark.guarantee("S4")
def test_a_page_in_a_browser_gets_nothing_from_a_gateway(model):
    """Neither by a request across sites nor under a name of its own (DNS rebinding)."""
    service = model(more=BOUND)
    for line in (
        "Origin: https://evil.test",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ):
        assert raw(service, line)[0] == 403
    for host in ("evil.test", "127.0.0.1.evil.test", "rebind.evil.test:8081", "a b", ""):
        assert raw(service, host=host or " ")[0] in {400, 403}
    assert service.upstream.heads == []
    for host in ("localhost", "gate:8081", "[::1]", "model.gateway.internal"):
        assert raw(service, host=host)[0] == 200


@pytest.mark.guarantee("S4")
def test_a_gateway_is_no_proxy(model):
    service = model(more=BOUND)
    assert raw(service, path="http://evil.test/")[0] == 400
    assert raw(service, path=f"http://{service.where}/")[0] == 400
    with socket.create_connection(service.where.split(":"), WAIT) as sock:
        sock.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert parse(drain(sock))[0] in {400, 403, 405}
    with socket.create_connection(service.where.split(":"), WAIT) as sock:
        sock.sendall(b"\5\1\0")
        sock.shutdown(socket.SHUT_WR)
        assert not drain(sock).startswith(b"\5")
    assert service.upstream.heads == []


@pytest.mark.guarantee("S1")
def test_a_gateway_serves_nobody_it_does_not_know(model):
    service = model(identities=TWO)
    for lines in ((), ("x-api-key: wrong",), (f"x-api-key: {RED}x",), ("Authorization: Bearer x",)):
        status, _, body = raw(service, *lines)
        assert (status, json.loads(body)["error"]["type"]) == (401, "authentication_error")
    wrong = "Proxy-Authorization: Bearer wrong"
    assert raw(service, wrong, f"x-api-key: {RED}")[0] == 401  # what is said to a proxy counts alone
    status, _, body = raw(service, f"x-api-key: {BLUE}")
    assert (status, b"no gateway answers here" in body) == (403, True)  # blue's policy has none
    assert service.upstream.heads == []


@pytest.mark.guarantee("S4")
def test_a_token_in_the_place_of_a_key_says_who_it_is_and_goes_no_further(model):
    service = model(identities=TWO)
    for lines in (
        (f"x-api-key: {RED}",),
        (f"Authorization: Bearer {RED}",),
        (f"api-key: {RED}", f"Authorization: Bearer {RED}"),
    ):
        assert raw(service, *lines)[0] == 200
    assert len(service.upstream.heads) == 3
    assert RED.encode() not in service.upstream.seen
    service.stop()
    assert RED not in str(service.events("red"))


def test_a_connection_to_a_gateway_stays_with_whom_it_was_accepted_from(model):
    service = model(identities=TWO)
    with socket.create_connection(service.where.split(":"), WAIT) as sock:
        for token, status in ((RED, b"200"), (BLUE, b"401")):
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {service.where}\r\nx-api-key: {token}\r\n\r\n".encode())
            assert sock.recv(65536)[9:12] == status


def test_an_identity_may_be_known_by_where_it_comes_from(model):
    service = model(identities='[identity.red]\npolicy = "red.toml"\nsource = ["127.0.0.0/8"]\n')
    assert raw(service, "x-api-key: a-placeholder")[0] == 200


# --- real clients


def test_the_anthropic_sdk(model):
    service = model(more=BOUND)
    with anthropic(service) as client:
        made = client.messages.create(**ASK)
    assert made.content[0].text == "hello"
    head = service.upstream.heads[-1]
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\nHost: api.example.com\r\n")
    assert f"x-api-key: {KEY}".encode() in head
    assert b"placeholder" not in head


def test_the_anthropic_sdk_with_a_token_for_a_key(model):
    sdk = pytest.importorskip("anthropic", reason="the SDK is the client under test")
    service = model(identities=TWO, more=BOUND)
    with (
        anthropic(service, "wrong-token-01234567") as client,
        pytest.raises(sdk.AuthenticationError, match="does not know who asks"),
    ):
        client.messages.create(**ASK)
    with anthropic(service, RED) as client:
        assert client.messages.create(**ASK).content[0].text == "hello"
    assert f"x-api-key: {KEY}".encode() in service.upstream.heads[-1]


def test_a_request_that_the_policy_refuses_is_an_error_that_the_sdk_shows(model):
    sdk = pytest.importorskip("anthropic", reason="the SDK is the client under test")
    service = model(more=f'egress.deny = [{{ host = "{HOST}", paths = ["/v1/messages"] }}]\n{BOUND}')
    with anthropic(service) as client, pytest.raises(sdk.PermissionDeniedError, match="was refused"):
        client.messages.create(**ASK)
    assert service.upstream.heads == []


def test_an_openai_like_client_that_streams(model):
    def answer(sock, *_):
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for word in (
            b'{"choices":[{"delta":{"content":"a"}}]}',
            b'{"choices":[{"delta":{"content":"b"}}]}',
            b"[DONE]",
        ):
            event = b"data: " + word + b"\n\n"
            sock.sendall(b"%x\r\n%b\r\n" % (len(event), event))
        sock.sendall(b"0\r\n\r\n")

    bearer = f'[credentials.key]\nsource = "env:KEY"\nhost = "{HOST}"\nkind = "bearer"\n'
    service = model(more=bearer, answer=answer, prefix="/openai")
    url = f"http://{service.where}/v1/chat/completions"
    sent = {"model": "m", "stream": True, "messages": []}
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", url, json=sent, headers={"Authorization": "Bearer placeholder"}) as answer,
    ):
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert len(lines) == 3
    head = service.upstream.heads[-1]
    assert head.startswith(b"POST /openai/v1/chat/completions HTTP/1.1\r\n")
    assert f"Bearer {KEY}".encode() in head


# --- Bedrock

REGION = "us-east-1"
BEDROCK = f"bedrock-runtime.{REGION}.amazonaws.com"
KEYS = json.dumps({"Version": 1, "AccessKeyId": "AKIAREALREALREALREAL", "SecretAccessKey": "real" * 10})
SIGNED = (
    f'[credentials.aws]\nsource = "env:AWS_KEYS"\nhost = "{BEDROCK}"\nkind = "aws"\n'
    f'regions = ["{REGION}"]\nservices = ["bedrock"]\nplaceholder = "AKIAPLACEHOLDER00000"\n'
)


def signature(head, body):
    """Return the signature that botocore would make for a request as the upstream saw it."""
    auth = pytest.importorskip("botocore.auth", reason="botocore is the judge of signatures")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    wanted = fields["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    path = lines[0].split(" ")[1]
    signer = auth.SigV4Auth(Credentials("AKIAREALREALREALREAL", "real" * 10), "bedrock", REGION)
    request = AWSRequest(
        "POST", f"https://{BEDROCK}{path}", headers={one: fields[one] for one in wanted}, data=body
    )
    request.context["timestamp"] = fields["x-amz-date"]
    signer.headers_to_sign = lambda _: {one: fields[one] for one in wanted}
    text = signer.string_to_sign(request, _canonical(signer, request, wanted, fields))
    return fields["authorization"].rpartition("Signature=")[2], signer.signature(text, request)


def _canonical(signer, request, wanted, fields):
    headers = "\n".join(f"{one}:{fields[one]}" for one in wanted)
    path = signer._normalize_url_path(request.url.partition(BEDROCK)[2])
    return "\n".join([request.method, path, "", headers + "\n", ";".join(wanted), signer.payload(request)])


def test_bedrock_signed_with_placeholders_is_signed_anew(model):
    sdk = pytest.importorskip("anthropic", reason="the SDK is the client under test")
    pytest.importorskip("boto3", reason="the SDK signs with it")
    service = model(more=SIGNED, host=BEDROCK, environment={"AWS_KEYS": KEYS})
    client = sdk.AnthropicBedrock(
        base_url=f"http://{service.where}",
        aws_region=REGION,
        aws_access_key="AKIAPLACEHOLDER00000",
        aws_secret_key="x" * 40,
        http_client=sdk.DefaultHttpxClient(trust_env=False),
        max_retries=0,
    )
    with client:
        made = client.messages.create(**{**ASK, "model": "us.anthropic.claude-sonnet-4-5-v1:0"})
    assert made.content[0].text == "hello"
    head, body = service.upstream.requests[-1]
    assert head.startswith(b"POST /model/us.anthropic.claude-sonnet-4-5-v1")
    assert b"AKIAPLACEHOLDER" not in head
    found, right = signature(head.removesuffix(b"\r\n\r\n"), body)
    assert found == right


@pytest.mark.parametrize("key", ["AKIASOMEBODYELSES000"])
def test_bedrock_signed_with_other_keys_is_refused(model, key):
    sdk = pytest.importorskip("anthropic", reason="the SDK is the client under test")
    pytest.importorskip("boto3", reason="the SDK signs with it")
    service = model(more=SIGNED, host=BEDROCK, environment={"AWS_KEYS": KEYS})
    client = sdk.AnthropicBedrock(
        base_url=f"http://{service.where}", aws_region=REGION, aws_access_key=key, aws_secret_key="x" * 40,
        http_client=sdk.DefaultHttpxClient(trust_env=False), max_retries=0,
    )  # fmt: skip
    with client, pytest.raises(sdk.APIStatusError, match="not this credential's placeholder"):
        client.messages.create(**ASK)
    assert service.upstream.heads == []


def unsigned(service, **headers):
    url = f"http://{service.where}/model/us.anthropic.claude-sonnet-4-5-v1%3A0/invoke"
    return httpx.post(url, json=ASK, headers=headers, trust_env=False, timeout=WAIT)


def test_bedrock_that_leaves_signing_to_the_gate(model):
    """What CLAUDE_CODE_SKIP_BEDROCK_AUTH=1 sends."""
    service = model(more=SIGNED, host=BEDROCK, environment={"AWS_KEYS": KEYS})
    assert unsigned(service).json()["content"][0]["text"] == "hello"
    head, body = service.upstream.requests[-1]
    found, right = signature(head.removesuffix(b"\r\n\r\n"), body)
    assert found == right
    assert b"/bedrock/aws4_request" in head


@pytest.mark.parametrize("gone", [f'regions = ["{REGION}"]\n', 'services = ["bedrock"]\n'])
def test_what_is_unsigned_stays_unsent_where_the_policy_leaves_a_choice(model, gone):
    service = model(more=SIGNED.replace(gone, ""), host=BEDROCK, environment={"AWS_KEYS": KEYS})
    assert unsigned(service).status_code == 403
    assert service.upstream.heads == []


def test_an_unsigned_request_with_a_token_of_its_own_is_refused(model):
    service = model(more=SIGNED, host=BEDROCK, environment={"AWS_KEYS": KEYS})
    assert unsigned(service, Authorization="Bearer of-somebody-else").status_code == 403
    assert unsigned(service, **{"x-amz-security-token": "of-somebody-else"}).status_code == 200
    assert b"of-somebody-else" not in service.upstream.seen


# --- Vertex AI


def test_vertex_gets_the_token_of_a_service_account(model, serve, tmp_path):
    sdk = pytest.importorskip("anthropic", reason="the SDK is the client under test")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = json.dumps({"client_email": "gate@acme.test", "private_key": pem})
    tokens = serve(
        "tokens.example.com", answer=answered({"access_token": "ya29.real-token", "expires_in": 3600})
    )
    vertex = "us-east5-aiplatform.googleapis.com"
    bound = f'[credentials.vertex]\nsource = "env:ACCOUNT"\nhost = "{vertex}"\nkind = "google"\n'
    bound += 'token_url = "https://tokens.example.com/token"\n'
    service = model(host=vertex, prefix="/v1", more=bound, environment={"ACCOUNT": account})
    text = (tmp_path / "p.toml").read_text() + f'"tokens.example.com" = "{tokens.address}"\n'
    (tmp_path / "p.toml").write_text(text)
    service.reload()
    client = sdk.AnthropicVertex(
        base_url=f"http://{service.where}", region="us-east5", project_id="acme", access_token="placeholder",
        http_client=sdk.DefaultHttpxClient(trust_env=False), max_retries=0,
    )  # fmt: skip
    with client:
        made = client.messages.create(**{**ASK, "model": "claude-sonnet-4-5@20250929"})
    assert made.content[0].text == "hello"
    head = service.upstream.heads[-1]
    assert head.startswith(
        b"POST /v1/projects/acme/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@"
    )
    assert b"Bearer ya29.real-token" in head
