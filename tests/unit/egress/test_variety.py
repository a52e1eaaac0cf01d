"""Names below a wildcard are counted once each, up to a limit, and only where no rule spells them out."""

import pytest

from ringfence.egress.variety import Variety
from ringfence.policy.model import EgressRule, Watch
from ringfence.verdict.request import Rules

RULES = Rules(
    (
        EgressRule(host="*.example.com"),
        EgressRule(host="known.example.com"),
        EgressRule(host="*.b.example.com"),
    )
)


def counting(**watch):
    told = []
    made = Variety(told.append)
    made.limit(Watch(**watch))
    return made, told


def outcomes(made, *hosts, rules=RULES):
    return [made.admit(host, rules) is None for host in hosts]


def test_one_name_too_many_is_refused_and_those_before_it_still_work():
    made, told = counting(names=2)
    hosts = [f"{name}.example.com" for name in "xyzxyw"]
    assert outcomes(made, *hosts) == [True, True, False, True, True, False]
    assert len(told) == 1
    assert told[0].endswith("no new one is let through (watch.names = 2)")


def test_a_refusal_says_which_limit_and_what_to_do():
    made, _ = counting(names=1)
    made.admit("a.example.com", RULES)
    refused = made.admit("b1.example.com", RULES)
    assert (refused.status, refused.kind, refused.host) == (403, "ringfence_names", "b1.example.com")
    assert refused.rule == "policy: [watch] names = 1"
    assert "raise `names` in the policy's [watch]" in refused.how


def test_the_bytes_before_the_suffix_count_together():
    made, _ = counting(names=None, name_bytes=70)
    assert outcomes(
        made, "a" * 60 + ".example.com", "b" * 11 + ".example.com", "c" * 10 + ".example.com"
    ) == [
        True,
        False,
        True,
    ]


def test_what_a_rule_spells_out_and_what_is_below_no_wildcard_does_not_count():
    made, _ = counting(names=1)
    rules = Rules(
        (*(entry.rule for entry in RULES.allow.about("known.example.com")), EgressRule(host="z.test"))
    )
    assert outcomes(made, "a.example.com", "known.example.com", "z.test", "y.test", rules=rules) == [True] * 4
    assert outcomes(made, "c.example.com", rules=rules) == [False]


def test_a_name_counts_below_each_of_its_wildcards_or_below_none():
    made, _ = counting(names=2)
    assert outcomes(made, "1.b.example.com", "2.b.example.com", "3.b.example.com") == [True, True, False]
    assert outcomes(made, "x.example.com") == [False]
    rules = Rules((EgressRule(host="*.b.example.com"),))
    assert outcomes(made, "3.b.example.com", rules=rules) == [False]


def test_nothing_is_remembered_beyond_the_limit():
    made, _ = counting(names=10)
    for number in range(1000):
        made.admit(f"{number}.example.com", RULES)
    assert sum(len(one.names) for one in made._below.values()) == 10


def test_without_limits_nothing_is_remembered():
    made, _ = counting(names=None, name_bytes=None)
    assert all(outcomes(made, *(f"{number}.example.com" for number in range(2000))))
    assert made._below == {}


@pytest.mark.parametrize("name", ["names", "name_bytes"])
def test_other_limits_count_on_from_what_was_used(name):
    made, _ = counting()
    assert all(outcomes(made, *(f"{number}.example.com" for number in range(100))))
    made.limit(Watch(**{name: 100}))
    assert outcomes(made, "5.example.com", "new.example.com") == [True, False]


def test_ordinary_use_does_not_meet_the_usual_limits():
    made, told = counting()
    buckets = [f"some-team-artifacts-{number:04}.example.com" for number in range(900)]
    assert all(outcomes(made, *buckets))
    assert told == []
