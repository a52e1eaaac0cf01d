"""Putting a secret into a header: the agent's own is removed first, whatever it looks like."""

import pytest

from ringfence.credential import inject
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

SECRET = Secret("real-key", "env:KEY")


def apply(headers, one, secret):
    outgoing = inject.Outgoing(
        method="GET",
        scheme="https",
        host="api.example",
        port=443,
        path="/",
        query="",
        fields=headers,
        framing=0,
    )
    inject.apply(outgoing, one, secret)
    return outgoing.fields


def credential(**fields):
    return Credential(name="key", source="env:KEY", host="api.example", **fields)


def test_the_secret_comes_last_behind_its_prefix():
    headers = [(b"host", b"api.example"), (b"accept", b"*/*")]
    assert apply(headers, credential(prefix="Bearer "), SECRET) == [
        *headers,
        (b"authorization", b"Bearer real-key"),
    ]


@pytest.mark.guarantee("C4")
@pytest.mark.parametrize("name", [b"x-api-key", b"X-Api-Key", b"X-API-KEY", b" x-api-key", b"x-api-key\t"])
def test_every_copy_of_the_agents_own_is_removed(name):
    headers = [(name, b"placeholder"), (b"a", b"1"), (name, b"another"), (b"x-api-key", b"")]
    assert apply(headers, credential(header="X-Api-Key"), SECRET) == [
        (b"a", b"1"),
        (b"x-api-key", b"real-key"),
    ]


def test_other_ways_to_present_a_credential_are_stripped_too():
    headers = [(b"Authorization", b"Bearer mine"), (b"Cookie", b"session=mine"), (b"a", b"1")]
    changed = apply(headers, credential(header="x-api-key", strip=("authorization", "COOKIE")), SECRET)
    assert changed == [(b"a", b"1"), (b"x-api-key", b"real-key")]


def test_headers_with_a_similar_name_stay():
    headers = [(b"x-authorization", b"1"), (b"authorization-info", b"2")]
    assert apply(headers, credential(), SECRET)[:2] == headers


def test_the_agents_headers_are_not_changed_in_place():
    headers = [(b"authorization", b"mine")]
    apply(headers, credential(), SECRET)
    assert headers == [(b"authorization", b"mine")]


def test_latin_1_goes_out_as_latin_1():
    assert apply([], credential(), Secret("ääää", "env:KEY"))[-1] == (b"authorization", b"\xe4" * 4)
