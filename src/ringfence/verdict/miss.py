"""Why nothing matched: the rule that came closest, and what is in its way. Asked only after a denial."""

from ringfence.policy.model import EgressRule
from ringfence.verdict.index import meant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.verdict.index import Entry
    from ringfence.verdict.request import Request

NOTHING = "no rule allows this"


def nearest(entries: "Iterable[Entry]", request: "Request") -> tuple[str, EgressRule | None]:
    """Return the reason for a denial, and the rule that came closest."""
    best, told, rule = 0, "", None
    for entry in entries:
        rank, reason = _distance(entry, request)
        if rank > best:
            best, told, rule = rank, reason, entry.rule
    return (f"{NOTHING}: {told}" if told else NOTHING), rule


def _distance(entry: "Entry", request: "Request") -> tuple[int, str]:
    """Return how far a rule went along with a request, and what stopped it."""
    rule = entry.rule
    if (request.scheme, request.port) not in entry.doors:
        doors = " or ".join(f"{scheme} on port {port}" for scheme, port in sorted(entry.doors))
        return 1, f"the rule for {rule.host} is for {doors}"
    if not entry.names_all(request.paths):
        return 2, f"the rule for {rule.host} does not name this path"
    if entry.methods and request.method not in entry.methods:
        return 3, f"the rule for {rule.host} is for {', '.join(rule.methods)}"
    if entry.methods and not entry.methods.issuperset(meant(request)):
        return 3, f"the rule for {rule.host} is for {', '.join(rule.methods)}, and a header asks for another"
    return 4, _condition(entry, request)


def _condition(entry: "Entry", request: "Request") -> str:
    limit = entry.max_body
    if limit is not None and request.upgrade:
        return "a WebSocket has no body to measure"
    if limit is not None and request.length > limit:
        return f"the body has {request.length} bytes, the rule takes {limit}"
    told = entry.conditions.refused(request) if entry.conditions else ""
    return told if isinstance(told, str) else ""
