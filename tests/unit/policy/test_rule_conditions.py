"""How conditions are written: one spelling, and every mistake told where it stands."""

import tomllib

import pytest

from ringfence.policy.decode import decode
from ringfence.policy.explain import rule as shown
from ringfence.policy.model import EgressRule


def decoded(text):
    layer, problems = decode(tomllib.loads(f"[[egress.allow]]\nhost = 'a.test'\n{text}"), "user")
    rules = layer.get("egress", {}).get("allow", ())
    return rules[0] if rules else {}, [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("query = 'page'", {"query": ("page",)}),
        ("query = ['a', 'b*', 'a']", {"query": ("a", "b*")}),
        ("headers = ['Accept : text/* ', '!Range', 'X-A']", {"headers": ("accept: text/*", "!range", "x-a")}),
        ("content_types = 'Application/JSON'", {"content_types": ("application/json",)}),
        ("content_types = ['image/*']", {"content_types": ("image/*",)}),
        ("max_body = '1M'", {"max_body": 1 << 20}),
        (
            "graphql = ['query', 'mutation  addComment', 'query *']",
            {"graphql": ("query", "mutation addComment")},
        ),
        (
            "git = ['fetch *', 'push /Acme/App.git/  refs/heads/x*', 'delete a/b refs/tags/*']",
            {"git": ("fetch *", "push acme/app refs/heads/x*", "delete a/b refs/tags/*")},
        ),
    ],
)
def test_a_condition_has_one_spelling(text, found):
    rule, problems = decoded(text)
    assert problems == []
    assert rule == {"host": "a.test", **found}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("query = 'a=b'", "a query key is written plainly"),
        ("query = 'a%20'", "a query key is written plainly"),
        ("query = ''", "a query key is written plainly"),
        ("query = '!a'", "`!*` alone says that there is no query"),
        ("query = ['!*', 'a']", "stands alone"),
        ("headers = 'host: x'", "belongs to the gate"),
        ("headers = '!content-length'", "belongs to the gate"),
        ("headers = 'x y'", "a header's name is a word"),
        ("headers = 'é'", "ASCII"),
        ("headers = ''", "a header's name is a word"),
        ("content_types = 'json'", "application/json or image/*"),
        ("content_types = '*/*'", "application/json or image/*"),
        ("content_types = 'text/html; charset=x'", "without parameters"),
        ("max_body = 0", "above 0"),
        ("max_body = 'x'", "has to start with a number"),
        ("graphql = 'select'", "a GraphQL operation is one of"),
        ("graphql = 'query a b'", "a GraphQL operation is one of"),
        ("graphql = 'query a-b'", "letters, digits and `_`"),
        ("graphql = 'introspection x'", "stands alone"),
        ("git = 'clone a/b'", "git is `fetch REPOSITORY`"),
        ("git = 'push'", "git is `fetch REPOSITORY`"),
        ("git = ''", "git is `fetch REPOSITORY`"),
        ("git = 'fetch a/b refs/heads/x'", "it takes no refs"),
        ("git = 'delete a/b'", "names the refs"),
        ("git = 'push a/b main'", "refs/heads/main for a branch"),
        ("git = 'fetch https://x/a'", "its path on the host"),
        ("git = 'fetch a//b'", "its path on the host"),
        ("git = 'fetch a/.git/b'", "its path on the host"),
        ("git = 'fetch é/b'", "its path on the host"),
        ("git = 'push a/b refs/heads/a**'", "`**` stands alone"),
        ("git = 'fetch *'\ngraphql = 'query'", "no request is git and GraphQL at once"),
        ("schemes = ['tcp']", "names its ports"),
        ("schemes = ['tcp', 'https']\nports = 5432", "stands alone in `schemes`"),
        ("schemes = 'tcp'\nports = 5432\npaths = '/x'", "has no `paths`"),
        ("schemes = 'tcp'\nports = 5432\nmax_body = 5", "has no `max_body`"),
    ],
)
def test_a_condition_that_makes_no_sense_is_told(text, part):
    _, problems = decoded(text)
    assert len(problems) == 1
    assert part in problems[0]


def test_raw_tcp_has_a_short_form():
    layer, problems = decode({"egress": {"allow": ["tcp://db.test:5432", "tcp://[2001:DB8::1]:22"]}}, "user")
    assert problems == []
    assert layer["egress"]["allow"] == (
        {"schemes": ("tcp",), "ports": (5432,), "host": "db.test"},
        {"schemes": ("tcp",), "ports": (22,), "host": "2001:db8::1"},
    )
    for text in ("tcp://db.test", "tcp://db.test:5432/x", "GET tcp://db.test:5432"):
        assert decode({"egress": {"allow": [text]}}, "user")[1]


def test_conditions_are_shown_with_their_rule():
    rule = EgressRule(
        host="a.test",
        methods=("POST",),
        query=("a", "b"),
        max_body=2048,
        git=("fetch *",),
        content_types=("a/b",),
    )
    assert shown(rule) == "POST https://a.test (query: a, b; content types: a/b; max body: 2K; git: fetch *)"
