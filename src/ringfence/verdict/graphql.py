"""GraphQL: which operations a rule names.

What an operation calls itself is its author's choice, and so are the aliases in it: a rule names the kind
and the *fields* at the top of the operation, which are the server's own words for what is done. A document
may hold several operations; all of them are judged, whichever the request asks to run. Fields whose names
begin with `__` describe the schema: `__typename` goes with everything, the others take `introspection`.
"""

from ringfence.policy.conditions import split_graphql
from ringfence.subject import text_matches
from ringfence.verdict import query
from ringfence.verdict.facts import GRAPHQL, GraphQL, Operation, Unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.verdict.request import Request

    Entries = tuple[tuple[str, str], ...]  # kind, glob of fields

NEEDED = frozenset({GRAPHQL})
# Query keys by which servers take an operation, or the name of one that they keep.
KEYS = (
    *("query", "variables", "operationname", "extensions"),
    *("id", "documentid", "doc_id", "queryid", "hash"),
)


def entries(texts: tuple[str, ...]) -> "Entries":
    """Read a rule's conditions once."""
    return tuple(split_graphql(text) for text in texts)


def refused(named: "Entries", request: "Request") -> str | frozenset[str]:
    """Say what in a request is beyond the operations named, return "", or name the fact that is needed."""
    fact = request.facts.graphql
    if request.upgrade:
        return "GraphQL in a WebSocket is not looked into"
    if fact is None:
        return NEEDED if _possible(request) else "there is no GraphQL operation in this request"
    if isinstance(fact, Unread):
        return fact.reason
    if not fact.operations:
        return "there is no GraphQL operation in this request"
    return next(filter(None, (_beyond(named, one) for one in fact.operations)), "")


def touched(named: "Entries", request: "Request") -> str | frozenset[str]:
    """Name what in a request could be one of the operations named, return "", or name the fact needed."""
    fact = request.facts.graphql
    if request.upgrade:
        return "GraphQL in a WebSocket is not looked into"
    if fact is None:
        return NEEDED if _possible(request) else ""
    if isinstance(fact, Unread):
        return fact.reason
    return next(filter(None, (_within(named, fact))), "")


def _possible(request: "Request") -> bool:
    """Say whether a request could hold an operation: in its body, or in its query."""
    return request.length != 0 or bool(query.touched(KEYS, request.query))


def _beyond(named: "Entries", operation: Operation) -> str:
    kinds = {kind for kind, _ in named}
    for field in operation.fields:
        kind = "introspection" if field[:2] == "__" else operation.kind
        if field == "__typename" and operation.kind in kinds:
            continue
        if not any(kind == one and text_matches(glob, field) for one, glob in named):
            return f"the {operation.kind} field `{field}` is not in the rule"
    return ""


def _within(named: "Entries", fact: GraphQL) -> "list[str]":
    found = []
    for operation in fact.operations:
        for field in operation.fields:
            kinds = {operation.kind} | ({"introspection"} if field[:2] == "__" else set())
            if any(kind in kinds and text_matches(glob, field) for kind, glob in named):
                found.append(f"the {operation.kind} field `{field}`")
    return found
