"""What a rule says beside host, port, scheme, method and path, weighed against one request.

Each condition is asked in one of two ways. `refused` is for an allow rule: every condition has to hold, in
the strictest reading, and the answer is "" or what is in the way. `touched` is for a deny or ask rule: the
conditions are read at their widest, and the answer is "" or what they found. Both may answer with the facts
of the body that they need first.
"""

from ringfence.policy import conditions as grammar
from ringfence.policy.model import EgressRule
from ringfence.subject import text_matches
from ringfence.verdict import git, graphql, query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ringfence.verdict.request import Request

    Answer = str | frozenset[str]
    Weighed = Callable[[Request], Answer]

NOT_MEASURED = "a WebSocket has no body to measure"


class Conditions:
    """A rule's conditions, read once."""

    def __init__(self, rule: EgressRule) -> None:
        self._query = rule.query
        self._headers = tuple(grammar.split_header(text) for text in rule.headers)
        self._types = rule.content_types
        self._graphql = graphql.entries(rule.graphql)
        self._git = git.entries(rule.git)

    def refused(self, request: "Request") -> "Answer":
        """Say what keeps an allow rule from holding; every condition that needs no body comes first."""
        return (
            (self._query and query.refused(self._query, request.query))
            or (self._headers and _header_missing(self._headers, request))
            or (self._types and _type_refused(self._types, request))
            or (self._git and git.refused(self._git, request))
            or (self._graphql and graphql.refused(self._graphql, request))
            or ""
        )

    def touched(self, request: "Request") -> "Answer":
        """Say how a request falls under a deny or ask rule: "" where some condition certainly fails."""
        found: list[str] = []
        needs: frozenset[str] = frozenset()
        for told in self._touching(request):
            if not told:
                return ""
            if isinstance(told, frozenset):
                needs |= told
            else:
                found.append(told)
        return needs or ", ".join(found)

    def _touching(self, request: "Request") -> "Iterator[Answer]":
        if self._query:
            yield query.touched(self._query, request.query)
        if self._headers:
            yield next(filter(None, (_header_touched(one, request) for one in self._headers)), "")
        if self._types:
            yield _type_touched(self._types, request)
        if self._git:
            yield git.touched(self._git, request)
        if self._graphql:
            yield graphql.touched(self._graphql, request)


def of(rule: EgressRule) -> Conditions | None:
    """Return a rule's conditions, None where it has none."""
    plain = not (rule.query or rule.headers or rule.content_types or rule.graphql or rule.git)
    return None if plain else Conditions(rule)


# --- headers


def _header_missing(wanted: tuple[tuple[str, str | None, bool], ...], request: "Request") -> str:
    for name, glob, there in wanted:
        values = _texts(request, name)
        if not there and values:
            return f"header `{name}` is there"
        if there and not values:
            return f"header `{name}` is missing"
        if glob is not None and not all(text_matches(glob, value) for value in values):
            return f"header `{name}` does not match `{glob}`"
    return ""


def _header_touched(one: tuple[str, str | None, bool], request: "Request") -> str:
    """Values may hold several parts, and case does not matter to every server: read at its widest."""
    name, glob, there = one
    values = _texts(request, name)
    if not there:
        return "" if values else f"header `{name}` is missing"
    if glob is None:
        return f"header `{name}`" if values else ""
    parts = {part.strip().lower() for value in values for part in (value, *value.split(","))}
    joined = ", ".join(values).lower()
    return f"header `{name}`" if any(text_matches(glob.lower(), part) for part in (*parts, joined)) else ""


def _texts(request: "Request", name: str) -> list[str]:
    return [value.decode("latin-1") for value in request.values(name.encode("ascii"))]


# --- content types


def _type_refused(types: tuple[str, ...], request: "Request") -> str:
    if request.upgrade:
        return NOT_MEASURED
    if request.length == 0:
        return ""
    values = request.values(b"content-type")
    if len(values) != 1:
        return "the body's content type is missing" if not values else "the content type stands there twice"
    found = _media_type(values[0])
    return "" if _is_type(types, found) else f"content type `{found or '?'}` is not in the rule"


def _type_touched(types: tuple[str, ...], request: "Request") -> str:
    if request.upgrade:
        return NOT_MEASURED
    if request.length == 0:
        return ""
    values = request.values(b"content-type")
    found = [_media_type(part) for value in values for part in value.split(b",")]
    if not found or any(not one or _is_type(types, one) for one in found):
        return f"content type `{', '.join(found) or '?'}`"
    return ""


def _media_type(value: bytes) -> str:
    """Return `type/subtype` in lower case, or "" for what is none."""
    text = value.partition(b";")[0].strip(b" \t").decode("latin-1").lower()
    try:
        return "" if "*" in text else grammar.media_type(text)
    except ValueError:
        return ""


def _is_type(types: tuple[str, ...], found: str) -> bool:
    return bool(found) and any(
        found == one or (one[-2:] == "/*" and found.startswith(one[:-1])) for one in types
    )
