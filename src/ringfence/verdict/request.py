"""Decides on egress: deny beats ask beats allow, and what nothing matches is denied.

Two moments ask. `connect` asks when only host and port are known (CONNECT, a redirected connection, a
name looked up): it says no as early as possible, and yes only means that some request could be allowed.
`decide` asks when the request is known, and its word is final. `opaque` and `opaque_tcp` ask about what
nobody will look into.

A host reaches this module in its canonical spelling (`subject.canonical_host`), a path with all its
readings (`egress.path`): a deny or ask rule holds if it matches any reading, an allow rule only if it
matches every one. The same goes for every condition (`conditions`).

Allow and ask rules mean exactly what they name: no ports is the usual port of each scheme. A deny rule
is read at its widest: no ports is every port, and one for https holds for plain http and opaque TCP too,
because nobody closes a host's encrypted door in order to leave the plain one open.

Facts of the body. A rule about GraphQL or about the branches of a push needs to know what the body says.
Where the answer hangs on that, the effect is INSPECT, with the facts needed: whoever asked reads them and
asks again. A fact that could not be read is `Unread`, so the second answer is final.

The body's size is compared at once where it is known in advance. Where it is not, the verdict carries the
limit, and whoever passes the body on has to hold it.

Rules are indexed by exact host and by suffix, so a verdict costs the labels of the host, not the rules;
those without conditions have their verdicts ready.
"""

from ringfence.policy.model import ALLOW, ANY, ASK, DENY, EgressRule
from ringfence.subject import is_address
from ringfence.value import Struct
from ringfence.verdict import miss
from ringfence.verdict.facts import NO_FACTS, Facts
from ringfence.verdict.index import USUAL_PORT, Entry, Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["INSPECT", "UNKNOWN", "USUAL_PORT", "Request", "Rules", "Verdict", "decide"]

INSPECT = "inspect"  # not decided: facts of the body are needed first
UNKNOWN = -1  # the length of a body that ends when it ends
SEEN = "a rule denies this"
HOSTS_KEPT = 1024  # hosts for which the rules about them are kept together
_NO_NEEDS: frozenset[str] = frozenset()


class Request(Struct):
    """One request that wants to leave, in canonical spelling."""

    scheme: str
    host: str
    port: int
    method: str
    paths: tuple[str, ...]  # every reading of the path, the canonical one first
    query: str = ""  # with its "?", or ""
    fields: tuple[tuple[bytes, bytes], ...] | list[tuple[bytes, bytes]] = ()  # headers as sent
    length: int = 0  # of the body, or UNKNOWN
    upgrade: bool = False  # a WebSocket: what follows is no body
    facts: Facts = NO_FACTS

    def values(self, name: bytes) -> list[bytes]:
        """Return every value of a header; `name` is in lower case."""
        return [value for field, value in self.fields if field.lower() == name]


class Verdict(Struct):
    """What was decided, and by which rule."""

    effect: str  # allow | ask | deny | inspect
    rule: EgressRule | None = None  # None: nothing matched, so deny
    reason: str = ""  # the operator's word to the agent, or the condition that decided
    needs: frozenset[str] = _NO_NEEDS  # INSPECT: the facts that are missing
    limit: int | None = None  # bytes that the body may have, where its length is not known in advance
    near: EgressRule | None = None  # nothing matched: the rule that came closest
    facts: Facts = NO_FACTS  # of the body, where they were needed: by them it is judged again


NOTHING_MATCHED = Verdict(effect=DENY, reason=miss.NOTHING)


class Rules:
    """A policy's egress rules, indexed."""

    def __init__(
        self,
        allow: "Iterable[EgressRule]",
        ask: "Iterable[EgressRule]" = (),
        deny: "Iterable[EgressRule]" = (),
    ) -> None:
        asking = tuple(ask)
        self.allow = Index(allow, lambda rule: Verdict(effect=ALLOW, rule=rule, reason=rule.reason))
        self.ask = Index([rule for rule in asking if rule.host != ANY], _asks)
        # Asked only about what no other rule says anything about: `*` is for hosts that are not known.
        self.unknown = tuple(Entry(rule, _asks(rule)) for rule in asking if rule.host == ANY)
        self.deny = Index(deny, lambda rule: Verdict(effect=DENY, rule=rule, reason=rule.reason or SEEN))

        self._about: dict[str, tuple[Sequence[Entry], Sequence[Entry], Sequence[Entry]]] = {}

    def about(self, host: str) -> "tuple[Sequence[Entry], Sequence[Entry], Sequence[Entry]]":
        """Return the rules that deny, ask and allow something about a canonical host."""
        found = self._about.get(host)
        if found is None:
            if len(self._about) >= HOSTS_KEPT:
                self._about.clear()
            found = self.deny.about(host), self.ask.about(host), self.allow.about(host)
            self._about[host] = found
        return found

    def sized(self, host: str) -> bool:
        """Say whether a body's length may decide about a host: only rules with conditions ask for it."""
        about = (*self.about(host), self.unknown)
        return False in [entry.plain for entries in about for entry in entries]


def _asks(rule: EgressRule) -> Verdict:
    return Verdict(effect=ASK, rule=rule, reason=rule.reason)


class _Open:
    """What going through the rules of one effect left open."""

    __slots__ = ("limit", "needs", "rule")

    def __init__(self) -> None:
        self.needs = _NO_NEEDS  # facts on which a rule hangs
        self.rule: EgressRule | None = None  # the first such rule
        self.limit: int | None = None  # what the body may have at most

    def need(self, entry: Entry, facts: frozenset[str]) -> None:
        self.needs |= facts
        self.rule = self.rule or entry.rule

    def lower(self, limit: int) -> None:
        self.limit = limit if self.limit is None else min(limit, self.limit)


_SHUT = _Open()  # never written: nothing was left open


def decide(request: Request, rules: Rules) -> Verdict:
    """Decide on one whole request."""
    denying = asking = _SHUT
    forbidding, questions, about = rules.about(request.host)
    for entry in forbidding:
        if entry.denies_door(request.scheme, request.port) and entry.covers_some(request):
            if entry.plain:
                return entry.verdict
            denying = _Open() if denying is _SHUT else denying
            denied = _denied(entry, request, denying)
            if denied is not None:
                return denied
    if questions:
        asking = _Open()
        asked = _asked(request, questions, asking)
        if asked is not None:
            return _inspect(denying) if denying.needs else _within(asked, denying.limit, asking.limit)
    return _allowed(request, rules, about, denying, asking)


def _denied(entry: Entry, request: Request, denying: _Open) -> Verdict | None:
    """Return the verdict of a deny rule with conditions that certainly holds."""
    too_large = _too_large(entry, request)
    if not too_large:
        return None
    told = entry.conditions.touched(request) if entry.conditions else too_large
    if isinstance(told, frozenset):
        denying.need(entry, told)
        return None
    if not told:
        return None
    if entry.max_body is not None and request.length == UNKNOWN and not request.upgrade:
        denying.lower(entry.max_body)
        return None
    reason = entry.rule.reason or f"{SEEN}: {told}"
    return Verdict(effect=DENY, rule=entry.rule, reason=reason)


def _too_large(entry: Entry, request: Request) -> str:
    """Say how a body is, or may become, larger than a deny rule has it; "" where it is not."""
    if entry.max_body is None or request.length == UNKNOWN or request.upgrade:
        return "the body's size is not known"
    return f"the body has {request.length} bytes" if request.length > entry.max_body else ""


def _asked(request: Request, questions: "Iterable[Entry]", asking: _Open) -> Verdict | None:
    """Return the verdict of an ask rule that certainly holds."""
    door = (request.scheme, request.port)
    for entry in questions:
        if door not in entry.doors or not entry.covers_some(request):
            continue
        if entry.plain:
            return entry.verdict
        if entry.max_body is not None and request.length > entry.max_body:
            continue
        told = entry.conditions.touched(request) if entry.conditions else "asked"
        if isinstance(told, frozenset):
            asking.need(entry, told)
        elif told:
            asking.limit = entry.max_body if request.length == UNKNOWN else None
            return entry.verdict
    return None


def _allowed(
    request: Request, rules: Rules, about: "Sequence[Entry]", denying: _Open, asking: _Open
) -> Verdict:
    """Return the verdict where no deny or ask rule certainly holds."""
    door = (request.scheme, request.port)
    allowing, limited, most = _SHUT, None, -1
    for entry in about:
        if door not in entry.doors or not entry.covers_all(request):
            continue
        if entry.plain:
            return _settled(entry.verdict, denying, asking)
        told = _refused(entry, request)
        if isinstance(told, frozenset):
            allowing = _Open() if allowing is _SHUT else allowing
            allowing.need(entry, told)
        elif not told and entry.max_body is not None and request.length == UNKNOWN:
            if entry.max_body > most:
                limited, most = entry, entry.max_body
        elif not told:
            return _settled(entry.verdict, denying, asking)
    if limited is not None and not allowing.needs:
        return _settled(_within(limited.verdict, most), denying, asking)
    if allowing.needs or asking.needs:
        return _inspect(denying, asking, allowing)
    unknown = _of_unknown(request, rules, denying) if rules.unknown else None
    if unknown is not None:
        return unknown
    if not about and not rules.ask.about(request.host):
        return NOTHING_MATCHED
    reason, near = miss.nearest((*about, *rules.ask.about(request.host)), request)
    return Verdict(effect=DENY, reason=reason, near=near)


def _of_unknown(request: Request, rules: Rules, denying: _Open) -> Verdict | None:
    """Ask about a request that no rule allows, where a rule for `*` says so; a denial still comes first."""
    asked = _asked(request, rules.unknown, _Open())
    if asked is None:
        return None
    return _inspect(denying) if denying.needs else _within(asked, denying.limit)


def _refused(entry: Entry, request: Request) -> str | frozenset[str]:
    """Say why an allow rule with conditions does not hold, or which facts it needs."""
    if entry.max_body is not None and (request.upgrade or request.length > entry.max_body):
        return "the body's size"
    return entry.conditions.refused(request) if entry.conditions else ""


def _settled(verdict: Verdict, denying: _Open, asking: _Open) -> Verdict:
    """Return an allow rule's verdict, unless what beats it is still open."""
    if denying.needs or asking.needs:
        return _inspect(denying, asking)
    return verdict if denying.limit is None else _within(verdict, denying.limit, verdict.limit)


def _inspect(*left: _Open) -> Verdict:
    rule = next((one.rule for one in left if one.rule is not None), None)
    return Verdict(effect=INSPECT, rule=rule, needs=frozenset().union(*(one.needs for one in left)))


def _within(verdict: Verdict, *limits: int | None) -> Verdict:
    """Return a verdict under the lowest of some limits on the body."""
    known = [one for one in limits if one is not None]
    if not known:
        return verdict
    return Verdict(effect=verdict.effect, rule=verdict.rule, reason=verdict.reason, limit=min(known))


# --- before the request is known, or where it never will be


def connect(host: str, port: int, rules: Rules, schemes: tuple[str, ...] = ("https", "http")) -> Verdict:
    """Decide on a connection before its request is known: allow where some request could be."""
    for entry in rules.deny.about(host):
        if entry.whole and all(entry.denies_door(name, port) for name in schemes):
            return entry.verdict
    doors = {(name, port) for name in schemes}
    asking = [entry for entry in rules.ask.about(host) if not doors.isdisjoint(entry.doors)]
    allowing = [entry for entry in rules.allow.about(host) if not doors.isdisjoint(entry.doors)]
    whole = next((entry for entry in asking if entry.whole), None)
    asked = {door for entry in asking if entry.whole for door in entry.doors}
    for entry in allowing:
        if not (entry.doors & doors) <= asked:  # by some door it needs nobody's word
            return entry.verdict
    if asking:
        return (whole or asking[0]).verdict
    return _unknown(doors, rules)


def _unknown(doors: "set[tuple[str, int]]", rules: Rules) -> Verdict:
    """Ask about a host that no rule knows, where a rule for `*` says so."""
    found = (entry for entry in rules.unknown if not doors.isdisjoint(entry.doors))
    return next((entry.verdict for entry in found), NOTHING_MATCHED)


def opaque(host: str, port: int, rules: Rules) -> Verdict:
    """Decide on TLS that nobody looks into: a rule about requests cannot allow what is not seen."""
    return _unseen("https", host, port, rules)


def opaque_tcp(host: str, port: int, rules: Rules) -> Verdict:
    """Decide on a raw connection: only a rule for `tcp` on this very port allows what nobody looks into.

    A deny rule about the port denies it, whatever else the rule is about: it could be what flows there.
    """
    for entry in rules.deny.about(host):
        if not entry.rule.ports or port in entry.rule.ports:
            return entry.verdict
    return _unseen("tcp", host, port, rules)


def _unseen(scheme: str, host: str, port: int, rules: Rules) -> Verdict:
    for entry in rules.deny.about(host):
        if entry.denies_door(scheme, port):
            return entry.verdict
    for entry in rules.ask.about(host):
        if (scheme, port) in entry.doors:
            return entry.verdict
    for entry in rules.allow.about(host):
        if (scheme, port) in entry.doors and entry.whole:
            return entry.verdict
    return _unknown({(scheme, port)}, rules)


def reachable(host: str, rules: Rules) -> bool:
    """Say whether a name may be resolved at all: some rule could allow or ask about it on some port."""
    denying = rules.deny.about(host)
    if any(one.whole and not one.rule.ports and "https" in one.rule.schemes for one in denying):
        return False
    return bool(rules.unknown or rules.allow.about(host) or rules.ask.about(host))


def vouched(address: str, rules: Rules) -> bool:
    """Say whether the operator named this very address, or a network that holds it, in an allow rule."""
    return is_address(address) and bool(rules.allow.about(address))


def private(host: str, rules: Rules) -> bool:
    """Say whether the operator allows a host as one of the own network: `private = true` in its rule."""
    return any(entry.rule.private for entry in rules.allow.about(host))


def forbidden(address: str, rules: Rules) -> bool:
    """Say whether a deny rule names this address or a network that holds it."""
    return is_address(address) and bool(rules.deny.about(address))
