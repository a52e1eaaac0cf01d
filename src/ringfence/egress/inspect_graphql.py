"""Reads the operations of a GraphQL request, or says why that cannot be done for certain.

Theory. What we read has to be what the server reads, so only the plain form of a request passes: one JSON
object with known members, each once and in its own spelling, in UTF-8 and uncompressed; or the same members
in the query of a GET. Refused: batches (an array), persisted queries (the operation is the server's, and
unseen), several operations without the name of one, members in the body *and* in the query, any member we do
not know (`Query` is `query` to some servers), and uploads, whose operation hides in a form.

The document is parsed by graphql-core. The fields at the top are collected through fragments; directives
such as `@skip` are not followed, so a field counts whether or not it will run.
"""

import json

from ringfence.egress import limits
from ringfence.verdict.facts import GraphQL, Operation, Unread
from ringfence.verdict.graphql import KEYS
from ringfence.verdict.query import malformed, pairs, touched
from ringfence.verdict.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MEMBERS = {"query": str, "variables": dict, "operationName": str, "extensions": dict}
_NOT_READ = "the GraphQL request cannot be read: "


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """Something in the request could be read in more than one way, or in none."""


def read(request: Request, body: bytes) -> GraphQL | Unread:
    """Return the operations in a request with this whole body."""
    try:
        members = _members(request, body)
        if not members:
            return GraphQL(operations=())
        return GraphQL(operations=_operations(members))
    except _Unreadable as error:
        return Unread(reason=_NOT_READ + str(error))


# --- the request


def _members(request: Request, body: bytes) -> "dict[str, Any]":
    """Return the members of the one request; none where there is no GraphQL at all."""
    asked = bool(touched(KEYS, request.query))
    if not body:
        return _from_query(request.query) if asked else {}
    if asked:
        raise _Unreadable("it stands in the URL and in the body")
    if request.values(b"content-encoding"):
        raise _Unreadable("the body is compressed")
    kind = _content_type(request)
    text = _text(body)
    if kind == "application/graphql":
        return {"query": text}
    if kind != "application/json":
        raise _Unreadable(f"its content type is `{kind}`: application/json or application/graphql")
    return _checked(_json(text))


def _from_query(query: str) -> "dict[str, Any]":
    if ";" in query or malformed(query):
        raise _Unreadable("the URL's query can be read in two ways")
    found: dict[str, Any] = {}
    asked = [piece for piece in query[1:].split("&") if touched(KEYS, f"?{piece}")]
    for key, value in pairs("?" + "&".join(asked)):
        if key in found:
            raise _Unreadable(f"`{key}` stands in the URL twice")
        found[key] = _json(value) if key in {"variables", "extensions"} and value else value
    return _checked(found)


def _content_type(request: Request) -> str:
    values = request.values(b"content-type")
    if len(values) != 1:
        raise _Unreadable("it has no content type, or two")
    kind, *parameters = (part.strip(" \t").lower() for part in values[0].decode("latin-1").split(";"))
    if any(one and one not in {"charset=utf-8", 'charset="utf-8"'} for one in parameters):
        raise _Unreadable("its content type has parameters other than charset=utf-8")
    return kind


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise _Unreadable("the body is not UTF-8") from None


def _json(text: str) -> "Any":
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _Unreadable("it is not JSON") from None


def _once(items: "list[tuple[str, Any]]") -> "dict[str, Any]":
    found = dict(items)
    if len(found) < len(items):
        raise _Unreadable("a member of its JSON stands there twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(name)


def _checked(found: object) -> "dict[str, Any]":
    """Return the members, each known and of its kind."""
    if isinstance(found, list):
        raise _Unreadable("it is a batch")
    if not isinstance(found, dict):
        raise _Unreadable("it is no JSON object")
    given = {name: value for name, value in found.items() if value is not None}
    for name, value in given.items():
        if name not in MEMBERS:
            raise _Unreadable(f"`{name[:40]}` is no member of a GraphQL request")
        if not isinstance(value, MEMBERS[name]):
            raise _Unreadable(f"`{name}` is of the wrong kind")
    if "persistedQuery" in given.get("extensions", {}) or not given.get("query"):
        raise _Unreadable("the operation is not in the request (a persisted query)")
    return given


# --- the document


def _operations(members: "dict[str, Any]") -> tuple[Operation, ...]:
    try:
        from graphql import GraphQLError, parse
        from graphql.language import FragmentDefinitionNode, OperationDefinitionNode
    except ImportError:
        raise _Unreadable("graphql-core is missing; the operator installs `ringfence[graphql]`") from None
    try:
        document = parse(members["query"], no_location=True, max_tokens=limits.GRAPHQL_TOKENS)
    except (GraphQLError, RecursionError):
        raise _Unreadable("its document is not GraphQL") from None
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if len(fragments) + len(operations) < len(document.definitions):
        raise _Unreadable("its document holds more than operations and fragments")
    _check_names([one.name.value if one.name else "" for one in operations], members.get("operationName"))
    return tuple(
        Operation(
            kind=one.operation.value,
            fields=tuple(dict.fromkeys(_fields(one.selection_set, fragments, set()))),
        )
        for one in operations
    )


def _check_names(names: list[str], chosen: str | None) -> None:
    if not names:
        raise _Unreadable("its document holds no operation")
    if len(set(names)) < len(names):
        raise _Unreadable("two operations have one name")
    if len(names) > 1 and not chosen:
        raise _Unreadable("it holds several operations and does not say which to run")
    if chosen and chosen not in names:
        raise _Unreadable("the operation that it names is not in its document")


def _fields(selection: "Any", fragments: "dict[str, Any]", seen: set[str]) -> "Iterator[str]":
    """Yield the fields at the top of a selection; each fragment is followed once."""
    for one in selection.selections:
        if one.kind == "field":
            yield one.name.value
        elif one.kind == "inline_fragment":
            yield from _fields(one.selection_set, fragments, seen)
        elif one.name.value not in fragments:
            raise _Unreadable("it uses a fragment that it does not define")
        elif one.name.value not in seen:
            seen.add(one.name.value)
            yield from _fields(fragments[one.name.value].selection_set, fragments, seen)
