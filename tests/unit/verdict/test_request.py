"""Deciding: deny beats ask beats allow, and nothing is deny."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.model import ALLOW, ASK, DENY, EgressRule
from ringfence.verdict.request import Request, Rules, connect, decide, forbidden, opaque, reachable, vouched


def rule(host, **more):
    return EgressRule(host=host, **more)


def request(host="a.example.com", *, scheme="https", port=443, method="GET", paths=("/",)):
    return Request(scheme=scheme, host=host, port=port, method=method, paths=paths)


def effect(rules, **more):
    return decide(request(**more), rules).effect


def test_nothing_matched_is_deny():
    verdict = decide(request(), Rules(()))
    assert (verdict.effect, verdict.rule, verdict.reason) == (DENY, None, "no rule allows this")


def test_deny_beats_ask_beats_allow():
    one = rule("a.example.com")
    assert effect(Rules([one], [one], [one])) == DENY
    assert effect(Rules([one], [one])) == ASK
    assert effect(Rules([one])) == ALLOW


def test_a_suffix_means_strict_subdomains_by_label():
    rules = Rules([rule("*.example.com")])
    assert effect(rules, host="example.com") == DENY
    assert effect(rules, host="evilexample.com") == DENY
    assert effect(rules, host="example.com.evil.test") == DENY
    assert effect(rules, host="a.b.example.com") == ALLOW


def test_a_network_means_addresses_only():
    rules = Rules([rule("10.0.0.0/8")])
    assert effect(rules, host="10.9.8.7") == ALLOW
    assert effect(rules, host="11.0.0.1") == DENY
    assert effect(rules, host="10.example.com") == DENY


def test_no_ports_in_an_allow_rule_is_the_usual_port_of_each_scheme():
    rules = Rules([rule("a.example.com", schemes=("https", "http"))])
    assert effect(rules) == ALLOW
    assert effect(rules, scheme="http", port=80) == ALLOW
    assert effect(rules, port=80) == DENY
    assert effect(rules, scheme="http", port=443) == DENY
    assert effect(rules, port=8443) == DENY
    assert effect(Rules([rule("a.example.com")]), scheme="http", port=80) == DENY


def test_a_deny_rule_is_read_at_its_widest():
    allow = rule("a.example.com", schemes=("https", "http"), ports=(80, 443, 8443))
    rules = Rules([allow], (), [rule("a.example.com")])
    for scheme, port in (("https", 443), ("https", 8443), ("http", 80), ("http", 8443)):
        assert effect(rules, scheme=scheme, port=port) == DENY
    only_plain = Rules([allow], (), [rule("a.example.com", schemes=("http",))])
    assert effect(only_plain) == ALLOW
    assert effect(only_plain, scheme="http", port=80) == DENY
    assert effect(Rules([allow], (), [rule("a.example.com", ports=(8443,))])) == ALLOW


def test_methods_are_exact():
    rules = Rules([rule("a.example.com", methods=("GET",))])
    assert effect(rules) == ALLOW
    for method in ("POST", "HEAD", "get", "GETX"):
        assert effect(rules, method=method) == DENY


def test_an_allow_rule_needs_every_reading_of_a_path_and_a_deny_rule_one():
    paths = ("/public%2F..%2Fadmin", "/public/../admin", "/admin")
    assert effect(Rules([rule("a.example.com", paths=("/public*",))]), paths=paths) == DENY
    assert (
        effect(Rules([rule("a.example.com")], (), [rule("a.example.com", paths=("/admin",))]), paths=paths)
        == DENY
    )
    both = Rules([rule("a.example.com", paths=("/public*", "/public/../admin", "/admin"))])
    assert effect(both, paths=paths) == ALLOW


# --- before the request is known


def test_a_connection_is_possible_where_some_request_is():
    rules = Rules([rule("a.example.com", methods=("GET",), paths=("/x/**",))])
    assert connect("a.example.com", 443, rules).effect == ALLOW
    assert connect("a.example.com", 80, rules).effect == DENY
    assert connect("b.example.com", 443, rules).effect == DENY


def test_a_connection_is_denied_where_a_rule_denies_every_request():
    allow = rule("a.example.com")
    assert connect("a.example.com", 443, Rules([allow], (), [rule("*.example.com")])).effect == DENY
    assert (
        connect("a.example.com", 443, Rules([allow], (), [rule("a.example.com", paths=("/x",))])).effect
        == ALLOW
    )


def test_a_connection_is_asked_about_where_every_request_would_be():
    one = rule("a.example.com")
    assert connect("a.example.com", 443, Rules([one], [one])).effect == ASK
    assert connect("a.example.com", 443, Rules((), [rule("a.example.com", methods=("GET",))])).effect == ASK
    assert (
        connect("a.example.com", 443, Rules([one], [rule("a.example.com", methods=("PUT",))])).effect == ALLOW
    )


def test_what_is_not_seen_is_allowed_only_by_a_rule_that_needs_no_seeing():
    assert opaque("a.example.com", 443, Rules([rule("a.example.com")])).effect == ALLOW
    assert opaque("a.example.com", 443, Rules([rule("a.example.com", paths=("/x",))])).effect == DENY
    assert opaque("a.example.com", 443, Rules([rule("a.example.com", methods=("GET",))])).effect == DENY
    one = rule("a.example.com")
    assert (
        opaque("a.example.com", 443, Rules([one], (), [rule("a.example.com", paths=("/x",))])).effect == DENY
    )
    assert opaque("a.example.com", 443, Rules([one], [rule("a.example.com", methods=("PUT",))])).effect == ASK
    assert opaque("a.example.com", 8443, Rules([one])).effect == DENY


def test_a_name_resolves_where_some_rule_could_let_it_pass():
    rules = Rules(
        [rule("*.example.com")],
        [rule("b.test")],
        [rule("no.example.com"), rule("x.example.com", paths=("/y",))],
    )
    assert reachable("a.example.com", rules)
    assert reachable("x.example.com", rules)
    assert reachable("b.test", rules)
    assert not reachable("no.example.com", rules)
    assert not reachable("example.com", rules)
    assert not reachable("evil.test", rules)


def test_the_operator_vouches_for_addresses_by_naming_them():
    rules = Rules([rule("10.0.0.0/8"), rule("*.example.com")], (), [rule("10.9.0.0/16")])
    assert vouched("10.1.1.1", rules)
    assert not vouched("11.1.1.1", rules)
    assert not vouched("a.example.com", rules)
    assert forbidden("10.9.1.1", rules)
    assert not forbidden("10.1.1.1", rules)


# --- laws

HOSTS = st.sampled_from(
    ["a.example.com", "b.example.com", "*.example.com", "*.com", "c.test", "10.0.0.0/8", "10.1.2.3"]
)
RULES = st.builds(
    rule,
    HOSTS,
    ports=st.sampled_from([(), (443,), (80, 443)]),
    schemes=st.sampled_from([("https",), ("http",), ("https", "http")]),
    methods=st.sampled_from([(), ("GET",), ("GET", "POST")]),
    paths=st.sampled_from([(), ("/x/**",), ("/x",)]),
)
REQUESTS = st.builds(
    Request,
    scheme=st.sampled_from(["https", "http"]),
    host=st.sampled_from(["a.example.com", "b.example.com", "c.test", "10.1.2.3", "d.test"]),
    port=st.sampled_from([80, 443, 8443]),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    paths=st.sampled_from([("/x",), ("/x/y",), ("/z",), ("/x", "/z")]),
)
SETS = st.tuples(st.lists(RULES, max_size=4), st.lists(RULES, max_size=3), st.lists(RULES, max_size=3))
ORDER = {DENY: 0, ASK: 1, ALLOW: 2}


@given(SETS, RULES, REQUESTS)
def test_adding_a_deny_or_an_ask_never_widens(sets, added, asked):
    allow, ask, deny = sets
    before = ORDER[decide(asked, Rules(allow, ask, deny)).effect]
    assert ORDER[decide(asked, Rules(allow, ask, [*deny, added])).effect] <= before
    after_ask = ORDER[decide(asked, Rules(allow, [*ask, added], deny)).effect]
    assert after_ask <= max(before, ORDER[ASK])


@given(SETS, REQUESTS)
def test_order_does_not_matter(sets, asked):
    one = Rules(*sets)
    other = Rules(*(list(reversed(part)) for part in sets))
    assert decide(asked, one).effect == decide(asked, other).effect


def test_a_question_about_plain_http_does_not_stop_tls_on_the_same_port():
    rules = Rules(
        allow=[EgressRule(host="a.test")], ask=[EgressRule(host="a.test", schemes=("http",), ports=(443,))]
    )
    assert connect("a.test", 443, rules).effect == ALLOW
    assert connect("a.test", 443, rules, ("http",)).effect == ASK


@given(SETS, REQUESTS)
def test_what_would_be_allowed_is_never_stopped_at_the_connection(sets, asked):
    rules = Rules(*sets)
    if decide(asked, rules).effect == ALLOW:
        assert connect(asked.host, asked.port, rules).effect == ALLOW
        assert reachable(asked.host, rules)


@given(SETS, REQUESTS)
def test_what_is_allowed_unseen_would_be_allowed_seen(sets, asked):
    rules = Rules(*sets)
    if opaque(asked.host, asked.port, rules).effect == ALLOW and asked.scheme == "https":
        assert decide(asked, rules).effect == ALLOW


@pytest.mark.parametrize("count", [10_000])
def test_many_rules_cost_no_more_than_few(count):
    rules = Rules(
        [rule(f"host{at}.example.com") for at in range(count)]
        + [rule(f"*.s{at}.test") for at in range(count)]
    )
    asked = request("a.b.s77.test")
    started = time.perf_counter()
    for _ in range(1000):
        decide(asked, rules)
    assert time.perf_counter() - started < 0.5
