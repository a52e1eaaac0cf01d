"""A policy's rules of one effect, each read once and found by host."""

from ringfence.policy.model import EgressRule
from ringfence.subject import host_matches, path_matches
from ringfence.verdict import conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ringfence.verdict.request import Request, Verdict

_OVERRIDES = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
_OVERRIDE_LENGTHS = frozenset(map(len, _OVERRIDES))
USUAL_PORT = {"https": 443, "http": 80}


class Entry:
    """One rule, read."""

    __slots__ = (
        *("below", "conditions", "doors", "exact", "globs", "max_body", "methods", "paths", "plain"),
        *("rule", "verdict"),
    )

    def __init__(self, rule: EgressRule, verdict: "Verdict") -> None:
        self.rule = rule
        self.verdict = verdict  # where the rule holds and nothing more is to be said
        self.doors = frozenset(
            (scheme, port)
            for scheme in rule.schemes
            for port in rule.ports or ((USUAL_PORT[scheme],) if scheme in USUAL_PORT else ())
        )
        self.methods = frozenset(rule.methods)
        self.paths = rule.paths
        self.exact = frozenset(rule.paths)  # a glob matches itself, too
        self.below = tuple(glob[:-2] for glob in rule.paths if _is_below(glob))
        self.globs = tuple(
            glob for glob in rule.paths if not _is_below(glob) and ("*" in glob or "?" in glob)
        )
        self.conditions = conditions.of(rule)
        self.max_body = rule.max_body
        self.plain = self.conditions is None and rule.max_body is None

    @property
    def whole(self) -> bool:
        """Say whether the rule is about every request to its doors."""
        return self.plain and not self.methods and not self.paths

    def denies_door(self, scheme: str, port: int) -> bool:
        """Say whether a deny rule is about a door: no ports is every port, https is every scheme."""
        rule = self.rule
        if scheme not in rule.schemes and "https" not in rule.schemes:
            return False
        return not rule.ports or port in rule.ports

    def covers_some(self, request: "Request") -> bool:
        """Say whether any reading of the method and any of the path match."""
        if self.methods and request.method not in self.methods and self.methods.isdisjoint(meant(request)):
            return False
        paths = request.paths
        return not self.paths or (self._names(paths[0]) if len(paths) == 1 else any(map(self._names, paths)))

    def covers_all(self, request: "Request") -> bool:
        """Say whether every reading of the method and of the path match."""
        if self.methods and not (request.method in self.methods and self.methods.issuperset(meant(request))):
            return False
        paths = request.paths
        return not self.paths or (self._names(paths[0]) if len(paths) == 1 else all(map(self._names, paths)))

    def names_all(self, paths: tuple[str, ...]) -> bool:
        """Say whether every reading of a path matches."""
        return not self.paths or all(map(self._names, paths))

    def _names(self, path: str) -> bool:
        """Say whether any of the globs matches a path; most are plain, or end in `/**`."""
        if path in self.exact or (self.below and path.startswith(self.below)):
            return True
        return bool(self.globs) and any(path_matches(glob, path) for glob in self.globs)


def meant(request: "Request") -> list[str]:
    """Return the methods that headers ask for in place of the request's own: many frameworks obey them."""
    return [
        value.decode("latin-1").strip().upper()
        for name, value in request.fields
        if len(name) in _OVERRIDE_LENGTHS and name.lower() in _OVERRIDES
    ]


def _is_below(glob: str) -> bool:
    """Say whether a glob is a plain folder and `**`: all that lies below it."""
    return glob[-3:] == "/**" and "*" not in glob[:-2] and "?" not in glob


class Index:
    """Rules of one effect, found by host."""

    def __init__(self, rules: "Iterable[EgressRule]", verdict: "Callable[[EgressRule], Verdict]") -> None:
        self.exact: dict[str, list[Entry]] = {}
        self._suffix: dict[str, list[Entry]] = {}
        self._networks: list[Entry] = []
        for rule in rules:
            entry = Entry(rule, verdict(rule))
            if "/" in rule.host:
                self._networks.append(entry)
            elif rule.host.startswith("*."):
                self._suffix.setdefault(rule.host[2:], []).append(entry)
            else:
                self.exact.setdefault(rule.host, []).append(entry)

    def wildcards(self, host: str) -> list[str]:
        """Return the suffixes whose `*.` a canonical host stands below; none where a rule names the host."""
        if not self._suffix or host in self.exact:
            return []
        found, dot = [], host.find(".")
        while dot >= 0:
            if host[dot + 1 :] in self._suffix:
                found.append(host[dot + 1 :])
            dot = host.find(".", dot + 1)
        return found

    def about(self, host: str) -> "Sequence[Entry]":
        """Return the rules about a canonical host, exact ones first."""
        found: Sequence[Entry] = self.exact.get(host, ())
        if self._suffix:
            dot = host.find(".")
            while dot >= 0:
                more = self._suffix.get(host[dot + 1 :])
                if more:
                    found = [*found, *more]
                dot = host.find(".", dot + 1)
        if self._networks and (host[-1].isdigit() or ":" in host):
            found = [*found, *(entry for entry in self._networks if host_matches(entry.rule.host, host))]
        return found
