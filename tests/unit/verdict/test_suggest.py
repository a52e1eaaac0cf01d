"""What a refusal proposes: the smallest rule for just this request."""

import pytest

from ringfence.verdict import suggest
from ringfence.verdict.facts import Commands, Facts, GraphQL, Lfs, Operation, Unread, Update
from ringfence.verdict.request import Request

PUSH = ((b"Content-Type", b"application/x-git-receive-pack-request"),)
UPDATES = (
    Update(action="create", ref="refs/heads/agent/x"),
    Update(action="delete", ref="refs/heads/y"),
)
SCHEMA = Operation(kind="query", fields=("__schema", "__type", "__typename"))
TYPENAME = Operation(kind="query", fields=("__typename",))
OPERATION = Operation(kind="mutation", fields=("addComment", "__typename"))


def rule(path, **more):
    plain = {"scheme": "https", "host": "a.test", "port": 443, "method": "POST"}
    return suggest.rule(Request(**{**plain, "paths": (path,), **more}))


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"path": "/x/y", "query": "?a=b"}, {"methods": ["POST"], "paths": ["/x/y"]}),
        ({"path": "/x", "port": 8443}, {"ports": [8443], "methods": ["POST"], "paths": ["/x"]}),
        (
            {"path": "/x", "scheme": "http", "port": 80},
            {"schemes": ["http"], "methods": ["POST"], "paths": ["/x"]},
        ),
        (
            {"path": "/g", "facts": Facts(graphql=GraphQL(operations=(OPERATION,)))},
            {"methods": ["POST"], "paths": ["/g"], "graphql": ["mutation addComment"]},
        ),
        (
            {"path": "/g", "facts": Facts(graphql=GraphQL(operations=(SCHEMA, TYPENAME)))},
            {"methods": ["POST"], "paths": ["/g"], "graphql": ["introspection", "query __typename"]},
        ),
        (
            {"path": "/g", "facts": Facts(graphql=Unread(reason="x"))},
            {"methods": ["POST"], "paths": ["/g"]},
        ),
        (
            {
                "path": "/a/b.git/git-receive-pack",
                "fields": PUSH,
                "facts": Facts(commands=Commands(updates=UPDATES)),
            },
            {"git": ["push a/b refs/heads/agent/x", "delete a/b refs/heads/y"]},
        ),
        ({"path": "/a/b.git/git-receive-pack", "fields": PUSH}, {"git": ["push a/b refs/heads/*"]}),
        (
            {"path": "/a/b/info/refs", "method": "GET", "query": "?service=git-upload-pack"},
            {"git": ["fetch a/b"]},
        ),
        ({"path": "/a/b/info/lfs/objects/batch"}, {"git": ["fetch a/b"]}),
        (
            {"path": "/a/b/info/lfs/objects/batch", "facts": Facts(lfs=Lfs(operation="upload"))},
            {"git": ["push a/b refs/heads/*"]},
        ),
    ],
)
def test_the_smallest_rule_is_proposed(request_, found):
    assert rule(**request_) == {"host": "a.test", **found}


def test_a_proposal_is_written_as_a_policy_has_it():
    table = rule("/x*y", port=8443)
    assert suggest.line(table) == (
        '[[egress.allow]] host = "a.test", ports = [8443], methods = ["POST"], paths = ["/x?y"]'
    )
    assert suggest.short(table) == "POST a.test:8443/x?y"
    assert suggest.short(suggest.door("https", "2001:db8::1", 443)) == "[2001:db8::1]"
    assert suggest.short(suggest.door("tcp", "db.test", 22)) == "tcp://db.test:22"
    assert suggest.short({"host": "a.test", "git": ["fetch a/b"]}) == ""
