"""Decides on egress: deny beats ask beats allow, and what nothing matches is denied.

Two moments ask. `connect` asks when only host and port are known (CONNECT, a redirected connection, a
name looked up): it says no as early as possible, and yes only means that some request could be allowed.
`decide` asks when the request is known, and its word is final.

A host reaches this module in its canonical spelling (`subject.canonical_host`), a path with all its
readings (`egress.path`): a deny or ask rule holds if it matches any reading, an allow rule only if it
matches every one.

Allow and ask rules mean exactly what they name: no ports is the usual port of each scheme. A deny rule
is read at its widest: no ports is every port, and one for https holds for plain http too, because
nobody closes a host's encrypted door in order to leave the plain one open.

Rules are indexed by exact host and by suffix, so a verdict costs the labels of the host, not the rules.
"""

from ringfence.policy.model import ALLOW, ASK, DENY, EgressRule
from ringfence.subject import host_matches, is_address, path_matches
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

USUAL_PORT = {"https": 443, "http": 80}


class Request(Struct):
    """One request that wants to leave, in canonical spelling."""

    scheme: str
    host: str
    port: int
    method: str
    paths: tuple[str, ...]  # every reading of the path, the canonical one first


class Verdict(Struct):
    """What was decided, and by which rule."""

    effect: str  # allow | ask | deny
    rule: EgressRule | None = None  # None: nothing matched, so deny
    reason: str = ""  # the operator's word to the agent


NOTHING_MATCHED = Verdict(effect=DENY, reason="no rule allows this")


class Index:
    """Rules of one effect, found by host."""

    def __init__(self, rules: "Iterable[EgressRule]") -> None:
        self.exact: dict[str, list[EgressRule]] = {}
        self.suffix: dict[str, list[EgressRule]] = {}
        self.other: list[EgressRule] = []  # networks
        for rule in rules:
            if "/" in rule.host:
                self.other.append(rule)
            elif rule.host.startswith("*."):
                self.suffix.setdefault(rule.host[2:], []).append(rule)
            else:
                self.exact.setdefault(rule.host, []).append(rule)

    def about(self, host: str) -> "Iterator[EgressRule]":
        """Yield the rules about a canonical host, exact ones first."""
        yield from self.exact.get(host, ())
        if self.suffix:
            dot = host.find(".")
            while dot >= 0:
                yield from self.suffix.get(host[dot + 1 :], ())
                dot = host.find(".", dot + 1)
        for rule in self.other:
            if host_matches(rule.host, host):
                yield rule


class Rules:
    """A policy's egress rules, indexed."""

    def __init__(
        self,
        allow: "Iterable[EgressRule]",
        ask: "Iterable[EgressRule]" = (),
        deny: "Iterable[EgressRule]" = (),
    ) -> None:
        self.allow = Index(allow)
        self.ask = Index(ask)
        self.deny = Index(deny)


def decide(request: Request, rules: Rules) -> Verdict:
    """Decide on one whole request."""
    for rule in rules.deny.about(request.host):
        if _denies(rule, request):
            return Verdict(effect=DENY, rule=rule, reason=rule.reason or "a rule denies this")
    for rule in rules.ask.about(request.host):
        if _covers_door(rule, request.scheme, request.port) and _covers_some(rule, request):
            return Verdict(effect=ASK, rule=rule, reason=rule.reason)
    for rule in rules.allow.about(request.host):
        if _covers_door(rule, request.scheme, request.port) and _covers_all(rule, request):
            return Verdict(effect=ALLOW, rule=rule, reason=rule.reason)
    return NOTHING_MATCHED


def connect(host: str, port: int, rules: Rules, schemes: tuple[str, ...] = ("https", "http")) -> Verdict:
    """Decide on a connection before its request is known: allow where some request could be."""
    for rule in rules.deny.about(host):
        if not rule.methods and not rule.paths and all(_denies_door(rule, name, port) for name in schemes):
            return Verdict(effect=DENY, rule=rule, reason=rule.reason or "a rule denies this")
    doors = [(rule, ASK) for rule in rules.ask.about(host)]
    doors += [(rule, ALLOW) for rule in rules.allow.about(host)]
    possible = [
        (rule, effect) for rule, effect in doors if any(_covers_door(rule, name, port) for name in schemes)
    ]
    allowing = next((rule for rule, effect in possible if effect == ALLOW), None)
    whole = next(
        (rule for rule, effect in possible if effect == ASK and not rule.methods and not rule.paths), None
    )
    if allowing and not whole:
        return Verdict(effect=ALLOW, rule=allowing, reason=allowing.reason)
    if possible:
        rule = whole or possible[0][0]
        return Verdict(effect=ASK, rule=rule, reason=rule.reason)
    return NOTHING_MATCHED


def opaque(host: str, port: int, rules: Rules) -> Verdict:
    """Decide on TLS that nobody looks into: a rule about methods or paths cannot allow what is not seen."""
    for rule in rules.deny.about(host):
        if _denies_door(rule, "https", port):
            return Verdict(effect=DENY, rule=rule, reason=rule.reason or "a rule denies this")
    for rule in rules.ask.about(host):
        if _covers_door(rule, "https", port):
            return Verdict(effect=ASK, rule=rule, reason=rule.reason)
    for rule in rules.allow.about(host):
        if _covers_door(rule, "https", port) and not rule.methods and not rule.paths:
            return Verdict(effect=ALLOW, rule=rule, reason=rule.reason)
    return NOTHING_MATCHED


def opaque_tcp(host: str, port: int, rules: Rules) -> Verdict:
    """Decide on a raw connection: only a rule for `tcp` on this very port allows what nobody looks into.

    A deny rule about the port denies it, whatever else the rule is about: it could be what flows there.
    """
    for rule in rules.deny.about(host):
        if not rule.ports or port in rule.ports:
            return Verdict(effect=DENY, rule=rule, reason=rule.reason or "a rule denies this")
    for rule in rules.ask.about(host):
        if _covers_door(rule, "tcp", port):
            return Verdict(effect=ASK, rule=rule, reason=rule.reason)
    for rule in rules.allow.about(host):
        if _covers_door(rule, "tcp", port):
            return Verdict(effect=ALLOW, rule=rule, reason=rule.reason)
    return NOTHING_MATCHED


def reachable(host: str, rules: Rules) -> bool:
    """Say whether a name may be resolved at all: some rule could allow or ask about it on some port."""
    if any(not (rule.ports or rule.methods or rule.paths) for rule in rules.deny.about(host)):
        return False
    return any(True for index in (rules.allow, rules.ask) for _ in index.about(host))


def vouched(address: str, rules: Rules) -> bool:
    """Say whether the operator named this very address, or a network that holds it, in an allow rule."""
    return is_address(address) and any(True for _ in rules.allow.about(address))


def private(host: str, rules: Rules) -> bool:
    """Say whether the operator allows a host as one of the own network: `private = true` in its rule."""
    return any(rule.private for rule in rules.allow.about(host))


def forbidden(address: str, rules: Rules) -> bool:
    """Say whether a deny rule names this address or a network that holds it."""
    return is_address(address) and any(True for _ in rules.deny.about(address))


def _covers_door(rule: EgressRule, scheme: str, port: int) -> bool:
    if scheme not in rule.schemes:
        return False
    return port in rule.ports if rule.ports else port == USUAL_PORT.get(scheme)


def _denies_door(rule: EgressRule, scheme: str, port: int) -> bool:
    if scheme not in rule.schemes and "https" not in rule.schemes:
        return False
    return not rule.ports or port in rule.ports


def _denies(rule: EgressRule, request: Request) -> bool:
    return _denies_door(rule, request.scheme, request.port) and _covers_some(rule, request)


def _covers_some(rule: EgressRule, request: Request) -> bool:
    if rule.methods and request.method not in rule.methods:
        return False
    return not rule.paths or any(path_matches(glob, path) for glob in rule.paths for path in request.paths)


def _covers_all(rule: EgressRule, request: Request) -> bool:
    if rule.methods and request.method not in rule.methods:
        return False
    if not rule.paths:
        return True
    return all(any(path_matches(glob, path) for glob in rule.paths) for path in request.paths)
