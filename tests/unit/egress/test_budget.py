"""Budgets: requests and bytes of a session, by host, by suffix or of all hosts together."""

import pytest

from ringfence.egress.budget import DOWN, UP, Budgets
from ringfence.egress.refusal import Refusal, Refused
from ringfence.policy.model import Budget


def budgets(*given):
    return Budgets(Budget(name=f"b{number}", **one) for number, one in enumerate(given))


def test_the_last_request_passes_and_the_next_is_refused():
    made = budgets({"host": "api.test", "requests": 2})
    assert made.admit("api.test") is None
    assert made.admit("api.test") is None
    refused = made.admit("api.test")
    assert refused.status == 403
    assert refused.kind == "ringfence_budget"
    assert "2 requests for api.test is used up" in refused.message
    assert made.admit("other.test") is None


def test_a_refused_request_costs_nothing_elsewhere():
    made = budgets({"host": "api.test", "requests": 1}, {"requests": 3})
    assert made.admit("api.test") is None
    assert isinstance(made.admit("api.test"), Refusal)
    assert made.admit("b.test") is None
    assert made.admit("c.test") is None
    assert isinstance(made.admit("d.test"), Refusal)


def test_a_suffix_is_one_budget_for_all_its_hosts():
    made = budgets({"host": "*.test", "requests": 1})
    assert made.admit("a.test") is None
    assert isinstance(made.admit("b.test"), Refusal)


@pytest.mark.parametrize("what", [UP, DOWN])
def test_a_body_is_cut_where_the_budget_ends(what):
    made = budgets({"host": "api.test", what: 10})
    assert made.admit("api.test") is None
    meter = made.meter(what, "api.test")
    assert meter.feed(b"0123456789") == b"0123456789"
    with pytest.raises(Refused, match="10 bytes"):
        meter.feed(b"x")
    assert isinstance(made.admit("api.test"), Refusal)


def test_a_budget_used_to_the_last_byte_refuses_only_what_goes_beyond():
    made = budgets({UP: 10})
    made.meter(UP, "a.test").feed(bytes(10))
    assert made.admit("b.test") is None
    with pytest.raises(Refused):
        made.meter(UP, "b.test").feed(b"x")


def test_without_budgets_everything_is_admitted():
    assert not budgets()
    assert budgets().admit("a.test") is None
    assert budgets().meter(UP, "a.test") is None
    assert budgets({"host": "b.test", UP: 1}, {"requests": 9}).meter(UP, "a.test") is None


def test_what_stands_in_heads_counts_as_sent():
    """A query carries as much out as a body does."""
    made = budgets({UP: 100})
    assert made.admit("a.test", 60) is None
    assert "100 bytes sent" in made.admit("a.test", 60).message
    assert made.admit("a.test", 40) is None
    with pytest.raises(Refused):
        made.meter(UP, "a.test").feed(b"x")
