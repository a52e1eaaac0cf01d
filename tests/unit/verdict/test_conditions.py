"""Conditions where a table is not enough: limits, opaque connections, connections before requests, and cost."""

import statistics
import time

import pytest

from ringfence.policy.model import ALLOW, ASK, DENY, EgressRule
from ringfence.value import replace
from ringfence.verdict.facts import Facts, GraphQL, Operation, Unread
from ringfence.verdict.request import (
    INSPECT,
    UNKNOWN,
    Request,
    Rules,
    connect,
    decide,
    opaque,
    opaque_tcp,
    reachable,
)

HOST = "a.test"
WHOLE = EgressRule(host=HOST)
CONDITIONED = [
    EgressRule(host=HOST, query=("x",)),
    EgressRule(host=HOST, headers=("x",)),
    EgressRule(host=HOST, content_types=("text/plain",)),
    EgressRule(host=HOST, max_body=1),
    EgressRule(host=HOST, graphql=("query",)),
    EgressRule(host=HOST, git=("fetch *",)),
]
IDS = ["query", "headers", "content_types", "max_body", "graphql", "git"]


def request(**more):
    plain = {"scheme": "https", "host": HOST, "port": 443, "method": "POST", "paths": ("/graphql",)}
    return Request(**{**plain, **more})


# --- what is not seen


@pytest.mark.parametrize("rule", CONDITIONED, ids=IDS)
def test_a_rule_with_a_condition_lets_nothing_pass_unseen(rule):
    assert opaque(HOST, 443, Rules([rule])).effect == DENY
    assert opaque(HOST, 443, Rules([WHOLE], (), [rule])).effect == DENY
    assert opaque(HOST, 443, Rules([WHOLE], [rule])).effect == ASK


@pytest.mark.parametrize("rule", CONDITIONED, ids=IDS)
def test_a_rule_with_a_condition_decides_no_connection_for_all_its_requests(rule):
    assert connect(HOST, 443, Rules([rule])).effect == ALLOW
    assert connect(HOST, 443, Rules([WHOLE], (), [rule])).effect == ALLOW
    assert connect(HOST, 443, Rules([WHOLE], [rule])).effect == ALLOW
    assert reachable(HOST, Rules([WHOLE], (), [rule]))


def test_raw_tcp_takes_a_rule_for_tcp_on_that_port():
    rule = EgressRule(host="db.test", schemes=("tcp",), ports=(5432,))
    assert opaque_tcp("db.test", 5432, Rules([rule])).effect == ALLOW
    assert opaque_tcp("db.test", 5433, Rules([rule])).effect == DENY
    assert opaque_tcp("x.db.test", 5432, Rules([rule])).effect == DENY
    assert opaque_tcp("db.test", 443, Rules([EgressRule(host="db.test")])).effect == DENY
    assert opaque_tcp("db.test", 5432, Rules([EgressRule(host="db.test", ports=(5432,))])).effect == DENY
    assert opaque_tcp("db.test", 5432, Rules([rule], [rule])).effect == ASK
    for deny in (EgressRule(host="db.test"), EgressRule(host="*.test", paths=("/x",)), rule):
        assert opaque_tcp("db.test", 5432, Rules([rule], (), [deny])).effect == DENY
    other = EgressRule(host="db.test", schemes=("tcp",), ports=(22,))
    assert opaque_tcp("db.test", 5432, Rules([rule], (), [other])).effect == ALLOW


def test_a_rule_for_tcp_allows_no_request():
    rules = Rules([EgressRule(host=HOST, schemes=("tcp",), ports=(443, 80))])
    assert decide(request(), rules).effect == DENY
    assert decide(request(scheme="http", port=80), rules).effect == DENY
    assert connect(HOST, 443, rules).effect == DENY
    assert opaque(HOST, 443, rules).effect == DENY
    assert reachable(HOST, rules)


# --- limits on bodies whose length is not known


def limit(allow=(), ask=(), deny=()):
    verdict = decide(request(length=UNKNOWN), Rules(allow, ask, deny))
    return verdict.effect, verdict.limit


def test_the_widest_allow_rule_and_the_narrowest_deny_rule_set_the_limit():
    small, large = EgressRule(host=HOST, max_body=5), EgressRule(host=HOST, max_body=50)
    assert limit([small]) == (ALLOW, 5)
    assert limit([small, large]) == limit([large, small]) == (ALLOW, 50)
    assert limit([small, WHOLE]) == (ALLOW, None)
    assert limit([WHOLE], (), [small]) == (ALLOW, 5)
    assert limit([WHOLE], (), [small, large]) == limit([WHOLE], (), [large, small]) == (ALLOW, 5)
    assert limit([small], (), [large]) == (ALLOW, 5)
    assert limit([large], (), [small]) == (ALLOW, 5)
    assert limit([WHOLE], [large]) == (ASK, 50)
    assert limit([WHOLE], [WHOLE], [small]) == (ASK, 5)
    assert limit((), (), [small]) == (DENY, None)


def test_a_known_length_needs_no_limit():
    verdict = decide(request(length=5), Rules([EgressRule(host=HOST, max_body=5)]))
    assert (verdict.effect, verdict.limit) == (ALLOW, None)
    assert decide(request(length=6), Rules([WHOLE], [EgressRule(host=HOST, max_body=5)])).effect == ALLOW


# --- facts


READS = EgressRule(host=HOST, graphql=("query",))
NO_WRITES = EgressRule(host=HOST, graphql=("mutation",))
MUTATION = Facts(graphql=GraphQL(operations=(Operation(kind="mutation", fields=("m",)),)))
QUERY = Facts(graphql=GraphQL(operations=(Operation(kind="query", fields=("q",)),)))


def effect(rules, **more):
    return decide(request(length=9, **more), rules).effect


def test_facts_are_asked_for_where_the_answer_hangs_on_them():
    assert effect(Rules([READS])) == INSPECT
    assert effect(Rules([WHOLE], (), [NO_WRITES])) == INSPECT
    assert effect(Rules([WHOLE], [NO_WRITES])) == INSPECT
    assert effect(Rules([WHOLE], [WHOLE], [NO_WRITES])) == INSPECT
    verdict = decide(request(length=9), Rules([READS]))
    assert (verdict.needs, verdict.rule) == (frozenset({"graphql"}), READS)


def test_nothing_is_read_where_the_answer_is_known_anyway():
    assert effect(Rules([READS, WHOLE])) == ALLOW
    assert effect(Rules((), (), [NO_WRITES])) == DENY
    assert effect(Rules([WHOLE], (), [NO_WRITES, WHOLE])) == DENY
    assert effect(Rules([READS], [WHOLE])) == ASK
    assert effect(Rules([replace(READS, paths=("/other",))])) == DENY
    assert effect(Rules([replace(READS, query=("!*",))]), query="?x") == DENY


def test_what_was_read_decides():
    both = Rules([WHOLE], [READS], [NO_WRITES])
    assert effect(both, facts=MUTATION) == DENY
    assert effect(both, facts=QUERY) == ASK
    assert effect(both, facts=Facts(graphql=Unread(reason="x"))) == DENY
    assert effect(Rules([WHOLE], [NO_WRITES]), facts=Facts(graphql=Unread(reason="x"))) == ASK
    verdict = decide(request(length=9, facts=Facts(graphql=Unread(reason="it is a batch"))), Rules([READS]))
    assert verdict.reason == "no rule allows this: it is a batch"


# --- cost


def test_rules_without_conditions_cost_what_they_did_beside_those_with():
    """Two hundred rules: a ratio, because this machine's clock is shared."""
    plain = [EgressRule(host=f"h{at}.test") for at in range(100)]
    more = [
        EgressRule(host=f"g{at}.test", git=("push a/b refs/heads/*",), graphql=("query",), query=("a",))
        for at in range(100)
    ]
    asked = request(host="h77.test")

    def cost(rules):
        times = []
        for _ in range(9):
            started = time.perf_counter()
            for _ in range(2000):
                decide(asked, rules)
            times.append(time.perf_counter() - started)
        return statistics.median(sorted(times)[:5])

    assert cost(Rules([*plain, *more], (), more)) < 2 * cost(Rules(plain[77:78]))
