"""Laws of hosts, globs and layers."""

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.policy import layers
from ringfence.policy.layers import EVERYTHING, Combined, combine, rule_covers
from ringfence.policy.model import DEFAULT_MODE, TIERS, EgressRule, Limits
from ringfence.subject import (
    canonical_host,
    canonical_pattern,
    host_matches,
    path_matches,
    pattern_covers,
)
from ringfence.verdict.request import Request, Rules, decide

HOSTS = st.sampled_from(
    [
        "a.test",
        "b.a.test",
        "c.b.a.test",
        "xa.test",
        "other.test",
        "10.0.0.1",
        "10.1.2.3",
        "11.0.0.1",
        "fd00::1",
        "::1",
    ]
)
PATTERNS = st.sampled_from(
    [
        "a.test",
        "*.a.test",
        "*.b.a.test",
        "*.test",
        "10.0.0.0/8",
        "10.0.0.0/31",
        "10.0.0.1",
        "fd00::/8",
        "other.test",
    ]
)
SOME = {"max_size": 2, "unique": True}
RULES = st.fixed_dictionaries(
    {"host": PATTERNS},
    optional={
        "methods": st.lists(st.sampled_from(["GET", "POST"]), **SOME).map(tuple),
        "paths": st.lists(st.sampled_from(["/x/**", "/x/y", "/**"]), **SOME).map(tuple),
        "ports": st.lists(st.sampled_from([443, 8443]), **SOME).map(tuple),
        "schemes": st.lists(st.sampled_from(["https", "http"]), min_size=1, **SOME).map(tuple),
    },
)
REQUESTS = st.tuples(
    st.sampled_from(["https", "http"]),
    HOSTS,
    st.sampled_from([80, 443, 8443]),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["/", "/x/y", "/x/z"]),
)
LISTS = st.lists(st.sampled_from(["p", "q", "r"]), **SOME).map(tuple)
TEXTS = st.lists(
    st.sampled_from(["Bash(a *)", "Read(/b)", "mcp__c"]).map(lambda text: {"text": text}),
    max_size=2,
    unique_by=str,
).map(tuple)
MANY = st.lists(RULES, max_size=3).map(tuple)
LAYERS = st.fixed_dictionaries(
    {},
    optional={
        "accept": LISTS,
        "tier": st.just(TIERS),
        "workspace": st.fixed_dictionaries(
            {},
            optional={
                "mode": st.sampled_from(layers.STRICTNESS),
                "mask": LISTS,
                "unmask": LISTS,
                "protect": LISTS,
            },
        ),
        "files": st.fixed_dictionaries({}, optional={"read": LISTS, "write": LISTS, "state": LISTS}),
        "egress": st.fixed_dictionaries(
            {},
            optional={
                "allow": MANY,
                "ask": MANY,
                "deny": MANY,
                "splice": LISTS,
                "extra_ca": LISTS,
                "start": st.sampled_from(["early", "first-connection"]),
                "proxy_variables": st.booleans(),
                "static": st.dictionaries(
                    st.sampled_from(["a.test", "b.test"]), st.sampled_from(["1.1.1.1:1", "2.2.2.2:2"])
                ),
            },
        ),
        "credentials": st.dictionaries(
            st.sampled_from(["k", "l"]),
            st.fixed_dictionaries({}, optional={"host": HOSTS, "source": st.just("env:K")}),
        ),
        "environment": st.fixed_dictionaries(
            {}, optional={"keep": LISTS, "set": st.dictionaries(st.sampled_from("AB"), st.sampled_from("12"))}
        ),
        "commands": st.fixed_dictionaries(
            {},
            optional={
                "allow": TEXTS,
                "ask": TEXTS,
                "deny": TEXTS,
                "readonly": st.booleans(),
                "default": st.sampled_from(["ask", "deny"]),
                "settings": st.sampled_from(["", "claude"]),
                "prompt": st.sampled_from(["client", "approve"]),
            },
        ),
        "tools": st.fixed_dictionaries({}, optional={"allow": TEXTS, "ask": TEXTS, "deny": TEXTS}),
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "memory": st.sampled_from([None, 1, 2, 3]),
                "processes": st.sampled_from([None, 1, 4096, 9999]),
            },
        ),
    },
)
EMPTY = Combined(layer={}, fixed={})
OPENNESS = {"deny": 0, "ask": 1, "allow": 2}


def request_of(given_request):
    scheme, host, port, method, path = given_request
    return Request(scheme=scheme, host=host, port=port, method=method, paths=(path,))


def rules_of(layer):
    egress = layer.get("egress", {})
    return Rules(**{effect: [EgressRule(**rule) for rule in egress.get(effect, ())] for effect in OPENNESS})


def matches(rule, given_request):
    """Say whether a rule on its own would allow a request."""
    return decide(request_of(given_request), Rules(allow=[EgressRule(**rule)])).effect == "allow"


def denies(rule, given_request):
    everything = EgressRule(host=given_request[1], schemes=("https", "http"), ports=(80, 443, 8443))
    return (
        decide(request_of(given_request), Rules(allow=[everything], deny=[EgressRule(**rule)])).effect
        == "deny"
    )


def verdict(layer, given_request):
    return decide(request_of(given_request), rules_of(layer)).effect


def after(*given_layers, locked=frozenset()):
    state = EMPTY
    for one in given_layers:
        state = combine(state, one, "", locked)
    return state.layer


@pytest.mark.guarantee("T4")
@given(LAYERS, REQUESTS, st.randoms())
def test_the_order_of_rules_does_not_matter(layer, request_made, random):
    given_layer = after(layer)
    egress = given_layer.get("egress", {})
    mixed = {
        effect: tuple(random.sample(egress.get(effect, ()), len(egress.get(effect, ()))))
        for effect in OPENNESS
    }
    assert verdict({"egress": mixed}, request_made) == verdict(given_layer, request_made)


@pytest.mark.guarantee("T4")
@given(LAYERS, RULES, REQUESTS)
def test_adding_a_denial_never_widens(layer, rule, request_made):
    before = verdict(after(layer), request_made)
    denied = verdict(after(layer, {"egress": {"deny": (rule,)}}), request_made)
    assert OPENNESS[denied] <= OPENNESS[before]


@pytest.mark.guarantee("T1")
@settings(max_examples=400)
@given(LAYERS, LAYERS, REQUESTS)
def test_a_layer_with_everything_locked_only_narrows(below, layer, request_made):
    state = combine(EMPTY, below, "", frozenset())
    now, then = combine(state, layer, "", EVERYTHING).layer, state.layer
    assert OPENNESS[verdict(now, request_made)] <= OPENNESS[verdict(then, request_made)]
    for section, field in (*layers.WIDENING, *layers.NAMED, *layers.NEUTRAL):
        assert _meant(now, section, field) == _meant(then, section, field)
    for section, field in layers.NARROWING:
        assert set(map(repr, layers._get(then, section, field) or ())) <= set(
            map(repr, layers._get(now, section, field) or ())
        )
    for section, field, order, default in layers.ORDERED:
        assert order.index(_said(now, section, field, default)) >= order.index(
            _said(then, section, field, default)
        )
    for section in ("commands", "tools"):  # a question that is new never stands in for a denial
        before = layers._get(then, section, "ask") or ()
        assert all(
            rule.get("narrow") for rule in layers._get(now, section, "ask") or () if rule not in before
        )
    assert _strict(now) >= _strict(then)
    for name in ("memory", "processes"):
        assert _limit(now, name) <= _limit(then, name)


@pytest.mark.guarantee("T2")
@given(LAYERS, LAYERS, REQUESTS)
def test_what_the_managed_layer_denies_stays_denied(managed, layer, request_made):
    state = combine(EMPTY, managed, "", frozenset())
    state = combine(Combined(layer=state.layer, fixed=managed), layer, "", frozenset())
    if any(denies(rule, request_made) for rule in managed.get("egress", {}).get("deny", ())):
        assert verdict(state.layer, request_made) == "deny"
    bounds = managed.get("limits", {})
    for name, bound in bounds.items():
        if bound is not None:
            assert _limit(state.layer, name) <= bound
    for section in ("commands", "tools"):
        for effect in ("ask", "deny"):
            said = {rule["text"] for rule in layers._get(state.layer, section, effect) or ()}
            assert {rule["text"] for rule in managed.get(section, {}).get(effect, ())} <= said
    for section, field, order, default in layers.ORDERED:
        if field in managed.get(section, {}):
            least = order.index(managed[section][field])
            assert order.index(_said(state.layer, section, field, default)) >= least
    for field in ("settings", "prompt"):
        if field in managed.get("commands", {}):
            assert state.layer["commands"][field] == managed["commands"][field]
    if "mode" in managed.get("workspace", {}):
        assert _strict(state.layer) >= layers.STRICTNESS.index(managed["workspace"]["mode"])
    for name, credential in managed.get("credentials", {}).items():
        assert credential.items() <= state.layer["credentials"][name].items()


@given(LAYERS, LAYERS)
def test_a_layer_that_came_before_adds_nothing(one, other):
    once = after(one, other)
    twice = after(one, other, other)
    assert once == twice


@given(LAYERS, LAYERS)
def test_combining_leaves_what_it_was_given(one, other):
    state = combine(EMPTY, one, "", frozenset())
    kept = repr(state.layer)
    combine(state, other, "", frozenset())
    assert repr(state.layer) == kept
    assert EMPTY.layer == {}


@given(RULES, RULES, REQUESTS)
def test_a_rule_that_covers_another_matches_all_that_it_matches(wide, narrow, request_made):
    if rule_covers(wide, narrow) and matches(narrow, request_made):
        assert matches(wide, request_made)


@given(PATTERNS, PATTERNS, HOSTS)
def test_a_pattern_that_covers_another_matches_all_that_it_matches(wide, narrow, host):
    if pattern_covers(wide, narrow) and host_matches(narrow, host):
        assert host_matches(wide, host)


@given(st.text(st.sampled_from("aB1.-_:[]*/%@\\x0 \0é"), max_size=12) | st.ip_addresses().map(str))
def test_a_host_has_one_spelling(text):
    for canonical in (canonical_host, canonical_pattern):
        try:
            once = canonical(text)
        except ValueError:
            continue
        assert canonical(once) == once
        assert canonical(text.upper()) == once
        assert not set(once) & set("@\\ %\0[]?#")


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z]{1,5}){1,3}", fullmatch=True))
def test_a_suffix_is_strict_and_goes_by_labels(name):
    pattern = canonical_pattern("*." + name)
    assert not host_matches(pattern, name)
    assert not host_matches(pattern, "x" + name)
    assert not host_matches(pattern, name + ".evil.test")
    assert host_matches(pattern, "x." + name)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_within_a_segment_a_glob_is_what_the_standard_library_says(pattern, text):
    if "**" not in pattern:
        assert path_matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


def _said(layer, section, field, default):
    value = layers._get(layer, section, field)
    return default if value is None else value


def _meant(layer, section, field):
    value = layers._get(layer, section, field)
    return None if value in ((), {}) else value


def _strict(layer):
    return layers.STRICTNESS.index(layer.get("workspace", {}).get("mode", DEFAULT_MODE))


def _limit(layer, name):
    value = layer.get("limits", {}).get(name, Limits.__fields__[name])
    return float("inf") if value is None else value
