"""Each kind of credential at the gate: put in where it belongs, the agent's own removed or refused there."""

import base64
import datetime as dt
import gzip
import json
import os
import ssl
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from gates import OK, Upstream, credential, parse, rule

KEY = "canary-key-0123456789abcdef"
HOST = "api.example.com"


def placed(start, serve, *, answer=None, environment=None, **kind):
    """Return an upstream and a gate with one credential for it."""
    upstream = serve(HOST, answer=answer)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST, **kind),),
        environment={"TEST_KEY": KEY} if environment is None else environment,
    )
    return gate, upstream


def head(upstream):
    """Return the target and the fields of the last request."""
    first, *fields = upstream.heads[-1].decode("latin-1").split("\r\n")
    return first.split(" ")[1], sorted(one for one in fields if not one.startswith("Host: "))


def basic(pair):
    return "Basic " + base64.b64encode(pair.encode()).decode()


# --- bearer, basic, git


def test_a_bearer_token(start, serve):
    gate, upstream = placed(start, serve, kind="bearer")
    assert gate.ask(f"{HOST}:443", headers=[("Authorization", "Bearer mine")])[0] == 200
    assert head(upstream)[1] == [f"authorization: Bearer {KEY}"]


@pytest.mark.parametrize(
    ("user", "stored", "sent"),
    [("me", KEY, f"me:{KEY}"), ("", f"me:{KEY}", f"me:{KEY}"), ("", KEY, f"{KEY}:")],
)
def test_user_and_password(start, serve, user, stored, sent):
    gate, upstream = placed(start, serve, kind="basic", user=user, environment={"TEST_KEY": stored})
    assert gate.ask(f"{HOST}:443", headers=[("authorization", basic("me:mine"))])[0] == 200
    assert head(upstream)[1] == [f"authorization: {basic(sent)}"]


def test_the_encoded_password_does_not_come_back(start, serve):
    pair = base64.b64encode(f"me:{KEY}".encode())

    def echo(sock, *_):
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nX-Echo: Basic %b\r\nContent-Length: %d\r\n\r\n%b" % (pair, len(pair), pair)
        )

    gate, _ = placed(start, serve, kind="basic", user="me", answer=echo)
    _, headers, body = gate.ask(f"{HOST}:443")
    assert body == b"*" * len(pair)
    assert headers["x-echo"] == "Basic " + "*" * len(pair)


def test_git_gets_its_password_at_once_and_other_pages_none(start, serve):
    gate, upstream = placed(start, serve, kind="git", user="x")
    mine = [("Authorization", basic("x:mine"))]
    for path in (
        "/a/b.git/info/refs?service=git-upload-pack",
        "/a/b.git/git-receive-pack",
        "/a/b.git/info/lfs/objects/batch",
    ):
        gate.ask(f"{HOST}:443", path=path)
        assert head(upstream)[1] == [f"authorization: {basic(f'x:{KEY}')}"]
    for path in ("/a/b", "/settings/keys", "/a/b.git/info/refs"):
        assert gate.ask(f"{HOST}:443", path=path, headers=mine)[0] == 200
        assert head(upstream)[1] == []


def test_a_real_git_clones_and_pushes_without_a_credential(start, serve, tmp_path):
    repositories = GitServer(tmp_path, f"x-access-token:{KEY}")
    gate, _ = placed(start, serve, kind="git", answer=repositories.answer)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSL_CAINFO": gate.ca,
        "HTTPS_PROXY": "http://{}:{}".format(*gate.address),
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    }  # fmt: skip

    def git(*words):
        done = subprocess.run(
            ["git", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    here = str(tmp_path / "clone")
    git("clone", "-q", f"https://{HOST}/project.git", here)
    (tmp_path / "clone" / "f").write_text("x")
    git("-C", here, "add", "f")
    git("-C", here, "commit", "-qm", "a")
    git("-C", here, "push", "-q", "origin", "HEAD:main")
    assert "f" in subprocess.check_output(
        ["git", "-C", repositories.bare, "ls-tree", "--name-only", "main"], text=True
    )
    assert repositories.refused == 0, "the first request already carried the password"


class GitServer:
    """git's own http-backend behind a password, as the answer of an upstream."""

    def __init__(self, folder, pair):
        self.bare = str(folder / "srv" / "project.git")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.bare], check=True)
        subprocess.run(["git", "-C", self.bare, "config", "http.receivepack", "true"], check=True)
        self.root = os.path.dirname(self.bare)
        self.wanted = basic(pair)
        self.refused = 0

    def answer(self, sock, head, body):
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if fields.get("authorization") != self.wanted:
            self.refused += 1
            sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        if "chunked" in fields.get("transfer-encoding", ""):
            body = dechunked(body)
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_USER": "x",
            "CONTENT_TYPE": fields.get("content-type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": fields.get("content-encoding", ""),
            "GIT_PROTOCOL": fields.get("git-protocol", ""),
        }  # fmt: skip
        out = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
        ).stdout
        top, _, content = out.partition(b"\r\n\r\n")
        sock.sendall(
            b"HTTP/1.1 200 OK\r\n" + top + b"\r\nContent-Length: %d\r\n\r\n" % len(content) + content
        )


def dechunked(data):
    out = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        out += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :] if int(size, 16) else b""
    return out


# --- query and cookie


@pytest.mark.guarantee("C4")
@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("?key=mine", ""),
        ("?a=1&KEY=mine&key=mine2&b=2", "a=1&b=2"),
        ("?a=1&%6bey=mine", "a=1"),
        ("?%256bey=mine", ""),
        ("?a=1;key=mine&b", "b"),
        ("?a=1%26key=mine&b", "b"),
        ("?key[]=mine&key%5b%5d=x&%20key=y&b", "b"),
        ("?keys=1&akey=2&a=key", "keys=1&akey=2&a=key"),
    ],
)
def test_a_query_key(start, serve, query, kept):
    gate, upstream = placed(
        start, serve, kind="query", field="key", environment={"TEST_KEY": "a+b/c&d=e %"[:-2]}
    )
    assert gate.ask(f"{HOST}:443", path=f"/p{query}")[0] == 200
    assert head(upstream)[0] == f"/p?{kept + '&' if kept else ''}key=a%2Bb%2Fc%26d%3De"


def test_a_query_key_is_on_no_record(start, serve):
    gate, _ = placed(start, serve, kind="query", field="key")
    gate.ask(f"{HOST}:443", path="/p?a=1")
    assert gate.wait_for("verdict")[-1]["path"] == "/p?a=1"
    gate.stop()
    with open(gate.audit_path, encoding="utf-8") as file:
        assert KEY not in file.read() + gate.stderr


@pytest.mark.guarantee("C4")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([], ""),
        (["session=mine"], ""),
        (["a=1; session=mine; b=2", "session=mine"], "a=1; b=2; "),
        (['a="x; session=mine; b=2'], 'a="x; b=2; '),
        (["a=1, session=mine; b=2"], "b=2; "),
        (["a=1;SESSION=mine;$session=x; b=2"], "a=1; b=2; "),
        (["mysession=1; a=session"], "mysession=1; a=session; "),
    ],
)
def test_a_cookie(start, serve, sent, kept):
    gate, upstream = placed(start, serve, kind="cookie", field="session")
    assert gate.ask(f"{HOST}:443", headers=[("Cookie", one) for one in sent])[0] == 200
    assert head(upstream)[1] == [f"cookie: {kept}session={KEY}"]


def test_a_new_value_for_the_cookie_does_not_come_inside(start, serve):
    def renew(sock, *_):
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: session=fresh-secret; Path=/\r\nSet-Cookie: b=1\r\nContent-Length: 0\r\n\r\n"
        )

    gate, _ = placed(start, serve, kind="cookie", field="session", answer=renew)
    raw = gate.tunnelled(
        f"{HOST}:443", f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    )
    assert b"fresh-secret" not in raw
    assert b"Set-Cookie: b=1" in raw


# --- placeholders

FAKE = "sk-ringfence-placeholder-0001"
PLACES = ("header:x-api-key", "query:key", "json:/auth/token", "form:client_secret")


@pytest.fixture(scope="module")
def replaced(start, serve):
    return placed(start, serve, kind="placeholder", places=PLACES, placeholder=FAKE, name="sentinel")


JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def test_a_placeholder_is_replaced_in_its_places(replaced):
    gate, upstream = replaced
    assert (
        gate.ask(f"{HOST}:443", path=f"/?a=1&key={FAKE}", headers=[("X-Api-Key", f"Token {FAKE}")])[0] == 200
    )
    assert head(upstream) == (f"/?a=1&key={KEY}", [f"X-Api-Key: Token {KEY}"])
    body = f'{{"x": 1.0, "auth" : {{"token": "{FAKE}", "n": 1e400}}, "é": null}}'.encode()
    assert gate.ask(f"{HOST}:443", "POST", headers=[JSON], body=body)[0] == 200
    assert upstream.requests[-1][1] == body.replace(FAKE.encode(), KEY.encode())
    assert f"Content-Length: {len(body) - len(FAKE) + len(KEY)}" in head(upstream)[1]
    body = f"a=%20b&client_secret={FAKE}&c".encode()
    assert gate.ask(f"{HOST}:443", "POST", headers=[FORM], body=body)[0] == 200
    assert upstream.requests[-1][1] == f"a=%20b&client_secret={KEY}&c".encode()


def test_requests_without_the_placeholder_pass_as_they_are(replaced):
    gate, upstream = replaced
    assert gate.ask(f"{HOST}:443")[0] == 200
    body = b'{"auth": {"user": "x"}}'
    assert gate.ask(f"{HOST}:443", "POST", headers=[JSON], body=body)[0] == 200
    assert upstream.requests[-1][1] == body
    assert gate.ask(f"{HOST}:443", "POST", headers=[("Content-Type", "text/plain")], body=b"hello")[0] == 200


B64 = base64.b64encode(f"x{FAKE}".encode())


@pytest.mark.guarantee("C4")
@pytest.mark.guarantee("C8")
@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        # another account's key in a brokered place
        ("/", [("X-Api-Key", "another")], b""),
        ("/", [("X-Api-Key", FAKE), ("x-api-key", "another")], b""),
        ("/", [("X-Api-Key", f"{FAKE}x")], b""),
        ("/", [("X-Api-Key", f"a b {FAKE}")], b""),
        ("/?key=another", [], b""),
        (f"/?key={FAKE}&key=another", [], b""),
        (f"/?KEY={FAKE}", [], b""),
        ("/", [JSON], b'{"auth": {"token": "another"}}'),
        ("/", [JSON], b'{"auth": {"token": 5}}'),
        ("/", [JSON], b'{"auth": {"token": "%b", "token": "another"}}' % FAKE.encode()),
        ("/", [JSON], b'{"auth": {"token": "%b"}, "auth": {}}' % FAKE.encode()),
        ("/", [("Content-Type", "text/plain")], b'{"auth": {"token": "another"}}'),
        ("/", [FORM], b"client_secret=another"),
        ("/", [FORM], b"client_secret=%b&client_secret=another" % FAKE.encode()),
        # the placeholder where it is not replaced
        ("/", [("X-Other", FAKE)], b""),
        ("/", [("Cookie", f"a={FAKE}")], b""),
        ("/", [("Referer", f"https://x/?{FAKE}")], b""),
        (f"/{FAKE}", [], b""),
        (f"/?other={FAKE}", [], b""),
        ("/", [("X-Other", B64.decode())], b""),
        ("/", [("X-A", FAKE[:12]), ("X-B", FAKE[12:])], b""),
        ("/", [JSON], b'{"auth": {"token": "%b"}, "echo": "%b"}' % (FAKE.encode(), FAKE.encode())),
        ("/", [JSON], b'{"messages": "%b"}' % FAKE.encode()),
        ("/", [JSON], b'{"auth": {"token": "\\u0073k-ringfence-placeholder-0001"}}'),
        ("/", [JSON], b'{"messages": "%b"}' % B64),
        ("/", [("Content-Type", "text/plain")], b"x %b" % FAKE.encode()),
        ("/", [FORM], b"a=%b" % FAKE.encode()),
        # what cannot be looked into
        ("/", [JSON], b'{"auth": {"token": "%b"' % FAKE.encode()),
        ("/", [JSON], b"\xff\xfe{\x00}\x00"),
        ("/", [JSON], b"[" * 100_000),
    ],
)  # fmt: skip
def test_anything_else_is_refused_recorded_and_sent_to_nobody(replaced, path, headers, body):
    gate, upstream = replaced
    before = len(upstream.requests)
    status, _, answer = gate.ask(f"{HOST}:443", "POST", path=path, headers=headers, body=body)
    assert (status, json.loads(answer)["error"]["type"]) == (403, "ringfence_credential")
    assert len(upstream.requests) == before
    assert KEY.encode() not in answer
    assert gate.records("refused")[-1]["status"] == 403


def test_a_compressed_body_cannot_hold_a_place(replaced):
    gate, upstream = replaced
    before = len(upstream.requests)
    body = gzip.compress(b'{"auth": {"token": "another"}}')
    headers = [JSON, ("Content-Encoding", "gzip")]
    assert gate.ask(f"{HOST}:443", "POST", headers=headers, body=body)[0] == 415
    assert len(upstream.requests) == before


def test_a_chunked_body_is_framed_anew(replaced):
    gate, upstream = replaced
    body = f'{{"auth": {{"token": "{FAKE}"}}}}'.encode()
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7)
    )
    raw = (
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    found = gate.tunnelled(f"{HOST}:443", raw.encode(), chunks + b"0\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert upstream.requests[-1][1] == body.replace(FAKE.encode(), KEY.encode())


def test_a_body_longer_than_is_held_is_413(replaced):
    gate, _ = replaced
    raw = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {1 << 30}\r\n\r\n"
    assert parse(gate.tunnelled(f"{HOST}:443", raw.encode()))[0] == 413


def test_a_body_that_streams_by_is_cut_off_where_the_placeholder_shows_up(start, serve):
    gate, upstream = placed(start, serve, kind="placeholder", places=("header:x-api-key",), placeholder=FAKE)
    body = b"x" * 1000 + FAKE.encode() + b"y" * 1000
    assert gate.ask(f"{HOST}:443", "POST", headers=[("X-Api-Key", FAKE)], body=body)[0] == 403
    assert upstream.requests == []


# --- plain http


def test_plain_http_gets_a_secret_only_where_the_policy_names_it(start, serve):
    plain = serve("plain", tls=False)
    gates = {}
    for schemes in (("https",), ("http",)):
        gates[schemes] = start(
            allow=(rule(HOST, schemes=("http",)),),
            static=((HOST, plain.address),),
            credentials=(credential(HOST, port=80, schemes=schemes, header="x-key"),),
            environment={"TEST_KEY": KEY},
        )
    raw = f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    assert parse(gates["https",].converse(raw))[0] == 200
    assert KEY.encode() not in plain.seen
    assert parse(gates["http",].converse(raw))[0] == 200
    assert f"x-key: {KEY}" in head(plain)[1]


# --- client certificates


class Asking(Upstream):
    """An upstream that asks for a client certificate and remembers whose it was."""

    def __init__(self, context):
        self.peers = []
        super().__init__(context, self._note)

    def _note(self, sock, *_):
        name = dict(pair for part in sock.getpeercert()["subject"] for pair in part)["commonName"]
        self.peers.append(name)
        sock.sendall(OK)


def client_certificate(certificates, name):
    """Return a certificate for a client with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(certificates.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(certificates.key, hashes.SHA256())
    )
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.public_bytes(pem) + key.private_bytes(pem, kind, serialization.NoEncryption())


@pytest.fixture
def asking(certificates):
    context = certificates.context(HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca)
    made = Asking(context)
    yield made
    made.close()


def test_a_client_certificate_is_shown_and_a_renewed_one_from_the_next_request_on(
    start, certificates, asking, tmp_path
):
    path = tmp_path / "client.pem"

    def issue(name):
        path.write_bytes(client_certificate(certificates, name))
        path.chmod(0o600)

    issue("first.client")
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, asking.address),),
        credentials=(
            credential(HOST, name="certificate", kind="mtls", source=f"file:{path}"),
            credential(HOST, name="token", kind="bearer"),
        ),
        environment={"TEST_KEY": KEY},
    )
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert gate.ask(f"{HOST}:443")[0] == 200
    issue("second.client")
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert asking.peers == ["first.client", "first.client", "second.client"]
    assert f"authorization: Bearer {KEY}" in head(asking)[1]
    assert gate.records("verdict")[-1]["credential"] == "certificate+token"
    path.write_text("no certificate")
    path.chmod(0o600)
    assert gate.ask(f"{HOST}:443")[0] == 401


def test_without_a_certificate_the_upstream_refuses(start, asking):
    gate = start(allow=(rule(HOST),), static=((HOST, asking.address),))
    assert gate.ask(f"{HOST}:443")[0] == 502


# --- one fetch for many


def test_many_requests_at_once_run_a_slow_source_once_and_a_rotated_one_is_fetched_after_401(
    start, serve, tmp_path
):
    script = tmp_path / "give"
    script.write_text(
        f"#!/bin/sh\nsleep 0.5; echo x >> {tmp_path}/runs; echo secret-$(wc -l < {tmp_path}/runs)-\n"
    )
    script.chmod(0o755)
    good = [b"secret-1-"]

    def answer(sock, head, _):
        sock.sendall(OK if good[0] in head else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

    gate, _ = placed(start, serve, source=f"command:{script}", kind="bearer", answer=answer)
    found = []
    threads = [threading.Thread(target=lambda: found.append(gate.ask(f"{HOST}:443")[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [200] * 12
    assert (tmp_path / "runs").read_text() == "x\n"
    good[0] = b"secret-2-"
    assert [gate.ask(f"{HOST}:443")[0] for _ in range(2)] == [401, 200]
    assert (tmp_path / "runs").read_text() == "x\nx\n"


# --- several credentials of one host


@pytest.mark.guarantee("C4")
def test_the_places_of_a_credential_that_is_not_used_stay_empty(start, serve):
    upstream = serve(HOST)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(
            credential(HOST, name="a", kind="bearer"),
            credential(HOST, name="b", kind="query", field="key", source="env:B"),
            credential(HOST, name="c", kind="cookie", field="session", source="env:C"),
            credential(HOST, name="d", kind="placeholder", places=("header:x-d", "json:/d"), source="env:D"),
        ),
        environment={"TEST_KEY": KEY},
    )
    mine = [("Cookie", "session=mine; a=1"), ("Authorization", "mine")]
    assert gate.ask(f"{HOST}:443", path="/?key=mine&b=2", headers=mine)[0] == 200
    assert head(upstream) == ("/?b=2", [f"authorization: Bearer {KEY}", "cookie: a=1"])
    assert gate.ask(f"{HOST}:443", headers=[("X-D", "mine")])[0] == 403
    assert gate.ask(f"{HOST}:443", "POST", headers=[JSON], body=b'{"d": "mine"}')[0] == 403


def test_without_a_secret_nothing_is_sent_that_could_hold_a_key_in_its_body(start, serve):
    gate, upstream = placed(start, serve, kind="placeholder", places=("json:/d",), environment={})
    assert gate.ask(f"{HOST}:443", "POST", body=b'{"d": "mine"}')[0] == 401
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert len(upstream.requests) == 1


@pytest.mark.guarantee("C4")
def test_a_key_in_a_trailer_travels_no_further(replaced):
    gate, upstream = replaced
    raw = (
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close, TE\r\nTE: trailers\r\nContent-Type: text/plain\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Api-Key: another\r\nX-Sum: 1\r\n\r\n"
    )
    gate.tunnelled(f"{HOST}:443", raw.encode())
    assert b"another" not in upstream.seen
