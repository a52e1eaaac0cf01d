"""Tokens that the gate has issued: OAuth 2, GitHub Apps, Google service accounts; against issuers that check."""

import base64
import datetime as dt
import json
import os
import threading
import time
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from gates import OK, credential, rule

HOST, ISSUER = "api.example.com", "auth.example.com"
URL = f"https://{ISSUER}/oauth/token"
CLIENT = {"client_id": "agent-client", "client_secret": "client-canary-secret-0001"}


class Issuer:
    """A token endpoint with rotation and reuse detection, as the answer of an upstream."""

    def __init__(self, *, life=3600, rotate=True):
        self.life = life
        self.rotate = rotate
        self.calls = []  # (path, fields, form or JSON)
        self.valid = set()
        self.refresh = "refresh-canary-token-0"
        self.reused = 0
        self.answer_with = None
        self._lock = threading.Lock()

    def answer(self, sock, head, body):
        first, *lines = head.decode().rstrip("\r\n").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        kind = fields.get("content-type", "")
        data = json.loads(body) if "json" in kind else {k: v[0] for k, v in parse_qs(body.decode()).items()}
        with self._lock:
            self.calls.append((first.split(" ")[1], fields, data))
            status, answer = self.answer_with or self.issue(data, fields)
        text = json.dumps(answer).encode()
        sock.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text))

    def issue(self, data, _fields):
        answer = {"token_type": "Bearer", "expires_in": self.life}
        if data["grant_type"] == "refresh_token":
            if data["refresh_token"] != self.refresh:
                self.reused += 1
                return 400, {"error": "invalid_grant", "error_description": "leak " + data["refresh_token"]}
            if self.rotate:
                self.refresh = f"refresh-canary-token-{len(self.calls)}"
                answer["refresh_token"] = self.refresh
        token = f"access-canary-token-{len(self.calls)}"
        self.valid.add(token)
        return 200, {**answer, "access_token": token}


@pytest.fixture
def issuer(serve):
    made = Issuer()
    made.upstream = serve(ISSUER, answer=made.answer)
    return made


@pytest.fixture
def api(serve, issuer):
    """An API that takes only tokens that the issuer has issued."""

    def answer(sock, head, _):
        token = head.partition(b"authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
        sock.sendall(OK if token in issuer.valid else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

    return serve(HOST, answer=answer)


@pytest.fixture
def session(start, api, issuer):
    def begin(environment=None, **fields):
        fields = {"kind": "oauth", "token_url": URL, "source": "env:CLIENT", **fields}
        return start(
            allow=(rule(HOST), rule(ISSUER)),
            static=((HOST, api.address), (ISSUER, issuer.upstream.address)),
            credentials=(credential(HOST, **fields),),
            environment={"CLIENT": json.dumps(CLIENT)} if environment is None else environment,
        )

    return begin


def get(gate, **more):
    return gate.ask(f"{HOST}:443", **more)[0]


def bare(gate, *secrets):
    """Check that nothing of a session's artefacts holds a secret."""
    gate.stop()
    with open(gate.audit_path, encoding="utf-8") as file:
        text = file.read() + gate.stderr
    assert "canary" not in text
    for one in secrets:
        assert one not in text


# --- client credentials


def test_a_client_gets_a_token_and_keeps_it_while_it_lasts(session, issuer):
    gate = session(scopes=("read", "write"), audience="https://api")
    assert [get(gate, headers=[("Authorization", "Bearer mine")]) for _ in range(3)] == [200] * 3
    ((path, fields, form),) = issuer.calls
    assert path == "/oauth/token"
    assert fields["authorization"] == "Basic " + base64.b64encode(":".join(CLIENT.values()).encode()).decode()
    assert form == {"grant_type": "client_credentials", "scope": "read write", "audience": "https://api"}
    bare(gate)


def test_the_clients_secret_may_stand_in_the_body_or_bare_in_the_source(session, issuer):
    gate = session(
        {"S": CLIENT["client_secret"]}, source="env:S", client_id="agent-client", client_auth="body"
    )
    assert get(gate) == 200
    _, fields, form = issuer.calls[0]
    assert "authorization" not in fields
    assert form == {"grant_type": "client_credentials", **CLIENT}


def test_a_token_is_replaced_before_it_ends(session, issuer):
    issuer.life = 6
    gate = session()
    assert get(gate) == 200
    assert get(gate) == 200
    assert len(issuer.calls) == 1
    time.sleep(4.1)
    assert get(gate) == 200
    assert len(issuer.calls) == 2


@pytest.mark.guarantee("C9")
def test_a_revoked_token_is_replaced_at_the_next_request(session, issuer):
    gate = session()
    assert get(gate) == 200
    issuer.valid.clear()
    assert [get(gate), get(gate)] == [401, 200]


def test_many_requests_at_once_cause_one_call(session, issuer):
    gate = session()
    found = []
    threads = [threading.Thread(target=lambda: found.append(get(gate))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [200] * 10
    assert len(issuer.calls) == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            (400, {"error": "invalid_client", "error_description": "canary-echo"}),
            "status 400 (invalid_client)",
        ),
        ((401, {"error": "canary-unknown"}), "status 401"),
        ((200, {"access_token": ""}), "without `access_token`"),
        ((200, {"access_token": "a\r\nX-Evil: b"}), "holds a control character"),
        ((200, ["access_token"]), "something else than a JSON object"),
        ((302, {}), "redirects"),
    ],
)
def test_an_issuer_that_gives_no_token_is_told_without_its_words(session, issuer, answer, told):
    issuer.answer_with = answer
    gate = session()
    assert get(gate, headers=[("Authorization", "Bearer mine")]) == 401
    assert told in gate.wait_for("note")[0]["text"]
    bare(gate)


def test_an_issuer_whose_certificate_does_not_verify_gets_no_secret(start, api, serve):
    false = serve("elsewhere.example.com")
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, api.address), (ISSUER, false.address)),
        credentials=(credential(HOST, kind="oauth", token_url=URL, source="env:CLIENT"),),
        environment={"CLIENT": json.dumps(CLIENT)},
    )
    assert get(gate, headers=[("Authorization", "x")]) == 401
    assert "does not verify" in gate.wait_for("note")[0]["text"]
    assert false.seen == b""


# --- refresh tokens


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "login.json"
    path.write_text(json.dumps({"client_id": "agent", "refresh_token": "refresh-canary-token-0", "other": 1}))
    path.chmod(0o640)
    return path


REFRESHED = {"grant": "refresh_token", "client_auth": "none"}


def test_a_rotated_refresh_token_is_written_back_as_one_step(session, issuer, stored):
    gate = session(source=f"file:{stored}", **REFRESHED)
    assert get(gate) == 200
    assert json.loads(stored.read_text()) == {
        "client_id": "agent",
        "refresh_token": issuer.refresh,
        "other": 1,
    }
    assert stored.stat().st_mode & 0o777 == 0o640
    assert os.listdir(stored.parent) == ["login.json"]
    assert issuer.calls[0][2] == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-canary-token-0",
        "client_id": "agent",
    }
    issuer.valid.clear()
    assert [get(gate), get(gate)] == [401, 200]
    assert issuer.reused == 0
    bare(gate)


def test_two_sessions_that_refresh_at_once_never_use_a_token_twice(session, issuer, stored):
    issuer.life = 1
    gates = [session(source=f"file:{stored}", **REFRESHED) for _ in range(2)]
    found = []

    def use(gate):
        until = time.monotonic() + 4
        while time.monotonic() < until:
            found.append(get(gate))
            time.sleep(0.05)

    threads = [threading.Thread(target=use, args=(gate,)) for gate in gates for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(found) == {200}
    assert issuer.reused == 0
    assert 3 <= len(issuer.calls) <= 16  # each session's own token, not one for each other's
    assert json.loads(stored.read_text())["refresh_token"] == issuer.refresh


def test_a_refresh_token_that_cannot_be_written_back_is_kept_in_memory_and_that_is_told(session, issuer):
    gate = session({"R": "refresh-canary-token-0"}, source="env:R", client_id="agent", **REFRESHED)
    assert get(gate) == 200
    issuer.valid.clear()
    assert [get(gate), get(gate)] == [401, 200]
    assert issuer.reused == 0
    assert "kept in memory and lost at the end" in gate.wait_for("note")[0]["text"]
    bare(gate)


def test_a_refresh_token_whose_file_cannot_be_replaced_is_not_lost(issuer, stored, monkeypatch):
    from ringfence.credential.sources import Access
    from ringfence.credential.tokens import oauth
    from ringfence.credential.web import Answer

    class Direct:
        def ask(self, _method, _url, *, headers, body):
            del headers
            form = {name: value[0] for name, value in parse_qs(body.decode()).items()}
            status, answer = issuer.issue(form, {})
            issuer.calls.append(form)
            return Answer(status, json.dumps(answer).encode())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(oauth, "_replace", full)
    told = []
    access = Access({}, "", Direct())
    access.note = told.append
    one = credential(HOST, kind="oauth", token_url=URL, source=f"file:{stored}", **REFRESHED)
    for _ in range(3):
        oauth.mint(one, access)
    assert issuer.reused == 0
    assert "kept in memory" in told[0]


def test_the_agents_own_call_to_the_token_endpoint_gets_a_token_that_opens_nothing(session, issuer, stored):
    gate = session(source=f"file:{stored}", environment={}, **REFRESHED)
    body = b"grant_type=refresh_token&refresh_token=whatever"
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    status, _, answer = gate.ask(f"{ISSUER}:443", "POST", "/oauth/token", headers, body)
    assert status == 200
    found = json.loads(answer)
    assert found["token_type"] == "Bearer"
    assert "ringfence" in found["access_token"]
    assert issuer.calls == []
    assert gate.wait_for("verdict")[-1]["credential"].startswith("test ")
    assert get(gate, headers=[("Authorization", f"Bearer {found['access_token']}")]) == 200


def test_tokens_do_not_come_back_in_an_answer(start, serve, issuer, stored):
    def echo(sock, head, _):
        held = json.loads(stored.read_text())["refresh_token"].encode()
        text = head + held
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))

    api = serve(HOST, answer=echo)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, api.address), (ISSUER, issuer.upstream.address)),
        credentials=(credential(HOST, kind="oauth", token_url=URL, source=f"file:{stored}", **REFRESHED),),
    )
    status, _, body = gate.ask(f"{HOST}:443")
    assert status == 200
    assert b"canary" not in body
    assert b"authorization: Bearer ***" in body


# --- GitHub Apps and Google


def key_pair():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key.public_key(), pem.decode()


def claims(token, public):
    """Verify a token's signature; returns its header and claims."""
    head, body, signature = token.split(".")

    def part(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    public.verify(part(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(part(head)), json.loads(part(body))


class GitHub(Issuer):
    """GitHub's endpoint for installation tokens."""

    def __init__(self, public):
        super().__init__()
        self.public = public
        self.ends = dt.timedelta(hours=1)

    def issue(self, data, fields):
        header, found = claims(fields["authorization"].removeprefix("Bearer "), self.public)
        assert header["alg"] == "RS256"
        now = time.time()
        assert found["iss"] == "12345"
        assert found["iat"] < now < found["exp"] <= found["iat"] + 600
        token = f"ghs_canary{len(self.calls)}" + "x" * 500
        self.valid.add(token)
        ends = (dt.datetime.now(dt.UTC) + self.ends).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 201, {"token": token, "expires_at": ends, "permissions": data.get("permissions", {})}


@pytest.fixture
def github(serve, tmp_path):
    public, pem = key_pair()
    path = tmp_path / "app.pem"
    path.write_text(pem)
    path.chmod(0o600)
    made = GitHub(public)
    made.upstream = serve("api.github.com", "github.com", answer=made.answer)
    made.source = f"file:{path}"
    made.web = serve("github.com")
    return made


def app(github, host, **fields):
    return credential(
        host,
        kind="github-app",
        name=f"app-{host}".replace(".", "-"),
        source=github.source,
        app="12345",
        installation="678",
        **fields,
    )


def test_a_github_app_is_used_by_the_api_and_by_git_each_in_its_way(start, serve, github):
    api = serve("ghe.example.com")
    gate = start(
        allow=(rule("ghe.example.com"),),
        static=(("ghe.example.com", api.address), ("api.github.com", github.upstream.address)),
        credentials=(
            app(github, "ghe.example.com", repositories=("app",), permissions=(("contents", "write"),)),
        ),
    )
    assert (
        gate.ask(
            "ghe.example.com:443", path="/api/v3/repos/a/app", headers=[("Authorization", "token mine")]
        )[0]
        == 200
    )
    (token,) = github.valid
    assert f"\r\nauthorization: Bearer {token}".encode() in api.heads[-1]
    assert gate.ask("ghe.example.com:443", path="/a/app.git/info/refs?service=git-upload-pack")[0] == 200
    pair = base64.b64encode(f"x-access-token:{token}".encode())
    assert b"\r\nauthorization: Basic " + pair in api.heads[-1]
    ((path, _, asked),) = github.calls
    assert path == "/app/installations/678/access_tokens"
    assert asked == {"repositories": ["app"], "permissions": {"contents": "write"}}
    bare(gate)


def test_an_installation_token_is_replaced_five_minutes_before_its_end():
    from ringfence.credential.secret import Secret
    from ringfence.credential.tokens import Token

    assert Token(Secret("token", "x"), 3600).fresh_for == 3300
    assert Token(Secret("token", "x"), 60).fresh_for == 40


def test_a_key_that_is_none_is_told(start, serve, tmp_path):
    path = tmp_path / "app.pem"
    path.write_text("-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----\n")
    api = serve(HOST)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, api.address),),
        credentials=(credential(HOST, kind="github-app", source=f"file:{path}", app="1", installation="2"),),
    )
    assert get(gate, headers=[("Authorization", "x")]) == 401
    assert "holds no RSA private key" in gate.wait_for("note")[0]["text"]
    bare(gate)


class Google(Issuer):
    """Google's token endpoint."""

    def __init__(self, public):
        super().__init__()
        self.public = public

    def issue(self, data, _fields):
        assert data["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        header, found = claims(data["assertion"], self.public)
        assert header["kid"] == "key-1"
        assert found["iss"] == "robot@project.iam.gserviceaccount.com"
        assert found["aud"] == URL
        self.asked = found.get("scope"), found.get("target_audience")
        token = f"ya29.canary-{len(self.calls)}"
        self.valid.add(token)
        return 200, {"id_token" if self.asked[1] else "access_token": token, "expires_in": 3599}


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, ("https://www.googleapis.com/auth/cloud-platform", None)),
        ({"scopes": ("a", "b")}, ("a b", None)),
        ({"audience": "https://run.app"}, (None, "https://run.app")),
    ],
)
def test_a_google_service_account(start, serve, fields, asked):
    public, pem = key_pair()
    google = Google(public)
    account = {
        "type": "service_account",
        "client_email": "robot@project.iam.gserviceaccount.com",
        "private_key_id": "key-1",
        "private_key": pem,
        "token_uri": URL,
    }
    api, issuer = serve(HOST), serve(ISSUER, answer=google.answer)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, api.address), (ISSUER, issuer.address)),
        credentials=(credential(HOST, kind="google", source="env:KEY", **fields),),
        environment={"KEY": json.dumps(account)},
    )
    assert get(gate) == 200
    assert google.asked == asked
    assert f"authorization: Bearer {google.valid.pop()}".encode() in api.heads[-1]
    bare(gate, pem[40:100])
