"""A rule that asks about `*` is about hosts that no other rule knows, and beats none of them."""

from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.model import ALLOW, ASK, DENY, EgressRule
from ringfence.verdict.facts import Facts, GraphQL, Operation
from ringfence.verdict.request import (
    INSPECT,
    NOTHING_MATCHED,
    UNKNOWN,
    Request,
    Rules,
    connect,
    decide,
    opaque,
    opaque_tcp,
    reachable,
)

RULES = Rules(
    allow=[EgressRule(host="known.test", methods=("GET",))],
    ask=[EgressRule(host="*", reason="who is this?"), EgressRule(host="asked.test", reason="its own rule")],
    deny=[EgressRule(host="*.evil.test")],
)
PLAIN = Rules(allow=[EgressRule(host="known.test")], deny=[EgressRule(host="*.evil.test")])


def about(host, scheme="https", port=443, method="GET"):
    return decide(Request(scheme=scheme, host=host, port=port, method=method, paths=("/",)), RULES)


def test_what_a_rule_allows_or_denies_is_not_asked_about():
    assert about("known.test").effect == ALLOW
    assert about("a.evil.test").effect == DENY
    assert about("asked.test").reason == "its own rule"


def test_every_other_host_is_asked_about():
    verdict = about("other.test")
    assert (verdict.effect, verdict.reason) == (ASK, "who is this?")
    assert about("known.test", method="POST").effect == ASK
    assert connect("other.test", 443, RULES).effect == ASK
    assert opaque("other.test", 443, RULES).effect == ASK
    assert reachable("other.test", RULES)


def test_only_on_the_doors_that_the_rule_names():
    assert about("other.test", scheme="http", port=80).effect == DENY
    assert about("other.test", port=8443).effect == DENY
    assert connect("other.test", 22, RULES) == NOTHING_MATCHED
    assert opaque_tcp("other.test", 5432, RULES) == NOTHING_MATCHED


def test_a_name_that_is_denied_is_not_resolved_all_the_same():
    assert not reachable("a.evil.test", RULES)
    assert not reachable("other.test", PLAIN)


@given(
    st.sampled_from(["known.test", "a.evil.test", "other.test", "asked.test"]),
    st.sampled_from(["GET", "POST"]),
)
def test_asking_about_the_rest_never_allows_and_never_unmakes_a_verdict(host, method):
    request = Request(scheme="https", host=host, port=443, method=method, paths=("/",))
    without = decide(request, PLAIN)
    with_it = decide(request, Rules(allow=PLAIN_ALLOW, ask=[EgressRule(host="*")], deny=PLAIN_DENY))
    assert with_it == without or (without.rule is None and with_it.effect == ASK)


PLAIN_ALLOW = [EgressRule(host="known.test")]
PLAIN_DENY = [EgressRule(host="*.evil.test")]


NO_WRITES = EgressRule(host="*.test", graphql=("mutation",))


def unknown(deny, **more):
    plain = {"scheme": "https", "host": "other.test", "port": 443, "method": "POST", "paths": ("/graphql",)}
    return decide(Request(**{**plain, **more}), Rules((), [EgressRule(host="*")], [deny]))


def test_a_denial_that_hangs_on_the_body_is_settled_before_anybody_is_asked():
    assert unknown(NO_WRITES, length=9).effect == INSPECT
    mutation = Facts(graphql=GraphQL(operations=(Operation(kind="mutation", fields=("m",)),)))
    query = Facts(graphql=GraphQL(operations=(Operation(kind="query", fields=("q",)),)))
    assert unknown(NO_WRITES, length=9, facts=mutation).effect == DENY
    assert unknown(NO_WRITES, length=9, facts=query).effect == ASK


def test_what_is_asked_about_stays_within_the_size_that_is_denied():
    verdict = unknown(EgressRule(host="*.test", max_body=5), length=UNKNOWN)
    assert (verdict.effect, verdict.limit) == (ASK, 5)
    assert unknown(EgressRule(host="*.test", max_body=5), length=6).effect == DENY
