"""The SigV4 signer: AWS's published examples, botocore as the reference, chunks, and the keys it reads."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.credential import inject, placeholder, sigv4
from ringfence.credential.inject import UnfitError
from ringfence.credential.inject.aws_chunks import CHUNK, Chunks
from ringfence.credential.secret import Document, SourceError
from ringfence.policy.model import Credential

botocore = pytest.importorskip("botocore", reason="botocore is the reference for signatures")

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TIME = "20130524T000000Z"
S3 = sigv4.Scope(date="20130524", region="us-east-1", service="s3")


def signed(scope=S3, time=TIME, payload=sigv4.EMPTY, **request):
    request = {"method": "GET", "path": "/", "query": "", "fields": [], **request}
    return sigv4.sign(sigv4.signing_key(SECRET, scope), scope, time, payload=payload, **request)[1]


# --- AWS's examples: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference

HOST = ("host", "examplebucket.s3.amazonaws.com")
COMMON = [HOST, ("x-amz-content-sha256", sigv4.EMPTY), ("x-amz-date", TIME)]


def test_the_example_get_object():
    fields = [*COMMON, ("range", "bytes=0-9")]
    expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert signed(path="/test.txt", fields=fields) == expected


def test_the_example_put_object():
    body = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()
    fields = [
        HOST,
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-content-sha256", body),
        ("x-amz-date", TIME),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ]
    expected = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    assert signed(method="PUT", path="/test%24file.text", fields=fields, payload=body) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_examples_with_a_query(query, expected):
    assert signed(query=sigv4.canonical_query(query), fields=COMMON) == expected


def chain(trailer=False):
    payload = inject.aws.STREAMING + ("-TRAILER" if trailer else "")
    fields = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-content-sha256", payload),
        ("x-amz-date", TIME),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        *([("x-amz-trailer", "x-amz-checksum-crc32c")] if trailer else [("content-length", "66824")]),
    ]
    path = "/examplebucket/chunkObject.txt"
    seed = signed(method="PUT", path=path, fields=fields, payload=payload)
    return seed, sigv4.Chain(sigv4.signing_key(SECRET, S3), S3, TIME, seed)


def test_the_example_of_a_body_signed_in_chunks():
    seed, links = chain()
    assert seed == "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    assert links.chunk(b"a" * 65536) == "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
    assert links.chunk(b"a" * 1024) == "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
    assert links.chunk(b"") == "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"


def test_the_example_of_a_body_signed_in_chunks_with_a_trailer():
    seed, links = chain(trailer=True)
    assert seed == "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    assert links.chunk(b"a" * 65536) == "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"
    assert links.chunk(b"a" * 1024) == "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"
    assert links.chunk(b"") == "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"
    trailer = links.trailer(b"x-amz-checksum-crc32c:sOO8/Q==\n")
    assert trailer == "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


# --- botocore

TEXT = st.text("abcXYZ019-_.~ /+%&=:'()*!@é", max_size=12)


def reference(method, url, headers, body, service):
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    request.context["timestamp"] = TIME
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    auth = kind(Credentials(ID, SECRET), service, "eu-west-1")
    request.headers["X-Amz-Date"] = TIME
    canonical = auth.canonical_request(request)
    return canonical, auth.signature(auth.string_to_sign(request, canonical), request)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(TEXT, max_size=3),
    st.lists(st.tuples(TEXT, TEXT), max_size=4),
    st.binary(max_size=20),
    st.sampled_from(["s3", "execute-api"]),
)
def test_it_signs_as_botocore_does(segments, pairs, body, service):
    from urllib.parse import quote

    path = "/" + "/".join(quote(one, safe="") for one in segments if one not in {"", ".", ".."})
    query = sigv4.canonical_query("&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs))
    hashed = hashlib.sha256(body).hexdigest()
    headers = {"content-type": "text/x;  a=b", "x-amz-meta-a": " two  words ", "x-amz-content-sha256": hashed}
    host = "bucket.s3.eu-west-1.amazonaws.com"
    url = f"https://{host}{path}?{query}" if query else f"https://{host}{path}"
    canonical, signature = reference("PUT", url, dict(headers), body, service)
    scope = sigv4.Scope(date=TIME[:8], region="eu-west-1", service=service)
    fields = [("Host", host), ("X-Amz-Date", TIME), *headers.items()]
    own, _ = sigv4.canonical_request("PUT", path, query, fields=fields, payload=hashed, service=service)
    assert own == canonical
    request = {"method": "PUT", "path": path, "query": query, "fields": fields}
    assert signed(scope, payload=hashed, **request) == signature


def test_queries_are_ordered_by_name_and_then_by_value():
    assert sigv4.canonical_query("b=2&a-b=1&a=2&a=1&c&d=%7e+x") == "a=1&a=2&a-b=1&b=2&c=&d=~%20x"


# --- keys


@pytest.mark.parametrize(
    "text",
    [
        f'{{"AccessKeyId": "{ID}", "SecretAccessKey": "{SECRET}", "SessionToken": "tok"}}',
        f'{{"Version": 1, "Credentials": {{"AccessKeyId": "{ID}", "SecretAccessKey": "{SECRET}", "SessionToken": "tok"}}}}',
        f'{{"aws_access_key_id": "{ID}", "aws_secret_access_key": "{SECRET}", "aws_session_token": "tok"}}',
        f"[default]\naws_access_key_id = {ID}\naws_secret_access_key={SECRET}\naws_session_token=tok\n[b]\nx=y",
        f"[only]\naws_access_key_id = {ID}\naws_secret_access_key={SECRET}\naws_session_token=tok\n",
        f"AWS_ACCESS_KEY_ID={ID}\nAWS_SECRET_ACCESS_KEY={SECRET}\nAWS_SESSION_TOKEN=tok\n",
    ],
)
def test_keys_are_read_as_awss_own_tools_write_them(text):
    found = sigv4.keys(text, "x")
    assert (found.id, found.secret, found.token) == (ID, SECRET, "tok")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{",
        "just-a-secret",
        f'{{"AccessKeyId": "{ID}"}}',
        f'{{"AccessKeyId": "{ID}", "SecretAccessKey": "a b c d e"}}',
        f'{{"AccessKeyId": "{ID}\\r\\nX: y", "SecretAccessKey": "{SECRET}"}}',
        f"[a]\naws_access_key_id={ID}\naws_secret_access_key={SECRET}\n[b]\nx=y",
    ],
)
def test_what_holds_no_key_is_refused_without_showing_it(text):
    with pytest.raises(SourceError) as error:
        sigv4.keys(text, "env:AWS")
    assert SECRET not in error.value.render()


# --- requests

CREDENTIAL = Credential(name="aws", source="env:AWS", host="*.amazonaws.com", kind="aws")
FAKE_ID, FAKE_SECRET = placeholder.access_key(CREDENTIAL)
STORED = Document(
    f'{{"AccessKeyId": "{ID}", "SecretAccessKey": "{SECRET}", "SessionToken": "real-token"}}', "x"
)


def test_the_placeholder_looks_like_an_access_key():
    assert FAKE_ID.startswith("AKIA")
    assert len(FAKE_ID) == 20
    assert FAKE_ID.isalnum()
    assert FAKE_ID.isupper() or FAKE_ID.isalnum()
    assert len(FAKE_SECRET) == 40
    assert not {FAKE_ID, FAKE_SECRET} & {ID, SECRET}
    given = Credential(
        name="aws",
        source="env:AWS",
        host="a.b",
        kind="aws",
        environment=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    )
    ours = placeholder.access_key(given)
    assert placeholder.variables(given) == dict(zip(given.environment, ours, strict=True))


def request(*fields, query="", identity=FAKE_ID, region="eu-west-1", service="s3", seal="0" * 64, **more):
    value = (
        f"AWS4-HMAC-SHA256 Credential={identity}/20130524/{region}/{service}/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={seal}"
    )
    head = [(b"Authorization", value.encode()), (b"X-Amz-Date", TIME.encode()), *fields]
    more = {"method": "PUT", "host": "b.s3.amazonaws.com", "path": "/k", "framing": 0, "fields": head, **more}
    return inject.Outgoing(scheme="https", port=443, query=query, **more)


def refusal(outgoing, credential=CREDENTIAL):
    with pytest.raises(UnfitError) as error:
        inject.apply(outgoing, credential, STORED)
    return error.value.message


def test_a_request_is_signed_anew_and_nothing_of_the_agents_signature_stays():
    outgoing = request((b"X-Amz-Security-Token", b"theirs"), (b"User-Agent", b"x"), query="?b=1&a=%7e")
    inject.apply(outgoing, CREDENTIAL, STORED)
    (value,) = outgoing.values(b"authorization")
    assert value.startswith(f"AWS4-HMAC-SHA256 Credential={ID}/20130524/eu-west-1/s3/aws4_request".encode())
    assert b"SignedHeaders=host;x-amz-date;x-amz-security-token, " in value
    assert outgoing.values(b"x-amz-security-token") == [b"real-token"]
    assert outgoing.query == "?a=~&b=1"
    assert FAKE_ID.encode() not in b"".join(text for _, text in outgoing.fields)


@pytest.mark.guarantee("C4")
@pytest.mark.parametrize(
    ("outgoing", "reason"),
    [
        (
            request(identity="AKIAANOTHERACCOUNTXX"),
            "signed with a key that is not this credential's placeholder",
        ),
        (request(identity=ID), "signed with a key that is not"),
        (request(fields=[]), "has no AWS signature"),
        (request(query="?X-Amz-Signature=abc"), "presigned"),
        (request(query="?x-amz-%41lgorithm=AWS4-HMAC-SHA256"), "presigned"),
        (request(query="?AWSAccessKeyId=x&Signature=y"), "presigned"),
        (request(fields=[(b"authorization", b"AWS AKIA:abc")]), "only SigV4"),
        (
            request(
                fields=[
                    (
                        b"authorization",
                        b"AWS4-ECDSA-P256-SHA256 Credential=A/20130524/s3/aws4_request, SignedHeaders=host, Signature=00",
                    )
                ]
            ),
            "only SigV4",
        ),
        (request((b"authorization", b"Bearer x")), "only SigV4"),
        (request((b"x-amz-date", b"20130524T000001Z")), "x-amz-date"),
        (request((b"x-amz-content-sha256", b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")), "content-sha256"),
        (request(service="sts"), "service sts"),
        (request(service="iam"), "service iam"),
    ],
)
def test_what_cannot_be_signed_anew_is_refused(outgoing, reason):
    assert reason in refusal(outgoing)


def test_regions_and_services_are_held_to_the_policy():
    narrow = Credential(
        name="aws",
        source="env:AWS",
        host="*.amazonaws.com",
        kind="aws",
        regions=("eu-west-1",),
        services=("s3", "sts"),
        placeholder=FAKE_ID,
    )
    assert "region us-east-1" in refusal(request(region="us-east-1"), narrow)
    assert "service dynamodb" in refusal(request(service="dynamodb"), narrow)
    for service in ("s3", "sts"):
        inject.apply(request(service=service), narrow, STORED)


def test_a_body_without_a_stated_hash_is_needed_whole():
    assert inject.needs_body(request(service="dynamodb", framing=5), CREDENTIAL)
    assert not inject.needs_body(request(service="dynamodb"), CREDENTIAL)
    assert not inject.needs_body(request((b"x-amz-content-sha256", b"0" * 64), framing=5), CREDENTIAL)


# --- bodies in chunks


def chunked(data, size, trailer=b"", last=b"0" * 64):
    out = b""
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        out += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), b"0" * 64, piece)
    end = b"%b\r\nx-amz-trailer-signature:%b\r\n" % (trailer, b"0" * 64) if trailer else b""
    return out + b"0;chunk-signature=" + last + b"\r\n" + end + b"\r\n"


def signer(trailer=False):
    return Chunks(chain(trailer=trailer)[1], trailer=trailer)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 100), st.integers(1, 50), st.booleans())
def test_chunks_are_signed_however_the_bytes_arrive_and_keep_their_length(data, size, step, trailed):
    body = chunked(data, size, b"x-amz-checksum-crc32:AAAAAA==" if trailed else b"")
    one = signer(trailed)
    out = b"".join(one.feed(body[at : at + step]) for at in range(0, len(body), step))
    one.finish()
    assert len(out) == len(body)
    assert b"0" * 64 not in out
    links = chain(trailer=trailed)[1]
    for at in range(0, len(data), size):
        assert b"chunk-signature=" + links.chunk(data[at : at + size]).encode() in out
    assert b"0;chunk-signature=" + links.chunk(b"").encode() in out
    if trailed:
        seal = links.trailer(b"x-amz-checksum-crc32:AAAAAA==\n").encode()
        assert out.endswith(b"x-amz-trailer-signature:" + seal + b"\r\n\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;chunk-signature=abc\r\nhello\r\n",
        chunked(b"hello", 5).replace(b"hello\r\n", b"hello!\r\n"),
        chunked(b"hello", 5) + b"x",
        b"x" * 400,
        b"-5;chunk-signature=" + b"0" * 64 + b"\r\n",
        chunked(b"hello", 5)[:-2] + b"GET /",
    ],
)
def test_a_body_that_is_not_framed_as_it_says_is_refused(body):
    with pytest.raises(UnfitError):
        passed(signer(), body)


def passed(one, body):
    out = one.feed(body)
    one.finish()
    return out


def test_a_body_that_ends_early_is_refused():
    body = chunked(b"hello", 5)
    for at in range(len(body)):
        one = signer()
        one.feed(body[:at])
        with pytest.raises(UnfitError):
            one.finish()


def test_a_chunk_larger_than_is_held_is_refused_at_its_first_line():
    with pytest.raises(UnfitError) as error:
        signer().feed(b"%x;chunk-signature=%b\r\n" % (CHUNK + 1, b"0" * 64))
    assert error.value.status == 413


# --- the rest of a request


def test_where_another_credential_is_used_the_agents_signature_goes_and_presigned_urls_are_refused():
    assert inject.carries(CREDENTIAL, [], "")
    assert inject.carried(CREDENTIAL) == ()
    outgoing = request((b"X-Amz-Security-Token", b"theirs"))
    inject.clear(outgoing, CREDENTIAL)
    assert [name for name, _ in outgoing.fields] == [b"X-Amz-Date"]
    with pytest.raises(UnfitError, match="presigned"):
        inject.clear(request(query="?X-Amz-Signature=x"), CREDENTIAL)


def test_keys_without_a_session_send_no_session_token_and_hosts_keep_their_port():
    plain = Document(f'{{"AccessKeyId": "{ID}", "SecretAccessKey": "{SECRET}"}}', "x")
    outgoing = request((b"x-amz-security-token", b"theirs"), host="::1")
    outgoing.port = 9000
    inject.apply(outgoing, CREDENTIAL, plain)
    assert outgoing.values(b"x-amz-security-token") == []
    assert inject.aws._signed(outgoing)[0] == ("host", "[::1]:9000")


def test_two_statements_about_a_body_are_refused():
    twice = [(b"x-amz-content-sha256", b"0" * 64)] * 2
    assert "content-sha256" in refusal(request(*twice))


@pytest.mark.parametrize(
    "body",
    [
        b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        b"x-amz-trailer-signature:%b\r\nx-amz-a:b\r\n\r\n" % (b"0" * 64),
        b"other:x\r\nx-amz-trailer-signature:%b\r\n\r\n" % (b"0" * 64),
        b"x" * 9000,
    ],
)
def test_trailing_headers_that_are_not_as_signed_are_refused(body):
    with pytest.raises(UnfitError):
        passed(signer(trailer=True), b"0;chunk-signature=" + b"0" * 64 + b"\r\n" + body)
