"""`ringfence policy explain`: what the gate would say, by which rule, and where that stands."""

import json

import pytest

from ringfence.cli import run

POLICY = """\
use = ["anthropic", "github-push:acme/app@agent/*"]

[[egress.allow]]
host = "api.example.com"
methods = ["GET"]
query = ["page"]

[[egress.allow]]
host = "api.example.com"
paths = ["/graphql"]
graphql = ["query"]

[[egress.allow]]
host = "up.example.com"
max_body = "1K"

[[egress.allow]]
host = "db.example.com"
schemes = ["tcp"]
ports = [5432]

[[egress.ask]]
host = "pay.example.com"

[[egress.deny]]
host = "gist.github.com"
reason = "gists leak"
"""


@pytest.fixture(autouse=True)
def here(machine, monkeypatch):
    monkeypatch.chdir(machine.workspace)
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("config", "state", "cache"):
        monkeypatch.setenv(f"RINGFENCE_{name.upper()}_DIR", getattr(machine.host, f"{name}_dir"))
    monkeypatch.setenv("RINGFENCE_MANAGED_POLICY", machine.host.managed_policy)
    machine.user(POLICY)
    return machine


def explained(capsys, *words):
    status = run(["policy", "explain", *words])
    return status, capsys.readouterr().out.splitlines()


def test_a_denial_says_what_came_closest_and_what_would_allow_it(capsys):
    status, told = explained(capsys, "https://api.example.com/x?page=1&token=c2VjcmV0")
    assert status == 1
    assert told == [
        'deny: no rule allows this: query key "token" is not in the rule',
        "closest: GET https://api.example.com (query: page)",
        (
            "the operator can allow it: `ringfence run --allow 'GET api.example.com/x'`, or in the policy: "
            '[[egress.allow]] host = "api.example.com", methods = ["GET"], paths = ["/x"]'
        ),
    ]


def test_a_deny_rule_is_told_with_its_reason_and_line(here, capsys):
    status, told = explained(capsys, "https://gist.github.com/")
    path = f"{here.host.config_dir}/policy.toml"
    assert (status, told[:3]) == (
        1,
        ["deny: gists leak", "rule: https://gist.github.com  [user policy]", f"  at {path}:25"],
    )


def test_an_allowed_request_is_told_with_what_is_put_in(capsys):
    status, told = explained(capsys, "POST", "https://api.anthropic.com/v1/messages")
    assert (status, told[0]) == (0, "allow")
    assert told[1] == "rule: GET,HEAD,POST https://api.anthropic.com/v1/**  [preset anthropic]"
    assert told[2].endswith("/presets/anthropic.toml:3")
    assert told[3] == "puts in: anthropic in x-api-key (from env:ANTHROPIC_API_KEY, if there is one)"


def test_a_body_is_looked_into_as_the_gate_would(capsys, tmp_path):
    (tmp_path / "body").write_text('{"query": "mutation { createIssue { id } }"}')
    words = ("--header", "Content-Type: application/json", "--body", str(tmp_path / "body"))
    status, told = explained(capsys, *words, "https://api.example.com/graphql")
    assert status == 1
    assert told[0].endswith("the mutation field `createIssue` is not in the rule")
    (tmp_path / "body").write_text('{"query": "{ viewer { login } }"}')
    assert explained(capsys, *words, "https://api.example.com/graphql")[0] == 0


def test_what_is_not_seen_beforehand_is_said(capsys):
    status, told = explained(
        capsys, "--header", "Transfer-Encoding: chunked", "POST", "https://up.example.com/"
    )
    assert (status, told[-1]) == (0, "note: the body is cut off after 1024 bytes")
    status, told = explained(capsys, "tcp://db.example.com:5432")
    assert (status, told[-1]) == (0, "note: nobody looks into what flows there")
    status, told = explained(capsys, "tcp://db.example.com:22")
    assert (status, told[0]) == (1, "deny: no rule allows this")
    assert told[-1].endswith('host = "db.example.com", ports = [22], schemes = ["tcp"]')


def test_a_preset_with_an_argument_is_found_in_its_file(capsys):
    status, told = explained(capsys, "https://github.com/acme/app/info/refs?service=git-receive-pack")
    assert status == 0
    assert told[1].endswith("[preset github-push:acme/app@agent/*]")
    assert "/presets/github-push.toml:" in told[2]
    assert explained(capsys, "https://github.com/evil/x/info/refs?service=git-receive-pack")[0] == 1


def test_asking_has_a_status_of_its_own_and_programs_get_json(capsys):
    status, told = explained(capsys, "--json", "https://pay.example.com/")
    found = json.loads("\n".join(told))
    assert (status, found["verdict"], found["origin"]) == (3, "ask", "user policy")
    assert found["place"].endswith("policy.toml:22")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["ftp://x"],
        ["example.com"],
        ["tcp://x"],
        ["GET", "https://x", "y"],
        ["--x", "https://x"],
        ["G T", "https://x/"],
    ],
)
def test_what_is_no_request_is_a_usage_error(words):
    assert run(["policy", "explain", *words]) == 2


def test_what_the_gate_cannot_read_is_denied(capsys):
    status, told = explained(capsys, "https://a..b/")
    assert (status, told[0]) == (1, "deny: the destination is not a host: a host name has no empty label")


def test_help_says_the_statuses(capsys):
    assert run(["policy", "explain", "--help"]) == 0
    assert "0 allow, 1 deny, 3 ask" in capsys.readouterr().out


def test_raw_tcp_and_a_credential_do_not_share_a_port(here, capsys):
    here.user(POLICY + '[credentials.db]\nsource = "env:DB"\nhost = "db.example.com"\nport = 5432\n')
    assert run(["policy", "check"]) == 1
    assert "a rule for `tcp` lets raw bytes pass" in capsys.readouterr().err
