"""Kinds of credentials in a policy: what each needs, what it has no use for, how its parts are written."""

import pytest

from ringfence.policy import kinds, model
from ringfence.policy.forms import FORMS


def problems(**credential):
    return [problem for problem, _ in kinds.check({"source": "env:K", "host": "a.example", **credential})]


def test_every_field_belongs_to_every_kind_or_to_named_ones():
    named = {field for needed, allowed in kinds.KINDS.values() for field in (*needed, *allowed)}
    assert named | kinds.COMMON == FORMS[model.Credential].keys() | {"origin"}
    assert not named & kinds.COMMON


def test_a_plain_credential_needs_only_source_and_host():
    assert problems() == []
    assert list(kinds.check({})) == [
        ("has no `source`", "add `source` to `[…]`"),
        ("has no `host`", "add `host` to `[…]`"),
    ]


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("query", "field"),
        ("cookie", "field"),
        ("placeholder", "places"),
        ("oauth", "token_url"),
        ("github-app", "app"),
        ("github-app", "installation"),
    ],
)
def test_what_a_kind_needs_is_missed(kind, field):
    assert f"has no `{field}`, which the kind `{kind}` needs" in problems(kind=kind)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("header", "places", ("header:x",)),
        ("basic", "header", "x-key"),
        ("aws", "prefix", "Bearer "),
        ("header", "user", "me"),
        ("mtls", "scopes", ("a",)),
    ],
)
def test_a_field_without_a_meaning_is_an_error(kind, field, value):
    told = problems(kind=kind, source="file:/k", **{field: value})
    assert told == [f"has `{field}`, which means nothing for the kind `{kind}`"]


def test_only_a_signature_goes_to_a_pattern_of_hosts():
    assert problems(kind="aws", host="*.amazonaws.com") == []
    assert problems(host="*.example.com") == ["names a pattern as its `host`"]


def test_plain_http_has_to_name_its_port():
    assert problems(schemes=("http",)) == ["is sent over plain http, but names no `port`"]
    assert problems(schemes=("http",), port=80) == []


def test_a_client_certificate_lies_in_a_file_and_needs_tls():
    assert len(problems(kind="mtls", schemes=("http",), port=80)) == 2
    assert problems(kind="mtls", source="file:/k") == []


@pytest.mark.parametrize(
    "source",
    ["dotenv:~/x", "dotenv:#A", "dotenv:rel#A", "dotenv:~/x#1a", "keyring:a", "keyring:/a", "keyring:a/",
     "systemd:a/b", "systemd:..", "vault:a", "vault:a//b#c", "vault:a/../b#c", "vault:/a/b", "vault:a/b?x#c",
     "aws-sm:", "safe:x", "env:"],
)  # fmt: skip
def test_a_malformed_source_is_refused(source):
    with pytest.raises(ValueError, match=r"."):
        FORMS[model.Credential]["source"].check(source)


@pytest.mark.parametrize(
    "source",
    ["dotenv:~/x/.env#A", "keyring:github.com/me", "systemd:api-key", "vault:secret/team/key#value",
     "vault:database/creds/role", "aws-sm:prod/key#token", "aws-sm:arn:aws:secretsmanager:eu-west-1:1:secret:a"],
)  # fmt: skip
def test_a_source_keeps_its_spelling(source):
    assert FORMS[model.Credential]["source"].check(source) == source


@pytest.mark.parametrize("place", ["header", "header:", "body:x", "json:a", "json:/a~2", "form:", "json:/a~"])
def test_a_malformed_place_is_refused(place):
    with pytest.raises(ValueError, match=r"."):
        kinds.place(place)


def test_places_have_one_spelling():
    assert kinds.place("header:X-Api-Key") == "header:x-api-key"
    assert kinds.place("json:/a~1b/~0c/0") == "json:/a~1b/~0c/0"


@pytest.mark.parametrize(
    "url",
    ["auth.example.com", "ftp://a.example/", "http://a.example/t", "https://u:p@a.example/t",
     "https://a.example/t?x=1", "https://a.example/t#f", "https://a.example/a b", "http://127.0.0.1.example/"],
)  # fmt: skip
def test_a_url_that_secrets_do_not_go_to_is_refused(url):
    with pytest.raises(ValueError, match=r"."):
        kinds.url(url)


def test_a_url_has_one_spelling():
    assert kinds.url("HTTPS://Auth.Example.com:443/token/") == "https://auth.example.com/token"
    assert kinds.url("http://127.0.0.1:8200") == "http://127.0.0.1:8200"


def test_each_kind_says_how_it_is_carried():
    for kind in kinds.KINDS:
        one = model.Credential(name="a", source="env:A", host="a.example", kind=kind)
        assert kinds.carried(one)


def test_the_variables_that_open_a_vault_stay_outside():
    assert "VAULT_TOKEN" in kinds.variables("vault:secret/a#b")
    assert kinds.variables("env:A") == ("A",)
    assert kinds.variables("file:/a") == ()
