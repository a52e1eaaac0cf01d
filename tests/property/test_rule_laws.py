"""Laws of conditions: adding one never widens, facts that cannot be read never allow, proposals do what they say."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.egress.inspect import Inspection
from ringfence.policy import forms
from ringfence.policy.conditions import NAMES, contradiction
from ringfence.policy.decode import decode
from ringfence.policy.layers import EVERYTHING, Combined, combine, rule_covers
from ringfence.policy.model import ALLOW, ASK, DENY, EgressRule
from ringfence.value import replace
from ringfence.verdict import suggest
from ringfence.verdict.facts import Commands, Facts, GraphQL, Lfs, Operation, Unread, Update
from ringfence.verdict.request import INSPECT, UNKNOWN, Request, Rules, decide

HOSTS = st.sampled_from(["a.test", "b.test"])
CONDITIONS = {
    "query": st.sampled_from([("page",), ("!*",), ("p*", "q")]),
    "headers": st.sampled_from([("x-a",), ("x-a: 1*",), ("!x-a",), ("x-a", "!x-b")]),
    "content_types": st.sampled_from([("application/json",), ("text/*",)]),
    "max_body": st.sampled_from([5, 50]),
    "graphql": st.sampled_from([("query",), ("mutation m*",), ("query", "mutation", "introspection")]),
    "git": st.sampled_from(
        [("fetch *",), ("push a/b refs/heads/x*",), ("fetch a/*", "push a/b"), ("delete a/b refs/heads/x",)]
    ),
}
PLAIN = {
    "methods": st.sampled_from([(), ("GET",), ("POST",)]),
    "paths": st.sampled_from([(), ("/graphql",), ("/a/**",)]),
}
RULES = st.fixed_dictionaries({"host": HOSTS}, optional={**PLAIN, **CONDITIONS}).filter(
    lambda rule: not contradiction(rule)  # no policy holds one: it is told where it is read
)
PATHS = st.sampled_from(
    [
        ("/graphql",),
        ("/a/b/info/refs",),
        ("/a/b.git/git-receive-pack",),
        ("/a/c/git-upload-pack",),
        ("/a/b/info/lfs/objects/batch",),
        ("/a%2Fb/info/refs", "/a/b/info/refs"),
    ]
)
QUERIES = st.sampled_from(
    [
        "",
        "?page=1",
        "?q=1&page=2",
        "?page=1&page=1",
        "?service=git-upload-pack",
        "?service=git-receive-pack",
        "?query={a}",
    ]
)
TYPES = (b"application/json", b"text/plain", b"application/x-git-receive-pack-request")
FIELDS = st.lists(
    st.sampled_from(
        [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"1"), *((b"Content-Type", one) for one in TYPES)]
    ),
    max_size=3,
)
UNREAD = Unread(reason="unread")
FACTS = st.builds(
    Facts,
    graphql=st.sampled_from(
        [
            None,
            UNREAD,
            GraphQL(operations=()),
            GraphQL(operations=(Operation(kind="query", fields=("a", "__typename")),)),
            GraphQL(
                operations=(
                    Operation(kind="mutation", fields=("m1",)),
                    Operation(kind="query", fields=("a",)),
                )
            ),
        ]
    ),
    commands=st.sampled_from(
        [
            None,
            UNREAD,
            Commands(updates=()),
            Commands(updates=(Update(action="update", ref="refs/heads/x1"),)),
            Commands(updates=(Update(action="delete", ref="refs/heads/x"),)),
        ]
    ),
    lfs=st.sampled_from([None, UNREAD, Lfs(operation="upload"), Lfs(operation="download")]),
)
REQUESTS = st.builds(
    Request,
    scheme=st.just("https"),
    host=HOSTS,
    port=st.just(443),
    method=st.sampled_from(["GET", "POST"]),
    paths=PATHS,
    query=QUERIES,
    fields=FIELDS,
    length=st.sampled_from([0, 4, 40, 400, UNKNOWN]),
    upgrade=st.booleans(),
    facts=FACTS,
)
SETS = st.tuples(st.lists(RULES, max_size=3), st.lists(RULES, max_size=2), st.lists(RULES, max_size=2))
READ = Facts(graphql=UNREAD, commands=UNREAD, lfs=UNREAD)
OPEN = {DENY: 0, INSPECT: 0, ASK: 1, ALLOW: 2}


def rules(sets):
    return Rules(*([EgressRule(**one) for one in part] for part in sets))


def settled(request, given_rules):
    """Decide as the gate does: facts are given where they are asked for, and what there is not is unread."""
    first = decide(replace(request, facts=Facts()), given_rules)
    if first.effect != INSPECT:
        return first
    kept = request.facts
    facts = Facts(
        graphql=(kept.graphql or UNREAD) if "graphql" in first.needs else None,
        commands=(kept.commands or UNREAD) if "git-commands" in first.needs else None,
        lfs=(kept.lfs or UNREAD) if "lfs" in first.needs else None,
    )
    verdict = decide(replace(request, facts=facts), given_rules)
    assert verdict.effect != INSPECT  # once is enough
    return verdict


def openness(verdict):
    """Order verdicts: more effect, or more of a body, is wider."""
    return (OPEN[verdict.effect], float("inf") if verdict.limit is None else verdict.limit)


@pytest.mark.guarantee("R1")
@settings(max_examples=500, deadline=None)
@given(SETS, RULES, st.data(), REQUESTS)
def test_adding_a_condition_to_an_allow_rule_never_widens(sets, rule, data, request):
    allow, ask, deny = sets
    missing = [name for name in CONDITIONS if name not in rule]
    if not missing:
        return
    name = data.draw(st.sampled_from(missing))
    narrower = {**rule, name: data.draw(CONDITIONS[name])}
    before = settled(request, rules(([*allow, rule], ask, deny)))
    after = settled(request, rules(([*allow, narrower], ask, deny)))
    assert openness(after) <= openness(before)


@settings(max_examples=300, deadline=None)
@given(SETS, RULES, st.data(), REQUESTS)
def test_taking_a_condition_off_a_deny_rule_never_widens(sets, rule, data, request):
    allow, ask, deny = sets
    there = [name for name in CONDITIONS if name in rule]
    if not there:
        return
    name = data.draw(st.sampled_from(there))
    wider = {key: value for key, value in rule.items() if key != name}
    before = settled(request, rules((allow, ask, [*deny, rule])))
    after = settled(request, rules((allow, ask, [*deny, wider])))
    assert openness(after) <= openness(before)


@pytest.mark.guarantee("R1")
@settings(max_examples=300, deadline=None)
@given(SETS, REQUESTS)
def test_facts_that_cannot_be_read_never_allow_more_than_those_that_can(sets, request):
    made = rules(sets)
    unread = decide(replace(request, facts=READ), made)
    known = settled(request, made)
    assert unread.effect != INSPECT
    if unread.effect == ALLOW:
        assert known.effect == ALLOW


@settings(max_examples=200, deadline=None)
@given(SETS, REQUESTS)
def test_the_order_of_rules_with_conditions_does_not_matter(sets, request):
    one, other = rules(sets), rules([list(reversed(part)) for part in sets])
    assert settled(request, one).effect == settled(request, other).effect


@settings(max_examples=300, deadline=None)
@given(REQUESTS)
def test_a_proposal_is_a_rule_that_allows_the_request_and_can_be_written(request):
    table = suggest.rule(request)
    layer, problems = decode({"egress": {"allow": [table]}}, "user")
    assert problems == []
    made = Rules([EgressRule(**one) for one in layer["egress"]["allow"]])
    unread = UNREAD in {request.facts.graphql, request.facts.commands, request.facts.lfs}
    looked_into = "graphql" in table and request.upgrade
    assert decide(request, made).effect in {ALLOW, INSPECT} or unread or looked_into
    short = suggest.short(table)
    if short:
        again = decode({"egress": {"allow": [short]}}, "user")[0]["egress"]["allow"][0]
        assert decide(request, Rules([EgressRule(**again)])).effect == ALLOW


@settings(max_examples=300, deadline=None)
@given(st.lists(RULES, max_size=3), RULES, REQUESTS)
def test_a_layer_without_trust_asks_only_where_it_was_allowed(allow, ask, request):
    below = combine(Combined(layer={}, fixed={}), {"egress": {"allow": tuple(allow)}}, "", frozenset())
    after = combine(below, {"egress": {"ask": (ask,)}}, "", EVERYTHING)
    then = settled(
        request, Rules([EgressRule(**one) for one in below.layer.get("egress", {}).get("allow", ())])
    )
    egress = after.layer.get("egress", {})
    now = settled(
        request,
        Rules(*([EgressRule(**one) for one in egress.get(name, ())] for name in ("allow", "ask"))),
    )
    if len(request.paths) == 1:
        assert OPEN[now.effect] <= OPEN[then.effect]
    for one in allow:
        if any(one.get(name) for name in NAMES):
            assert not rule_covers(one, ask)


BODIES = st.sampled_from(
    [
        json.dumps({"query": "query { a ...F } fragment F on Q { b }"}).encode(),
        b"[]",
        b"{",
        b"00000000",
        b"00" * 300,
        b"0067" + b"1" * 40 + b" " + b"2" * 40 + b" refs/heads/x\0 report" + b"0000PACK....",
        json.dumps({"operation": "upload"}).encode(),
    ]
) | st.binary(max_size=80)
NEEDS = st.sets(st.sampled_from(["graphql", "git-commands", "lfs"]), min_size=1).map(frozenset)


@settings(max_examples=300, deadline=None)
@given(BODIES, NEEDS, st.integers(1, 40), st.sampled_from(["application/json", "text/plain"]))
def test_facts_do_not_depend_on_how_a_body_arrives(body, needs, size, kind):
    request = Request(
        scheme="https", host="a.test", port=443, method="POST", paths=("/",), length=UNKNOWN,
        fields=[(b"Content-Type", kind.encode())],
    )  # fmt: skip

    def inspected(pieces):
        inspection = Inspection(request, needs)
        fed = [*pieces, b""]
        taken = b""
        while not inspection.enough:
            taken += fed[0]
            inspection.feed(fed.pop(0))
        assert inspection.taken == taken
        return inspection.facts()

    assert inspected([body]) == inspected([body[at : at + size] for at in range(0, len(body), size)])


def test_every_condition_of_the_model_has_a_law():
    assert set(CONDITIONS) == set(NAMES)
    assert set(NAMES) <= set(forms.FORMS[EgressRule])
