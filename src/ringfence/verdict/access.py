"""One file that a command or a tool touches: what rules and places say of it."""

from ringfence.shell.facts import DELETE, KNOWN, LIST, PATTERN, READ, WRITE, Access
from ringfence.value import Struct
from ringfence.verdict import globs, places
from ringfence.verdict.paths import PathRules, Route, Sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringfence.policy.toolrules import ToolRule

ALLOW, ASK, DENY = "allow", "ask", "deny"
_TREES = (READ, WRITE, DELETE)


class Look(Struct):
    """What there is to say of one access."""

    deny: "ToolRule | None" = None
    ask: "ToolRule | None" = None
    allow: "ToolRule | None" = None  # that covers every end of it
    risk: str = ""  # for a person to answer, whatever allow rules say
    reason: str = ""  # why it is denied, asked about or risky
    inside: bool = True  # of the workspace, with every end of it
    certain: bool = True
    free: bool = False  # touches no file
    end: str = ""  # where it leads, for messages and suggestions


FREE = Look(free=True)


class PathBook:
    """All path rules, made absolute for one working directory and home."""

    def __init__(self, rules: "Sequence[ToolRule]", cwd: str, home: str | None) -> None:
        self.sets: dict[tuple[str, str], PathRules] = {
            (tool, effect): PathRules(
                [one for one in rules if one.tool == tool and one.effect == effect], cwd, home
            )
            for tool in ("Read", "Edit")
            for effect in (ALLOW, ASK, DENY)
        }

    def about(self, kind: str, effect: str) -> "Iterator[PathRules]":
        """Return the rules that speak of reading or of writing; who may not read may not write either."""
        tools = ("Read",) if kind in {READ, LIST} else ("Edit",) if effect == ALLOW else ("Edit", "Read")
        return (self.sets[tool, effect] for tool in tools if self.sets[tool, effect])


def look(access: Access, sight: Sight, book: PathBook, *, hidden: bool = True) -> Look:
    """Say what rules and places make of one access. Not `hidden`: below a folder only visible names count."""
    value = access.path
    if value.certainty == KNOWN:
        spelled = sight.route(value.text, access.folder).spelled
        if places.device(spelled):
            return FREE
        routes: tuple[Route, ...] = (sight.route(value.text, access.folder),)
        return _judge(access, routes, "", sight, book, hidden=hidden)
    if value.certainty == PATTERN:
        names = sight.expand(value.text, access.folder)
        routes = tuple([sight.route(name, access.folder) for name in names or ()])
        base = access.folder if access.folder is not None else sight.cwd
        pattern = value.text if value.text.startswith("/") else f"{base}/{value.text}"
        return _judge(access, routes, pattern, sight, book, certain=names is not None)
    return Look(certain=False, reason="which file this is cannot be told before it runs")


def _judge(
    access: Access,
    routes: "tuple[Route, ...]",
    pattern: str,
    sight: Sight,
    book: PathBook,
    *,
    certain: bool = True,
    hidden: bool = True,
) -> Look:
    denied, asked = (_ruled(access, routes, effect, sight, book) for effect in (DENY, ASK))
    if denied is not None:
        return Look(deny=denied[0], reason=denied[1])
    risk, reason = _risk(access, routes, pattern, sight, book, hidden=hidden)
    inside = all(sight.inside(route) for route in routes) and (
        bool(routes) or not pattern or sight.relative(_front(pattern)) is not None
    )
    return Look(
        ask=asked[0] if asked else None,
        allow=_granted(access, routes, book),
        risk=risk,
        reason=asked[1] if asked else reason,
        inside=inside,
        certain=certain and all(route.certain for route in routes),
        end=routes[0].end if routes else "",
    )


def _front(pattern: str) -> str:
    """Return the part of a shell pattern before its first wildcard, as a path."""
    kept = []
    for part in pattern.split("/"):
        if not isinstance(globs.segment(part), str):
            break
        kept.append(part)
    from ringfence.verdict.paths import plain

    return plain("/".join(kept))


def _ruled(
    access: Access, routes: "tuple[Route, ...]", effect: str, sight: Sight, book: PathBook
) -> "tuple[ToolRule, str] | None":
    """Find a rule that means some end of the access."""
    for rules in book.about(access.kind, effect):
        for route in routes:
            for path in route.all():
                rule = rules.meant_or_all_below(path, blind=sight.files.case_blind)
                if rule is not None:
                    way = "" if path == route.spelled else f", which leads to {path},"
                    return rule, f"{route.spelled}{way} falls under `{rule.text}`"
    return None


def _risk(
    access: Access,
    routes: "tuple[Route, ...]",
    pattern: str,
    sight: Sight,
    book: PathBook,
    *,
    hidden: bool,
) -> tuple[str, str]:
    """Return the risk of an access that no rule denies, and why."""
    for route in routes:
        for path in route.all():
            risk, reason = place(path, access.kind, sight)
            if risk:
                return risk, reason
    for effect in (DENY, ASK):
        for rules in book.about(access.kind, effect):
            reason = _near(access, routes, pattern, rules, sight, hidden=hidden)
            if reason:
                return "near-denied", reason
    return "", ""


def place(path: str, kind: str, sight: Sight) -> tuple[str, str]:
    """Return the risk of a place itself, and why."""
    inner = sight.relative(path)
    parts = [globs.folded(part) for part in (path if inner is None else inner).split("/") if part]
    writes = kind in {WRITE, DELETE}
    name = places.protected(parts) if writes else ""
    if name:
        return "protected-path", f"{path} is protected ({name}): programs on this machine obey it"
    if inner is not None:
        return "", ""
    name = places.sensitive(path, parts, sight.home)
    if name:
        return "sensitive-path", f"{path} may hold keys or secrets ({name})"
    at_home = sight.home is not None and sight.home != "/" and path.startswith(sight.home + "/")
    name = places.system(path) if writes and not at_home else ""
    return ("system-path", f"{path} belongs to the machine ({name})") if name else ("", "")


def _near(
    access: Access,
    routes: "tuple[Route, ...]",
    pattern: str,
    rules: PathRules,
    sight: Sight,
    *,
    hidden: bool,
) -> str:
    """Say how an access could touch what a rule means, though it does not name it."""
    if pattern:
        rule = rules.could_mean(pattern)
        if rule is not None:
            return f"the pattern could mean a file that `{rule.text}` is about"
    for route in routes:
        rule = rules.meant(route.spelled, blind=True) or rules.meant(route.end, blind=True)
        if rule is not None:
            return f"{route.spelled} is what `{rule.text}` is about, where names have no case"
        if access.kind in _TREES and (access.tree or sight.files.is_folder(route.end)):
            found = rules.below(route.end, sight.files, hidden=hidden)
            if found is not None:
                what = f"holds {found[0]}, which" if found[0] else "is too large to look for files that"
                text = f" `{found[1].text}`" if found[1] is not None else " a rule"
                return f"{route.spelled} {what}{text} is about"
    return ""


def _granted(access: Access, routes: "tuple[Route, ...]", book: PathBook) -> "ToolRule | None":
    """Return the allow rule of an access, where each end of each path has one."""
    found = None
    for route in routes:
        for path in dict.fromkeys((route.spelled, route.end)):
            rule = next((one for rules in book.about(access.kind, ALLOW) if (one := rules.meant(path))), None)
            if rule is None:
                return None
            found = found or rule
    return found
