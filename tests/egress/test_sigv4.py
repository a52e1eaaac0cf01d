"""AWS through the gate: real clients that hold only placeholders, and a server that checks every signature."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys

import pytest
from clouds import moto
from gates import credential, parse, rule

from ringfence.credential import placeholder, sigv4

pytest.importorskip("boto3", reason="boto3 is the client under test")
pytest.importorskip("moto", reason="moto is the server that checks signatures")

REGION = "us-east-1"
BUCKET = "ringfence-test-bucket"
HOSTS = (
    f"s3.{REGION}.amazonaws.com",
    "s3.amazonaws.com",
    f"{BUCKET}.s3.amazonaws.com",
    f"{BUCKET}.s3.{REGION}.amazonaws.com",
    f"dynamodb.{REGION}.amazonaws.com",
    f"sts.{REGION}.amazonaws.com",
    f"secretsmanager.{REGION}.amazonaws.com",
)
AWS = credential("*.amazonaws.com", kind="aws", source="env:AWS_KEYS", name="aws")
FAKE_ID, FAKE_SECRET = placeholder.access_key(AWS)


@pytest.fixture(scope="module")
def server(certificates):
    """Return moto's port and the only key it takes; it checks signatures from then on."""
    import boto3
    from botocore.config import Config

    pem = certificates.pem("localhost", *HOSTS)
    with moto(pem, open_actions=3) as port:
        iam = boto3.client(
            "iam",
            endpoint_url=f"https://localhost:{port}",
            region_name=REGION,
            aws_access_key_id="setup",
            aws_secret_access_key="setup",
            verify=certificates.ca,
            config=Config(proxies={}),
        )
        iam.create_user(UserName="agent")
        key = iam.create_access_key(UserName="agent")["AccessKey"]
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        iam.put_user_policy(UserName="agent", PolicyName="all", PolicyDocument=json.dumps(document))
        yield port, {name: key[name] for name in ("AccessKeyId", "SecretAccessKey")}
    os.unlink(pem)


@pytest.fixture(scope="module")
def gate(start, server):
    port, keys = server
    return start(
        allow=(rule("*.amazonaws.com"),),
        static=tuple((host, f"127.0.0.1:{port}") for host in HOSTS),
        credentials=(AWS,),
        environment={"AWS_KEYS": json.dumps(keys)},
    )


def inside(gate, folder):
    """Return the environment of a client inside the boundary."""
    url = "http://{}:{}".format(*gate.address)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HTTPS_PROXY": url,
        "AWS_CA_BUNDLE": gate.ca,
        "AWS_ACCESS_KEY_ID": FAKE_ID,
        "AWS_SECRET_ACCESS_KEY": FAKE_SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def python(gate, folder, text, **more):
    """Run a program inside; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**inside(gate, folder), **more},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


CLIENT = """
import boto3, io, os
from botocore.config import Config
s3 = boto3.client("s3")
"""


def test_boto3_writes_and_reads_objects_with_a_key_that_opens_nothing(gate, server, tmp_path):
    out = python(
        gate,
        tmp_path,
        CLIENT
        + f"""
name = "{BUCKET}"
s3.create_bucket(Bucket=name)
s3.put_object(Bucket=name, Key="a b/ü+(1)~.txt", Body=b"hello", Metadata={{"note": "x"}})
s3.upload_fileobj(io.BytesIO(os.urandom(9 << 20)), name, "large")
print(s3.get_object(Bucket=name, Key="a b/ü+(1)~.txt")["Body"].read().decode())
print(s3.head_object(Bucket=name, Key="large")["ContentLength"])
print([one["Key"] for one in s3.list_objects_v2(Bucket=name, Prefix="a b/", MaxKeys=5)["Contents"]])
""",
    )
    assert out.split("\n") == ["hello", str(9 << 20), "['a b/ü+(1)~.txt']"]
    records = gate.records("verdict")
    assert {one["credential"] for one in records} == {"aws"}
    with open(gate.audit_path, encoding="utf-8") as file:
        assert server[1]["SecretAccessKey"] not in file.read()


def test_boto3_signs_bodies_for_services_that_state_no_hash(gate, tmp_path):
    out = python(
        gate,
        tmp_path,
        """
import boto3
db = boto3.client("dynamodb")
db.create_table(TableName="t", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
db.put_item(TableName="t", Item={"k": {"S": "ü"}, "v": {"S": "x" * 1000}})
print(len(db.get_item(TableName="t", Key={"k": {"S": "ü"}})["Item"]["v"]["S"]))
""",
    )
    assert out == "1000"


def test_the_command_line_client_works_too(gate, tmp_path):
    aws = os.path.join(os.path.dirname(sys.executable), "aws")
    if not os.path.exists(aws):
        pytest.skip("awscli is not installed beside the interpreter")
    (tmp_path / "f").write_bytes(b"from the command line")
    bucket = f"s3://{BUCKET}-cli"
    for words in (
        ["s3", "mb", bucket],
        ["s3", "cp", str(tmp_path / "f"), f"{bucket}/f"],
        ["s3", "ls", bucket],
    ):
        done = subprocess.run(
            [aws, "--endpoint-url", f"https://s3.{REGION}.amazonaws.com", *words],
            env=inside(gate, tmp_path),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "21 f" in done.stdout


@pytest.mark.guarantee("C4")
def test_a_key_of_another_account_is_refused_and_reaches_nobody(gate, tmp_path):
    out = python(
        gate,
        tmp_path,
        CLIENT
        + """
try:
    s3.list_buckets()
except Exception as error:
    print(error.response["ResponseMetadata"]["HTTPStatusCode"])
""",
        AWS_ACCESS_KEY_ID="AKIAANOTHERACCOUNTXX",
        AWS_SECRET_ACCESS_KEY="x" * 40,
    )
    assert out == "403"
    assert gate.wait_for("refused", status=403)[-1]["reason"].startswith(
        "credential aws: the request is signed"
    )


def test_presigned_urls_anonymous_requests_and_services_that_hand_out_keys_are_refused(gate, tmp_path):
    url = python(
        gate,
        tmp_path,
        CLIENT + f'print(s3.generate_presigned_url("get_object", {{"Bucket": "{BUCKET}", "Key": "k"}}))',
    )
    host, _, path = url.removeprefix("https://").partition("/")
    assert gate.ask(f"{host}:443", path=f"/{path}")[0] == 403
    assert gate.ask(f"s3.{REGION}.amazonaws.com:443")[0] == 403
    out = python(
        gate,
        tmp_path,
        """
import boto3
try:
    boto3.client("sts").get_session_token()
except Exception as error:
    print(error)
""",
    )
    assert "does not sign for the service sts" in out


# --- against a recording upstream: what is sent is what is signed

KEYS = sigv4.Keys(
    "AKIAREALREALREALREAL", "real-secret-real-secret-real-secret-real", "real-session-token-0123456789"
)
HOST = f"s3.{REGION}.amazonaws.com"
TIME = "20300101T000000Z"


@pytest.fixture(scope="module")
def recorder(serve):
    return serve(HOST, f"dynamodb.{REGION}.amazonaws.com")


@pytest.fixture(scope="module")
def recording(start, recorder):
    stored = {"AccessKeyId": KEYS.id, "SecretAccessKey": KEYS.secret, "SessionToken": KEYS.token}
    return start(
        allow=(rule("*.amazonaws.com"),),
        static=((HOST, recorder.address), (f"dynamodb.{REGION}.amazonaws.com", recorder.address)),
        credentials=(AWS,),
        environment={"AWS_KEYS": json.dumps(stored)},
    )


def head(service="s3", host=HOST, path="/b/k", payload=None, extra=""):
    scope = f"{TIME[:8]}/{REGION}/{service}/aws4_request"
    stated = f"X-Amz-Content-Sha256: {payload}\r\n" if payload else ""
    return (
        f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Amz-Date: {TIME}\r\n{stated}"
        f"Authorization: AWS4-HMAC-SHA256 Credential={FAKE_ID}/{scope}, SignedHeaders=host;x-amz-date, "
        f"Signature={'0' * 64}\r\n{extra}"
    ).encode()


def resigned(upstream, service="s3", payload=None):
    """Check the signature of the last request over what arrived; returns it and the scope."""
    text, body = upstream.requests[-1]
    lines = text.decode().split("\r\n")
    method, target, _ = lines[0].split(" ")
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    value = next(content for name, content in fields.items() if name.lower() == "authorization")
    names = value.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    covered = [(name.lower(), content) for name, content in fields.items() if name.lower() in names]
    scope = sigv4.Scope(date=TIME[:8], region=REGION, service=service)
    path, _, query = target.partition("?")
    hashed = payload or hashlib.sha256(body).hexdigest()
    key = sigv4.signing_key(KEYS.secret, scope)
    found, signature = sigv4.sign(
        key, scope, TIME, method=method, path=path, query=query, fields=covered, payload=hashed
    )
    assert value == sigv4.authorization(KEYS, scope, found, signature)
    assert "x-amz-security-token" in names
    return key, scope, signature, body


def test_the_signature_covers_what_is_sent(recording, recorder):
    body = b"hello"
    raw = head("dynamodb", f"dynamodb.{REGION}.amazonaws.com", "/", extra="Content-Length: 5\r\n\r\n") + body
    assert parse(recording.tunnelled(f"dynamodb.{REGION}.amazonaws.com:443", raw))[0] == 200
    assert resigned(recorder, "dynamodb")[-1] == body
    raw = (
        head(path="/b/a%20b%2Bc?x=2&a=%7e", payload="UNSIGNED-PAYLOAD", extra="Content-Length: 5\r\n\r\n")
        + body
    )
    assert parse(recording.tunnelled(f"{HOST}:443", raw))[0] == 200
    resigned(recorder, payload="UNSIGNED-PAYLOAD")


def test_a_chunked_upload_is_signed_chunk_by_chunk_at_its_full_length(recording, recorder):
    data = os.urandom(300_000)
    size = 65536
    pieces = [data[at : at + size] for at in range(0, len(data), size)] + [b""]
    encoded = b"".join(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(one), b"0" * 64, one) for one in pieces)
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    extra = (
        f"Content-Encoding: aws-chunked\r\nX-Amz-Decoded-Content-Length: {len(data)}\r\n"
        f"Content-Length: {len(encoded)}\r\n\r\n"
    )
    raw = head(payload=payload, extra=extra)
    halves = encoded[:100_001], encoded[100_001:]
    assert parse(recording.tunnelled(f"{HOST}:443", raw, *halves))[0] == 200
    key, scope, seed, body = resigned(recorder, payload=payload)
    chain = sigv4.Chain(key, scope, TIME, seed)
    expected = b"".join(
        b"%x;chunk-signature=%b\r\n%b\r\n" % (len(one), chain.chunk(one).encode(), one) for one in pieces
    )
    assert body == expected


def test_a_chunked_upload_that_is_not_framed_as_it_says_never_completes(recording, recorder):
    before = len(recorder.requests)
    extra = "Content-Encoding: aws-chunked\r\nContent-Length: 30\r\n\r\n" + "x" * 30
    raw = head(payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD", extra=extra)
    assert parse(recording.tunnelled(f"{HOST}:443", raw))[0] == 400
    assert len(recorder.requests) == before


def test_a_body_too_long_to_be_hashed_is_413_before_it_is_read(recording):
    host = f"dynamodb.{REGION}.amazonaws.com"
    raw = head("dynamodb", host, "/", extra=f"Content-Length: {1 << 30}\r\n\r\n")
    assert parse(recording.tunnelled(f"{host}:443", raw))[0] == 413
    many = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with contextlib.suppress(OSError), recording.connect(f"{host}:443") as sock:
        sock.sendall(head("dynamodb", host, "/", extra="Transfer-Encoding: chunked\r\n\r\n"))
        with contextlib.suppress(OSError):
            for _ in range(18):
                sock.sendall(many)
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")
