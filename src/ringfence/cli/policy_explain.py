"""`ringfence policy explain`: what the gate would say to one request, by which rule, and why.

The request is written as bytes and read back by the gate's own parser, so that what is explained is what
would happen. Nothing is sent, no secret is fetched.
"""

import sys

from ringfence.cli.options import Option, read
from ringfence.errors import UsageError
from ringfence.policy.model import ALLOW, ASK, EgressRule, Policy
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.egress.gate import Gate, Target
    from ringfence.egress.http1 import RequestHead
    from ringfence.handover import Handover
    from ringfence.verdict.request import Request, Verdict

HELP = """\
usage: ringfence policy explain [OPTION…] [METHOD] URL

Says what the gate would do with a request: 0 allow, 1 deny, 3 ask. Nothing is sent.

  --header 'NAME: VALUE'  a header of the request; may be given again
  --body FILE             its body, for rules that look into it; `-` is standard input
  --command NAME          the command whose presets hold where no policy says `use`
  --json                  for programs
"""
OPTIONS = (
    Option(name="--header", value="'NAME: VALUE'", many=True),
    Option(name="--body", value="FILE"),
    Option(name="--command", value="NAME"),
    Option(name="--json"),
)
STATUS = {ALLOW: 0, ASK: 3}  # deny: 1


class Explained(Struct):
    """What would happen to one request."""

    verdict: str  # allow | ask | deny
    reason: str
    rule: str  # in its short form; "" where none decided
    origin: str
    place: str  # file:line of the rule, where it is known
    near: str  # the rule that came closest, where none decided
    inject: tuple[str, ...]  # what the gate would put in
    notes: tuple[str, ...]
    how: str  # what would allow it


def main(arguments: list[str]) -> int:
    """Explain one request."""
    if not arguments or {"-h", "--help"} & set(arguments):
        (sys.stdout if arguments else sys.stderr).write(HELP)
        return 0 if arguments else 2
    given = read(arguments, OPTIONS, HELP.strip())
    if not 1 <= len(given.rest) <= 2:
        raise UsageError("name one URL, and before it the method if it is not GET", hint=HELP.strip())
    url = given.rest[-1]
    body = _body(given.one("--body"))
    method = given.rest[0].upper() if len(given.rest) == 2 else "POST" if body else "GET"
    from ringfence.cli.policy import effective

    policy = effective(given.one("--command"))
    told = explain(policy, method, url, headers=given.all("--header"), body=body)
    sys.stdout.write(_json(told) if "--json" in given.switches else _text(told))
    return STATUS.get(told.verdict, 1)


def _body(path: str) -> bytes:
    if not path:
        return b""
    with open(sys.stdin.fileno() if path == "-" else path, "rb", closefd=path != "-") as file:
        return file.read()


# --- what would happen


def explain(
    policy: Policy, method: str, url: str, *, headers: tuple[str, ...] = (), body: bytes = b""
) -> Explained:
    """Return what the gate would do with a request under a policy."""
    from ringfence.egress.gate import Gate

    gate = Gate(handover(policy))
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in {"https", "http", "tcp"}:
        raise UsageError(f"`{url}` is no URL: write https://host/path, http://… or tcp://host:port")
    authority, slash, path = rest.partition("/")
    if scheme.lower() == "tcp":
        return _raw(policy, gate, authority)
    head = _head(method, authority, slash + path or "/", headers, body)
    return _asked(policy, gate, head, scheme.lower(), body)


def handover(policy: Policy) -> "Handover":
    """Return what the gate would be handed under a policy, but for everything that lives."""
    from ringfence.handover import Handover

    egress = policy.egress
    return Handover(
        session="", policy_digest=policy.digest, listeners=(), dns_fd=None, control_fd=0, secrets_fd=None,
        vend_fd=None, audit_path="", authority_dir="", ready_dir="", allow=egress.allow, ask=egress.ask,
        deny=egress.deny, splice=egress.splice, static=egress.static, extra_ca=(),
        credentials=policy.credentials, gateways=policy.gateways, publish=(), gate_address="", proxy_port=0,
    )  # fmt: skip


def _head(method: str, authority: str, path: str, headers: tuple[str, ...], body: bytes) -> "RequestHead":
    from ringfence.egress.http1 import MalformedError, parse_request

    lines = [f"{method} {path.partition('#')[0]} HTTP/1.1", f"Host: {authority}", *headers]
    if body and not any(
        line.lower().startswith(("content-length:", "transfer-encoding:")) for line in headers
    ):
        lines.append(f"Content-Length: {len(body)}")
    try:
        return parse_request("\r\n".join((*lines, "", "")).encode("utf-8"))
    except MalformedError as error:
        raise UsageError(f"the gate would not take this for a request: {error}") from None


def _asked(policy: Policy, gate: "Gate", head: "RequestHead", scheme: str, body: bytes) -> Explained:
    from ringfence.egress.gate import TUNNEL, Origin, Target, denial

    target = gate.target(head, Origin(kind=TUNNEL, scheme=scheme))
    if not isinstance(target, Target):
        return _told("deny", target.message, how=target.how)
    if gate.spliced(target.host) and target.scheme == "https":
        return _spliced(policy, gate, target)
    request, verdict = _decided(gate, gate.request(head, target), body)
    refused = None if verdict.effect == ALLOW else denial(verdict, target, request)
    notes = [f"gateway {target.gateway}: {target.scheme}://{target.host}"] if target.gateway else []
    if verdict.limit is not None:
        notes.append(f"the body is cut off after {verdict.limit} bytes")
    return _verdict(
        policy,
        verdict,
        inject=_injected(gate, target) if verdict.effect == ALLOW else (),
        notes=tuple(notes),
        how=refused.how if refused else "",
    )


def _decided(gate: "Gate", request: "Request", body: bytes) -> "tuple[Request, Verdict]":
    """Decide, with facts of the body where the verdict hangs on them."""
    from ringfence.egress.inspect import Inspection
    from ringfence.value import replace
    from ringfence.verdict.request import INSPECT

    verdict = gate.decide(request)
    if verdict.effect != INSPECT:
        return request, verdict
    inspection = Inspection(request, verdict.needs)
    for piece in (body, b""):
        if not inspection.enough:
            inspection.feed(piece)
    known = replace(request, facts=inspection.facts())
    return known, gate.decide(known)


def _spliced(policy: Policy, gate: "Gate", target: "Target") -> Explained:
    from ringfence.verdict.request import opaque

    verdict = opaque(target.host, target.port, gate.rules)
    return _verdict(policy, verdict, notes=("passed through unseen: only the host and the port are judged",))


def _raw(policy: Policy, gate: "Gate", authority: str) -> Explained:
    from ringfence.subject import split_authority
    from ringfence.verdict import suggest
    from ringfence.verdict.request import opaque_tcp

    try:
        host, port = split_authority(authority)
    except ValueError as error:
        raise UsageError(f"`tcp://{authority}`: {error}") from None
    verdict = opaque_tcp(host, port, gate.rules)
    line = suggest.line(suggest.door("tcp", host, port))
    how = (
        "" if verdict.effect == ALLOW or verdict.rule else f"the operator can allow it in the policy: {line}"
    )
    return _verdict(policy, verdict, notes=("nobody looks into what flows there",), how=how)


def _injected(gate: "Gate", target: "Target") -> tuple[str, ...]:
    from ringfence.policy import kinds

    return tuple(
        f"{one.name} {kinds.carried(one)} (from {one.source}{', if there is one' if one.optional else ''})"
        for one in gate.credentials_for(target)
    )


def _verdict(
    policy: Policy,
    verdict: "Verdict",
    *,
    inject: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    how: str = "",
) -> Explained:
    from ringfence.policy.explain import rule

    found, near = verdict.rule, verdict.near
    return _told(
        verdict.effect,
        verdict.reason,
        rule=rule(found) if found else "",
        origin=found.origin if found else "",
        place=place(policy, verdict.effect, found) if found else "",
        near=rule(near) if near else "",
        inject=inject,
        notes=notes,
        how=how,
    )


def _told(verdict: str, reason: str, **more: "Any") -> Explained:
    empty = {"rule": "", "origin": "", "place": "", "near": "", "inject": (), "notes": (), "how": ""}
    return Explained(**{**empty, **more, "verdict": verdict, "reason": reason})


# --- where a rule stands


def place(policy: Policy, effect: str, rule: EgressRule) -> str:
    """Return file and line of a rule, or "" for one that no file holds: an index's own, or an option's."""
    from ringfence.policy import preset

    kind, _, name = rule.origin.partition(" ")
    if kind == "preset":
        sources = [preset.source(name.partition(" ")[0])]
    else:
        sources = [_source(file, layer) for layer, file in policy.origins]
    for source in sources:
        line = _line(source, effect, rule) if source else 0
        if source and line:
            return f"{source.path}:{line}"
    return ""


def _source(path: str, kind: str) -> "Any":
    from ringfence.policy import read

    try:
        return read.source(path, kind)
    except read.Failure:
        return None


def _line(source: "Any", effect: str, rule: EgressRule) -> int:
    from ringfence.policy import read
    from ringfence.policy.decode import Problem
    from ringfence.value import replace

    layer, _ = read.layer(source, "")
    for index, one in enumerate(layer.get("egress", {}).get(effect, ())):
        if EgressRule(**one) == replace(rule, origin=one.get("origin", "")):
            told = read.point(source, Problem(path=("egress", effect, index), message=""))
            return told.span.line if told.span else 0
    return 0


# --- telling


def _json(told: Explained) -> str:
    import json

    from ringfence.value import plain

    return json.dumps(plain(told), indent=2, ensure_ascii=False) + "\n"


def _text(told: Explained) -> str:
    from ringfence.policy.explain import printable

    lines = [told.verdict + (f": {told.reason}" if told.reason else "")]
    if told.rule:
        lines.append(f"rule: {told.rule}" + (f"  [{told.origin}]" if told.origin else ""))
        lines += [f"  at {told.place}"] if told.place else []
    if told.near:
        lines.append(f"closest: {told.near}")
    lines += [f"puts in: {one}" for one in told.inject]
    lines += [f"note: {one}" for one in told.notes]
    lines += [told.how] if told.how else []
    return "".join(printable(line) + "\n" for line in lines)
