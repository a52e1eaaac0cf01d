"""How layers become one policy: what each may say, and what wins.

A layer is what `decode` made of one file. Layers are added from the most trusted down: managed, presets,
user, project, command line. Each field is of one of four sorts:

- lists that widen (`use`, `accept`, `files.read`, `egress.allow` …) and lists that narrow (`egress.deny`,
  `workspace.mask` …): the union of all layers, so that nothing can be taken back, a denial least of all;
- entries by name (credentials, gateways, variables, static addresses): a later layer changes an earlier
  one's entry field by field, but never an entry of the managed layer;
- settings with a strict side (tier, workspace mode, limits): the last layer that speaks wins, within the
  bounds that the managed layer set;
- settings without one (`egress.start`): the last layer that speaks wins, but for the managed layer.

Locked sections. In a section that is locked a layer can only narrow: what would widen is left out and
told. The managed policy locks sections for all below it; for a project file that nobody has trusted,
every section is locked.

Invariant: with every section locked, a request that was denied before the layer is denied after it. That
is why an `ask` counts there only under an `allow` that covers it: on its own it would turn a denial into
a question.
"""

from ringfence.policy.conditions import NAMES as CONDITIONS
from ringfence.policy.model import (
    ALARMS,
    CONTENT,
    DEFAULT_MODE,
    MASKED,
    TIERS,
    UNMATCHED,
    Limits,
    ModelBudget,
    Watch,
)
from ringfence.subject import pattern_covers
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Layer = dict[str, Any]

WIDENING = (
    ("", "accept"), ("workspace", "unmask"), ("files", "read"), ("files", "write"), ("files", "state"),
    ("egress", "allow"), ("egress", "splice"), ("egress", "extra_ca"), ("egress", "no_proxy"),
    ("environment", "keep"), ("watch", "environment"), ("watch", "files"), ("watch", "exempt"),
    ("workspace", "keep"), ("review", "auto"), ("commands", "allow"), ("tools", "allow"),
)  # fmt: skip
NARROWING = (
    ("workspace", "mask"), ("workspace", "protect"), ("workspace", "exclude"), ("egress", "deny"),
    ("commands", "deny"), ("tools", "deny"),
)  # fmt: skip
NAMED = (
    ("", "credentials"), ("", "gateways"), ("", "budgets"), ("egress", "static"), ("egress", "resolvers"),
    ("environment", "set"),
)  # fmt: skip
NEUTRAL = (
    ("egress", "start"), ("egress", "proxy_variables"), ("egress", "proxy"), ("egress", "proxy_password"),
    ("egress", "ask_timeout"), ("model", "warn"), ("workspace", "snapshot"), ("workspace", "output"),
    ("commands", "settings"), ("commands", "prompt"), ("commands", "prompt_timeout"),
    ("container", "engine"), ("container", "image"), ("container", "runtime"),
)  # fmt: skip
# Settings whose values have an order, the strictest last, and what holds where no layer speaks.
ORDERED = (
    ("watch", "masked", MASKED, MASKED[-1]), ("watch", "alarm", ALARMS, ALARMS[-1]),
    ("workspace", "content", CONTENT, CONTENT[-1]), ("workspace", "noexec", (False, True), False),
    ("commands", "readonly", (True, False), True), ("commands", "default", UNMATCHED, UNMATCHED[0]),
)  # fmt: skip
EVERYTHING = frozenset(
    (
        "use",
        "tier",
        "accept",
        "workspace",
        "files",
        "egress",
        "credentials",
        "gateways",
        "environment",
        "limits",
        "budgets",
        "model",
        "watch",
        "review",
        "commands",
        "tools",
        "container",
    )
)
STRICTNESS = (
    "direct",
    "overlay",
    "scratch",
    "readonly",
)  # of workspace modes: what a later one forbids, an earlier may allow
LIMITS = Limits.__fields__
MODEL = {name: default for name, default in ModelBudget.__fields__.items() if name != "warn"}
WATCHED = {name: Watch.__fields__[name] for name in ("names", "name_bytes")}
DEFAULTS: "Layer" = {}  # what no layer says is said by the defaults in `model`


class Combined(Struct):
    """The state after some layers."""

    layer: "Layer"
    fixed: "Layer"  # the managed layer: its names and bounds hold against everything below
    ignored: tuple[str, ...] = ()  # what the last layer said in vain


def combine(state: Combined, layer: "Layer", origin: str, locked: "frozenset[str]") -> Combined:
    """Add one layer; in the sections `locked` it can only narrow."""
    merged = _copy(state.layer)
    ignored: list[str] = []
    for section, field in NARROWING:
        _append(merged, section, field, _marked(_get(layer, section, field), origin))
    _asks(merged, layer, origin, ignored, locked="egress" in locked)
    for section in ("commands", "tools"):
        asked = _marked(_get(layer, section, "ask"), origin)
        _append(merged, section, "ask", tuple(_narrow(one) for one in asked) if section in locked else asked)
    for section, field in WIDENING:
        added = _marked(_get(layer, section, field), origin)
        if (section or field) in locked:
            _told_list(merged, section, field, added, ignored)
        else:
            _append(merged, section, field, added)
    for section, field in NAMED:
        shut = (section or field) in locked
        _names(
            merged, layer, (section, field), origin=origin, ignored=ignored, fixed=state.fixed, locked=shut
        )
    for section, field in NEUTRAL:
        _neutral(merged, layer, (section, field), ignored, state.fixed, locked=section in locked)
    _mode(merged, layer, ignored, state.fixed, locked="workspace" in locked)
    _tier(merged, layer, ignored, state.fixed, locked="tier" in locked)
    _quota(merged, layer, ignored, state.fixed, locked="workspace" in locked)
    _limits(merged, layer, ignored, state.fixed, section="limits", fields=LIMITS, locked="limits" in locked)
    _limits(merged, layer, ignored, state.fixed, section="model", fields=MODEL, locked="model" in locked)
    _limits(merged, layer, ignored, state.fixed, section="watch", fields=WATCHED, locked="watch" in locked)
    for section, field, order, default in ORDERED:
        bound = merged if section in locked else state.fixed
        _ordered(merged, layer, (section, field), order, ignored=ignored, bound=bound, default=default)
    return Combined(layer=merged, fixed=state.fixed, ignored=tuple(ignored))


def rule_covers(wide: "Layer", narrow: "Layer") -> bool:
    """Say whether every request under the egress rule `narrow` certainly falls under `wide` too.

    Conditions of `narrow` only make it narrower, so they need no comparing; a `wide` that has some covers
    nothing for certain: an ask rule is read at its widest, where what cannot be read matches.
    """
    return (
        not any(wide.get(name) for name in CONDITIONS)
        and pattern_covers(wide["host"], narrow["host"])
        and _covers(wide.get("schemes") or ("https",), narrow.get("schemes") or ("https",))
        and _covers_if_any(wide.get("ports"), narrow.get("ports"))
        and _covers_if_any(wide.get("methods"), narrow.get("methods"))
        and _covers_if_any(wide.get("paths"), narrow.get("paths"), all_if_empty=True)
    )


def _covers(wide: "tuple[Any, ...]", narrow: "tuple[Any, ...]") -> bool:
    return all(item in wide for item in narrow)


def _covers_if_any(
    wide: "tuple[Any, ...] | None", narrow: "tuple[Any, ...] | None", *, all_if_empty: bool = False
) -> bool:
    if not wide:
        return all_if_empty or not narrow
    return bool(narrow) and _covers(wide, narrow or ())


def _get(layer: "Layer", section: str, field: str) -> "Any":
    inside = layer.get(section, {}) if section else layer
    return inside.get(field)


def _put(layer: "Layer", section: str, field: str, value: object) -> None:
    inside = layer.setdefault(section, {}) if section else layer
    inside[field] = value


def _copy(layer: "Layer") -> "Layer":
    """Copy as deep as merging writes."""
    return {
        name: {key: dict(one) if isinstance(one, dict) else one for key, one in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in layer.items()
    }


def _marked(items: "tuple[Any, ...] | None", origin: str) -> "tuple[Any, ...]":
    """Write into every rule where it comes from, unless it says so already."""
    return tuple({"origin": origin, **item} if isinstance(item, dict) else item for item in items or ())


def _narrow(rule: "Layer") -> "Layer":
    """Mark a rule that asks so that it never turns a denial into a question."""
    return {**rule, "narrow": True}


def _append(merged: "Layer", section: str, field: str, added: "tuple[Any, ...]") -> None:
    if not added:
        return
    present = _get(merged, section, field) or ()
    for item in added:
        if not _present(item, present):
            present = (*present, item)
    _put(merged, section, field, present)


def _present(item: "Any", present: "tuple[Any, ...]") -> bool:
    if not isinstance(item, dict):
        return item in present
    return any(_same_rule(item, other) for other in present)


def _same_rule(one: "Layer", other: "Layer") -> bool:
    if one.get("host") != other.get("host"):
        return False
    return {**one, "origin": ""} == {**other, "origin": ""}


def _told_list(
    merged: "Layer", section: str, field: str, added: "tuple[Any, ...]", ignored: list[str]
) -> None:
    present = _get(merged, section, field) or ()
    name = f"{section}.{field}" if section else field
    ignored.extend(f"{name} {_shown(item)}" for item in added if not _present(item, present))


def _shown(item: "Any") -> str:
    if not isinstance(item, dict):
        return str(item)
    if "text" in item:
        return str(item["text"])
    ports = ":" + ",".join(map(str, item["ports"])) if item.get("ports") else ""
    methods = ",".join(item.get("methods", ())) + " " if item.get("methods") else ""
    conditions = "".join(f" {name}" for name in CONDITIONS if item.get(name))
    return f"{methods}{item['host']}{ports}{'|'.join(item.get('paths', ()))}{conditions}"


def _asks(merged: "Layer", layer: "Layer", origin: str, ignored: list[str], *, locked: bool) -> None:
    allowed = _get(merged, "egress", "allow") or ()
    for rule in _marked(_get(layer, "egress", "ask"), origin):
        if not locked or any(rule_covers(wide, rule) for wide in allowed):
            _append(merged, "egress", "ask", (rule,))
        else:
            ignored.append(f"egress.ask {rule['host']}")


def _names(
    merged: "Layer",
    layer: "Layer",
    place: tuple[str, str],
    *,
    origin: str,
    ignored: list[str],
    fixed: "Layer",
    locked: bool,
) -> None:
    given = _get(layer, *place) or {}
    if not given:
        return
    present = dict(_get(merged, *place) or {})
    reserved = _get(fixed, *place) or {}
    for name, value in given.items():
        after = {**present.get(name, {"origin": origin}), **value} if isinstance(value, dict) else value
        if present.get(name) == after:
            continue
        if locked or name in reserved:
            ignored.append(f"{'.'.join(filter(None, place))}.{name}")
        else:
            present[name] = after
    _put(merged, *place, present)


def _neutral(
    merged: "Layer",
    layer: "Layer",
    place: tuple[str, str],
    ignored: list[str],
    fixed: "Layer",
    *,
    locked: bool,
) -> None:
    given = _get(layer, *place)
    if given is None or given == _get(merged, *place):
        return
    if locked or _get(fixed, *place) is not None:
        ignored.append(".".join(place))
    else:
        _put(merged, *place, given)


def _mode(merged: "Layer", layer: "Layer", ignored: list[str], fixed: "Layer", *, locked: bool) -> None:
    given = _get(layer, "workspace", "mode")
    if given is None:
        return
    current = _get(merged, "workspace", "mode") or DEFAULT_MODE
    floor = current if locked else _get(fixed, "workspace", "mode") or STRICTNESS[0]
    if STRICTNESS.index(given) >= STRICTNESS.index(floor):
        _put(merged, "workspace", "mode", given)
    elif given != current:
        ignored.append(f"workspace.mode {given}")


def _tier(merged: "Layer", layer: "Layer", ignored: list[str], fixed: "Layer", *, locked: bool) -> None:
    given = layer.get("tier")
    if not given:
        return
    current = merged.get("tier") or TIERS[:1]
    floor = (current if locked else fixed.get("tier") or TIERS[:1])[-1]
    strong = tuple(tier for tier in given if TIERS.index(tier) >= TIERS.index(floor))
    ignored.extend(f"tier {tier}" for tier in given if tier not in strong)
    if strong:
        merged["tier"] = strong


def _ordered(
    merged: "Layer",
    layer: "Layer",
    place: tuple[str, str],
    order: "tuple[Any, ...]",
    *,
    ignored: list[str],
    bound: "Layer",
    default: "Any",
) -> None:
    """Take a setting whose values have an order, the strictest last; `bound` says how lax it may be."""
    given = _get(layer, *place)
    if given is None:
        return
    current = _get(merged, *place)
    current = default if current is None else current
    floor = _get(bound, *place)
    if floor is None:
        floor = current if bound is merged else order[0]
    if order.index(given) >= order.index(floor):
        _put(merged, *place, given)
    elif given != current:
        ignored.append(f"{'.'.join(place)} {str(given).lower()}")


def _limits(
    merged: "Layer",
    layer: "Layer",
    ignored: list[str],
    fixed: "Layer",
    *,
    section: str,
    fields: "Layer",
    locked: bool,
) -> None:
    for name in layer.get(section, {}):
        if name in fields:
            place = (section, name)
            _bounded(merged, layer, place, ignored, fixed, default=fields[name], locked=locked)


def _quota(merged: "Layer", layer: "Layer", ignored: list[str], fixed: "Layer", *, locked: bool) -> None:
    if "quota" in layer.get("workspace", {}):
        place = ("workspace", "quota")
        _bounded(merged, layer, place, ignored, fixed, default=None, locked=locked)


def _bounded(
    merged: "Layer",
    layer: "Layer",
    place: tuple[str, str],
    ignored: list[str],
    fixed: "Layer",
    *,
    default: "Any",
    locked: bool,
) -> None:
    """Set a number that may not exceed what stands above it; None is no limit."""
    given = _get(layer, *place)
    current = merged.get(place[0], {}).get(place[1], default)
    bound = current if locked else fixed.get(place[0], {}).get(place[1])
    if bound is None or (given is not None and given <= bound):
        _put(merged, *place, given)
    elif given != current:
        ignored.append(".".join(place))
