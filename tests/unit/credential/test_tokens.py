"""Minted tokens without a gate: what is asked of the issuer, how long an answer holds, what is kept."""

import http.server
import json
import os
import threading
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ringfence.credential import tokens, web
from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.sources import Access
from ringfence.credential.tokens import oauth
from ringfence.credential.vault import Vault
from ringfence.policy.model import Credential


@pytest.fixture
def issuer():
    """An issuer on loopback: `calls` are what it was asked, `answers` what it says, one by one or the last."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            server.calls.append((self.path, dict(self.headers), body))
            status, answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.calls, server.answers = [], [(200, {"access_token": "token-1", "expires_in": 3600})]
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def credential(kind, source="env:S", **fields):
    return Credential(name="key", source=source, host="api.example", kind=kind, **fields)


def minted(one, secret="client-secret", **more):
    return tokens.mint(one, Access({"S": secret, **more}))


def asked(issuer):
    return {name: value[0] for name, value in parse_qs(issuer.calls[-1][2]).items()}


def test_a_clients_secret_is_sent_by_header_or_in_the_body(issuer):
    one = {"token_url": issuer.url + "/t", "client_id": "id", "scopes": ("a", "b"), "audience": "x"}
    made = minted(credential("oauth", **one))
    assert (made.secret.reveal_for_injection(), made.life, made.fresh_for) == ("token-1", 3600, 3300)
    assert [part.reveal_for_injection() for part in made.also] == ["client-secret"]
    assert issuer.calls[0][0] == "/t"
    assert issuer.calls[0][1]["Authorization"].startswith("Basic ")
    assert asked(issuer) == {"grant_type": "client_credentials", "scope": "a b", "audience": "x"}
    minted(credential("oauth", **one, client_auth="body"))
    assert asked(issuer)["client_secret"] == "client-secret"


@pytest.mark.parametrize(
    ("stored", "fields", "missing"),
    [
        ("{}", {"client_id": "id"}, "client_secret"),
        ("bare-secret", {}, "client_id"),
        ('{"client_id": "id"}', {"grant": "refresh_token"}, "refresh_token"),
        ('{"client_id": 1, "client_secret": 2}', {}, "client_id"),
    ],
)
def test_what_a_source_lacks_is_named(issuer, stored, fields, missing):
    with pytest.raises(SourceError, match=f"holds no `{missing}`"):
        minted(credential("oauth", token_url=issuer.url, **fields), stored)
    assert issuer.calls == []


def test_a_source_that_is_nearly_json_is_an_error():
    with pytest.raises(SourceError, match="no JSON"):
        minted(credential("oauth", token_url="http://127.0.0.1:1"), "{nearly")


@pytest.mark.parametrize(
    ("given", "life"),
    [({"expires_in": "120"}, 120), ({}, 3600), ({"expires_in": -1}, 3600), ({"expires_in": True}, 3600)],
)
def test_a_life_is_read_however_it_is_written(given, life):
    assert tokens.life(given) == life


def test_a_refresh_token_is_replaced_in_its_file_bare_or_in_json(issuer, tmp_path):
    issuer.answers = [
        (200, {"access_token": "token-1", "refresh_token": f"refresh-{n}"}) for n in range(1, 4)
    ]
    path = tmp_path / "login"
    one = credential(
        "oauth",
        f"file:{path}",
        token_url=issuer.url,
        client_id="id",
        grant="refresh_token",
        client_auth="none",
    )
    path.write_text("refresh-0\n")
    path.chmod(0o600)
    os.symlink(path, tmp_path / "link")
    minted(one)
    assert path.read_text() == "refresh-1\n"
    assert asked(issuer)["refresh_token"] == "refresh-0"
    path.write_text('{"refresh_token": "refresh-1", "kept": [1]}')
    minted(one)
    assert json.loads(path.read_text()) == {"refresh_token": "refresh-2", "kept": [1]}
    minted(
        credential(
            "oauth", f"file:{tmp_path}/link", token_url=issuer.url, client_id="id", grant="refresh_token"
        )
    )
    assert os.path.islink(tmp_path / "link")
    assert json.loads(path.read_text())["refresh_token"] == "refresh-3"
    assert sorted(os.listdir(tmp_path)) == ["link", "login"]


def test_a_file_that_is_gone_is_told(tmp_path):
    one = credential(
        "oauth", f"file:{tmp_path}/gone/x", token_url="http://127.0.0.1:1", grant="refresh_token"
    )
    with pytest.raises(SourceError, match="No such file"):
        minted(one)


def test_a_refresh_that_another_session_holds_is_waited_for_and_given_up(issuer, tmp_path, monkeypatch):
    path = tmp_path / "login"
    path.write_text("refresh-0")
    path.chmod(0o600)
    one = credential("oauth", f"file:{path}", token_url=issuer.url, client_id="id", grant="refresh_token")
    monkeypatch.setattr(oauth, "LOCK_TIME", 0.2)
    with oauth._locked(str(path), one), pytest.raises(SourceError, match="another session is refreshing it"):
        minted(one)
    assert minted(one).secret == Secret("token-1", "x")


def test_a_file_whose_replacement_fails_is_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "login"
    path.write_text("refresh-0")
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(5, "gone")))
    with pytest.raises(OSError, match="gone"):
        oauth._replace(str(path), "refresh-1")
    assert path.read_text() == "refresh-0"
    assert os.listdir(tmp_path) == ["login"]


def test_a_rotated_token_in_memory_gives_way_to_a_new_one_in_the_source(issuer):
    issuer.answers = [
        (200, {"access_token": "token-1", "refresh_token": f"refresh-{n}"}) for n in range(1, 5)
    ]
    one = credential("oauth", token_url=issuer.url, client_id="id", grant="refresh_token", client_auth="none")
    access = Access({"S": "refresh-0"})
    for used in ("refresh-0", "refresh-1"):
        tokens.mint(one, access)
        assert asked(issuer)["refresh_token"] == used
    access.environment = {"S": "signed-in-again"}
    tokens.mint(one, access)
    assert asked(issuer)["refresh_token"] == "signed-in-again"


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


def test_an_installation_token_is_asked_for_as_narrow_as_the_policy_says(issuer):
    issuer.answers = [(201, {"token": "ghs_" + "x" * 40, "expires_at": "not a time"})]
    one = {"app": "1", "installation": "2", "token_url": issuer.url + "/api/v3"}
    made = minted(
        credential("github-app", **one, repositories=("a",), permissions=(("contents", "read"),)), pem(RSA)
    )
    assert made.life == 3600
    path, fields, body = issuer.calls[-1]
    assert path == "/api/v3/app/installations/2/access_tokens"
    assert fields["Authorization"].startswith("Bearer ey")
    assert json.loads(body) == {"repositories": ["a"], "permissions": {"contents": "read"}}
    minted(credential("github-app", **one), pem(RSA))
    assert json.loads(issuer.calls[-1][2]) == {}
    issuer.answers = [(200, {"token": "x"})]
    with pytest.raises(SourceError, match="issued no installation token: status 200"):
        minted(credential("github-app", **one), pem(RSA))


@pytest.mark.parametrize("key", ["nonsense", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_is_not_rsa_is_refused(key):
    with pytest.raises(SourceError, match="no RSA private key"):
        minted(credential("github-app", app="1", installation="2"), key)


def account(issuer, **changes):
    return json.dumps({"client_email": "a@b", "private_key": pem(RSA), "token_uri": issuer.url, **changes})


def test_a_service_account_asks_at_its_own_endpoint(issuer):
    assert minted(credential("google"), account(issuer)).secret == Secret("token-1", "x")
    assert asked(issuer)["grant_type"].endswith("jwt-bearer")
    issuer.answers = [(200, {"id_token": "identity"})]
    one = credential("google", audience="https://run", token_url=issuer.url + "/other")
    assert minted(one, account(issuer, private_key_id="k")).secret == Secret("identity", "x")
    assert issuer.calls[-1][0] == "/other"
    issuer.answers = [(400, {"error": "invalid_grant"})]
    with pytest.raises(SourceError, match=r"status 400 \(invalid_grant\)"):
        minted(credential("google"), account(issuer))


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("[]", "no service account's key file"),
        ("nonsense", "no service account's key file"),
        ('{"client_email": "a"}', "no service account's key file"),
        ('{"client_email": "a", "private_key": "b", "token_uri": "http://evil.example/"}', "token_uri"),
    ],
)
def test_a_key_file_that_is_none_is_refused(stored, told):
    with pytest.raises(SourceError, match=told):
        minted(credential("google"), stored)


# --- the vault that keeps them


def test_a_vault_mints_once_and_uses_a_token_on_while_its_issuer_is_away(issuer):
    one = credential("oauth", token_url=issuer.url, client_id="id")
    vault, told = Vault({"S": "client-secret"}), []
    vault.access.note = told.append
    assert vault.get(one) == vault.get(one)
    assert len(issuer.calls) == 1
    assert {part.reveal_for_injection() for part in vault.every()} == {"token-1", "client-secret"}
    vault._held["key"].until = 0.0
    issuer.answers = [(503, {})]
    assert vault.get(one) == Secret("token-1", "x")
    assert "used until it ends" in told[0]
    vault._held["key"].until = vault._held["key"].dies = 0.0
    with pytest.raises(SourceError, match="status 503"):
        vault.get(one)
    issuer.answers = [(200, {"access_token": "token-2"})]
    assert vault.get(one) == Secret("token-2", "x")
    assert Secret("token-1", "x") in vault.every()


# --- calls


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((302, b""), "redirects"),
        ((200, b"x" * (web.ANSWER_LIMIT + 1)), "malformed or too long"),
    ],
)
def test_an_answer_that_leads_on_or_never_ends_is_an_error(issuer, answer, told):
    issuer.answers = [answer]
    with pytest.raises(SourceError, match=told):
        web.Web().ask("POST", issuer.url, headers={})


def test_a_call_takes_no_longer_than_it_may(issuer, monkeypatch):
    monkeypatch.setattr(web, "TIME_LIMIT", 0.0)
    with pytest.raises(SourceError, match="no answer within"):
        web.Web().ask("GET", issuer.url, headers={})


def test_static_names_count_and_an_authority_that_is_not_there_is_told(issuer):
    place = f"127.0.0.1:{issuer.server_port}"
    assert (
        web.Web(static=(("localhost", place),)).ask("GET", "http://localhost/x?y=z", headers={}).status == 200
    )
    assert issuer.calls[-1][0] == "/x?y=z"
    with pytest.raises(SourceError, match="authority file /nowhere cannot be used"):
        web.Web(extra_ca=("/nowhere",)).ask("GET", "https://localhost/", headers={})
    with pytest.raises(SourceError, match="over plain http"):
        web.Web().ask("GET", "http://example.com/", headers={})


def test_an_error_shows_a_status_and_known_words_only():
    assert web.Answer(400, b'{"error": "invalid_grant"}').why() == "status 400 (invalid_grant)"
    for body in (b'{"error": "my-secret"}', b'{"error": {"a": 1}}', b"[]", b"my-secret"):
        assert web.Answer(400, body).why() == "status 400"
