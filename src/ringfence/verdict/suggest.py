"""The smallest rule that would allow just this request: what a refusal proposes to the operator.

A rule comes as the table that a policy writes. It names method and path, or, where the request is known for
what it is, the git repository and refs or the GraphQL fields.
"""

from ringfence.verdict import git
from ringfence.verdict.facts import Commands, GraphQL
from ringfence.verdict.index import USUAL_PORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.verdict.request import Request

_ANY_BRANCH = "refs/heads/*"


def rule(request: "Request") -> "dict[str, Any]":
    """Return a rule for one request."""
    place = door(request.scheme, request.host, request.port)
    actions = _git(request)
    if actions:
        return {**place, "git": actions}
    paths = list(dict.fromkeys(map(_literal, request.paths)))
    named = {**place, "methods": [request.method], "paths": paths}
    fact = request.facts.graphql
    if isinstance(fact, GraphQL) and fact.operations:
        named["graphql"] = _graphql(fact)
    return named


def door(scheme: str, host: str, port: int) -> "dict[str, Any]":
    """Return a rule for a whole host, on one port."""
    place: dict[str, Any] = {"host": host}
    if port != USUAL_PORT.get(scheme):
        place["ports"] = [port]
    if scheme != "https":
        place["schemes"] = [scheme]
    return place


def line(table: "dict[str, Any]") -> str:
    """Return a rule as a policy file has it, on one line."""
    return "[[egress.allow]] " + ", ".join(f"{name} = {_toml(value)}" for name, value in table.items())


def lines(table: "dict[str, Any]") -> str:
    """Return a rule as a policy file has it, a key on each line."""
    return "".join(["[[egress.allow]]\n", *(f"{name} = {_toml(value)}\n" for name, value in table.items())])


def short(table: "dict[str, Any]") -> str:
    """Return a rule in its short form, or "" where it has none."""
    if table.keys() & {"git", "graphql"} or len(table.get("paths", ())) > 1:
        return ""
    methods = ",".join(table.get("methods", ())) + " " if "methods" in table else ""
    scheme = f"{table['schemes'][0]}://" if "schemes" in table else ""
    host = f"[{table['host']}]" if ":" in table["host"] else table["host"]
    port = f":{table['ports'][0]}" if "ports" in table else ""
    return f"{methods}{scheme}{host}{port}{''.join(table.get('paths', ()))}"


def _toml(value: object) -> str:
    import json  # a TOML string of ASCII is a JSON string

    return json.dumps(value)


def _literal(path: str) -> str:
    """Return the narrowest glob for a reading of a path: `?` for what a pattern cannot hold."""
    plain = "".join(char if "!" <= char <= "~" and char not in "\\#*" else "?" for char in path)
    return plain.replace("//", "/?")


def _git(request: "Request") -> list[str]:
    purpose, repository = git.read(request)
    if purpose == git.FETCH:
        return [f"fetch {repository}"]
    fact = request.facts.commands
    if purpose == git.PUSH and isinstance(fact, Commands) and fact.updates:
        return [
            f"{'delete' if one.action == 'delete' else 'push'} {repository} {_literal(one.ref)}"
            for one in fact.updates
        ]
    lfs = getattr(request.facts.lfs, "operation", "download")
    if purpose == git.BATCH and lfs == "download":
        return [f"fetch {repository}"]
    return [f"push {repository} {_ANY_BRANCH}"] if purpose else []


def _graphql(fact: GraphQL) -> list[str]:
    named = [
        "introspection" if field in {"__schema", "__type"} else f"{operation.kind} {field}"
        for operation in fact.operations
        for field in operation.fields
        if field != "__typename" or len(operation.fields) == 1  # it goes with the others
    ]
    return list(dict.fromkeys(named))
