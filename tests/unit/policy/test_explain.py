"""A policy as text."""

import pytest

from ringfence.policy.explain import lines, printable, rule, size
from ringfence.policy.model import Egress, EgressRule, Limits, Policy, Watch, Workspace


def test_nothing_allowed_is_said_in_so_many_words():
    assert lines(Policy(digest="ab" * 32, workspace=Workspace(mode="direct"))) == [
        "policy abababababab",
        "presets: none",
        "tier: sandbox",
        "workspace: direct",
        "egress: nothing",
        "limits: processes 4096",
    ]
    assert lines(Policy(limits=Limits(processes=None)))[-1] == "limits: none"


@pytest.mark.parametrize(
    ("watch", "told"),
    [
        (Watch(names=5), "below one wildcard: at most 5 names, 32768 bytes of names"),
        (Watch(names=None), "below one wildcard: at most 32768 bytes of names"),
        (Watch(names=None, name_bytes=None), "below one wildcard: any number of names"),
    ],
)
def test_other_limits_of_names_than_the_usual_are_told(watch, told):
    assert told in lines(Policy(watch=watch))


def test_denials_stand_before_what_they_beat():
    policy = Policy(
        egress=Egress(
            allow=(EgressRule(host="a.test", origin="user policy"),), deny=(EgressRule(host="*.a.test"),)
        )
    )
    told = lines(policy)
    assert told.index("  deny  https://*.a.test") < told.index("  allow https://a.test  [user policy]")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (EgressRule(host="a.test"), "https://a.test"),
        (EgressRule(host="::1", ports=(8443,), methods=("GET", "HEAD")), "GET,HEAD https://[::1]:8443"),
        (EgressRule(host="fd00::/8", schemes=("http",)), "http://fd00::/8"),
        (
            EgressRule(host="a.test", paths=("/a", "/b"), private=True),
            "https://a.test/a https://a.test/b (may be private)",
        ),
    ],
)
def test_a_rule_is_told_in_its_short_form(given, text):
    assert rule(given) == text


def test_what_the_policy_holds_does_not_reach_the_terminal_as_it_is():
    assert printable("a\x1b[2J\u202eb") == "a\\u001b[2J\\u202eb"
    policy = Policy(workspace=Workspace(mask=("\x9b",)), notes=("see \x07",))
    assert "note: see \\u0007" in lines(policy)
    assert all(line.isprintable() for line in lines(policy))


def test_sizes_are_told_as_they_are_written():
    assert [size(number) for number in (2**31, 1536 * 2**20, 1000, 2**10)] == ["2G", "1536M", "1000", "1K"]
