"""What the agent is told when something is refused: what, by which rule, and what would allow it.

Agents read these messages and act on them, so each has a machine's form (JSON, a header) and says in
words how the operator could allow it. Nothing in it comes from a secret or from an address that a name
resolved to.
"""

import json

from ringfence.egress.http1 import Fields, write_head
from ringfence.errors import PeerError
from ringfence.policy.model import ASK, EgressRule
from ringfence.value import Struct
from ringfence.verdict import suggest
from ringfence.verdict.request import Request, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DENIED, MISMATCH, MALFORMED = "ringfence_denied", "ringfence_mismatch", "ringfence_malformed"
UPSTREAM, CREDENTIAL = "ringfence_upstream", "ringfence_credential"
BUDGET, WATCH, NAMES = "ringfence_budget", "ringfence_watch", "ringfence_names"

_SPECIAL = frozenset(' *?[]&;$!~(){}<>|`"#')  # what a shell would take for its own

_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    408: "Request Timeout",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


# To somebody who belongs to no identity: it says how to authenticate and nothing else (RFC 9110 §15.5.8).
UNAUTHENTICATED = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="ringfence"\r\n'
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Refusal(Struct):
    """An answer of ours instead of an upstream's."""

    status: int
    kind: str  # the `type` of the error
    message: str
    host: str = ""
    rule: str = ""
    how: str = ""
    near: str = ""  # nothing matched: the rule that came closest
    allow: tuple[tuple[str, object], ...] = ()  # the smallest rule that would allow just this request


class Refused(PeerError):  # noqa: N818 - a verdict on a body, found on the way
    """Raised by a filter: the request, or its answer, goes no further."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def malformed(message: str, status: int = 400) -> Refusal:
    """Refuse what cannot be read."""
    return Refusal(status=status, kind=MALFORMED, message=message)


def mismatch(message: str, host: str) -> Refusal:
    """Refuse a request whose destinations disagree (RFC 9110 §15.5.20)."""
    return Refusal(status=421, kind=MISMATCH, message=message, host=host)


def denied(
    verdict: Verdict, scheme: str, host: str, port: int, what: str, *, request: Request | None = None
) -> Refusal:
    """Refuse what the policy does not allow; `what` names the request or connection."""
    rule = verdict.rule
    beaten = rule is not None and verdict.effect != ASK
    wanted = suggest.door(scheme, host, port) if request is None else suggest.rule(request)
    return Refusal(
        status=403,
        kind=DENIED,
        message=f"{what} was refused: {_why(verdict)}",
        host=host,
        rule=rule_name(rule),
        how=_how(verdict, wanted),
        near=rule_name(verdict.near) if verdict.near else "",
        allow=() if beaten or request is None else tuple(wanted.items()),
    )


def rule_name(rule: EgressRule | None) -> str:
    """Name a rule by where it comes from and its host."""
    return f"{rule.origin or 'policy'}: {rule.host}" if rule else "no rule"


def _why(verdict: Verdict) -> str:
    if verdict.effect == ASK:
        return verdict.reason or "the policy says that somebody has to be asked first"
    return verdict.reason


def _how(verdict: Verdict, wanted: "dict[str, Any]") -> str:
    line, short = suggest.line(wanted), suggest.short(wanted)
    if verdict.effect == ASK:
        return f"nobody can be asked in this session; the operator can allow it in the policy: {line}"
    if verdict.rule is not None:
        named = rule_name(verdict.rule)
        return f"a deny rule wins over every allow rule: the operator has to change it ({named})"
    if not short or "'" in short:
        return f"the operator can allow it in the policy: {line}"
    quoted = f"'{short}'" if set(short) & _SPECIAL else short
    return f"the operator can allow it: `ringfence run --allow {quoted}`, or in the policy: {line}"


def render(refusal: Refusal, *, close: bool, body: bool = True) -> bytes:
    """Return the whole response; `body=False` for a request that takes none back (HEAD)."""
    fields, content = parts(refusal)
    if close:
        fields.append((b"Connection", b"close"))
    start = b"HTTP/1.1 %d %b" % (refusal.status, _phrase(refusal))
    return write_head(start, fields) + (content if body else b"")


def parts(refusal: Refusal) -> tuple[Fields, bytes]:
    """Return a refusal's fields and content."""
    error = {name: value for name, value in _error(refusal).items() if value}
    # `type` makes it an error of the Messages API as well: its clients show the message.
    content = json.dumps({"type": "error", "error": error}).encode("ascii") + b"\n"
    fields: Fields = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(content)),
        (b"Cache-Control", b"no-store"),
        (b"x-ringfence-denied", b"1"),
    ]
    return fields, content


def _error(refusal: Refusal) -> dict[str, object]:
    return {
        "type": refusal.kind,
        "message": refusal.message,
        "host": refusal.host,
        "rule": refusal.rule,
        "near": refusal.near,
        "how": refusal.how,
        "allow": dict(refusal.allow),
    }


def _phrase(refusal: Refusal) -> bytes:
    """Return the reason phrase: clients that show nothing else of a refused CONNECT show this."""
    if refusal.kind in {DENIED, CREDENTIAL}:
        text = f"Denied by ringfence: {refusal.message}"
    else:
        text = _PHRASES.get(refusal.status, "Refused")
    shown = "".join(char if " " <= char <= "~" else "?" for char in text[:200])
    return shown.encode("ascii")
