"""From a parsed file to checked, canonical plain data; every problem found, not only the first.

The result is a *layer*: nested dicts that hold only what the file says, every value in its canonical
spelling, so that `layers` can merge them and `cache` can keep them. Lists have become tuples, a short
egress rule has become a table, `[credentials.NAME]` a dict by name. Which keys there are, and the shape
of their values, is read off the structs in `model`; which values they take is in `forms`.
"""

from ringfence.policy import conditions, forms, model
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Key = tuple["str | int", ...]

MANAGED, USER, PROJECT, PRESET = "managed", "user", "project", "preset"


class Problem(Struct):
    """What is wrong with the value, or with the name, at one key path."""

    path: "Key"
    message: str
    hint: str = ""
    at_name: bool = False  # the mistake is the key itself


def decode(data: "dict[str, Any]", kind: str) -> "tuple[dict[str, Any], list[Problem]]":
    """Check a parsed file of one kind of layer; return the layer and the problems, in no order."""
    problems: list[Problem] = []
    rest = dict(data)
    extra: dict[str, Any] = {}
    if kind == MANAGED and "managed" in rest:
        extra.update(_managed(rest.pop("managed"), problems))
    if kind == PRESET and "indexes" in rest:
        extra["indexes"] = _indexes(rest.pop("indexes"), problems)
    if "managed" in rest:
        del rest["managed"]
        problems.append(
            Problem(path=("managed",), message="`[managed]` stands in the managed policy only", at_name=True)
        )
    layer = _table(model.Policy, rest, (), problems)
    _reserve(layer, problems)
    return {**layer, **extra}, problems


def shape(annotation: object) -> "tuple[str, Any]":
    """Return how a field is written (list, rules, texts, table, named, pairs, maybe, one), and of what."""
    origin = getattr(annotation, "__origin__", None)
    if origin is tuple:
        item = annotation.__args__[0]  # type: ignore[attr-defined]
        if getattr(item, "__origin__", None) is tuple:
            return "pairs", str
        if isinstance(item, type) and issubclass(item, Struct):
            return {model.EgressRule: "rules", model.RuleText: "texts"}.get(item, "named"), item
        return "list", item
    if isinstance(annotation, type):
        return ("table" if issubclass(annotation, Struct) else "one"), annotation
    return "maybe", annotation.__args__[0]  # type: ignore[attr-defined] # X | None


def fields(cls: type[Struct]) -> "dict[str, Any]":
    """Return the fields of a struct that a file may set, with their annotations."""
    return {name: note for name, note in cls.__annotations__.items() if name not in forms.NOT_WRITTEN}


def _table(cls: type[Struct], data: object, path: "Key", problems: list[Problem]) -> "dict[str, Any]":
    if not isinstance(data, dict):
        problems.append(Problem(path=path, message=f"expected a table, found {_kind(data)}"))
        return {}
    known = fields(cls)
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name not in known:
            problems.append(_unknown("key", name, known, (*path, name)))
            continue
        got = _field(cls, value, (*path, name), problems)
        if got is not _BAD:
            found[name] = got
    return found


_BAD = object()


def _field(cls: type[Struct], value: object, path: "Key", problems: list[Problem]) -> "Any":
    name = str(path[-1])
    how, item = shape(cls.__annotations__[name])
    if how == "table":
        return _table(item, value, path, problems)
    if how == "rules":
        return _rules(value, path, problems)
    if how == "named":
        return _named(cls, value, path, problems)
    form = forms.FORMS[cls][name]
    if how == "list":
        return _list(form, value, path, problems)
    if how == "texts":
        found = _list(form, value, path, problems)
        return _BAD if found is _BAD else tuple({"text": text} for text in found)
    if how == "pairs":
        return _pairs(forms.NAMES[cls, name], form, value, path, problems)
    if how == "maybe" and value == forms.UNLIMITED:
        return None
    return _one(form, value, path, problems)


def _one(form: forms.Form, value: object, path: "Key", problems: list[Problem]) -> "Any":
    if not _fits(value, form.kinds):
        problems.append(Problem(path=path, message=f"expected {form.name}, found {_kind(value)}"))
        return _BAD
    try:
        return form.check(value)
    except ValueError as error:
        message = f"{quoted(value)}: {error}" if value != "" else str(error)
        hint = near(value, form.choices) if isinstance(value, str) else ""
        problems.append(Problem(path=path, message=message, hint=hint))
        return _BAD


def _list(form: forms.Form, value: object, path: "Key", problems: list[Problem]) -> "Any":
    """Check a list; a single value stands for a list of one."""
    if not isinstance(value, list):
        one = _one(form, value, path, problems)
        return _BAD if one is _BAD else (one,)
    found = [_one(form, item, (*path, index), problems) for index, item in enumerate(value)]
    return tuple(dict.fromkeys(item for item in found if item is not _BAD))


def _rules(value: object, path: "Key", problems: list[Problem]) -> "Any":
    items = value if isinstance(value, list) else [value]
    rules = [
        _rule(item, (*path, index) if isinstance(value, list) else path, problems)
        for index, item in enumerate(items)
    ]
    return tuple(rule for rule in rules if rule)


def _rule(value: object, path: "Key", problems: list[Problem]) -> "dict[str, Any]":
    if isinstance(value, str):
        return _short_rule(value, path, problems)
    if not isinstance(value, dict):
        message = f'expected a rule (a table, or text such as "api.github.com"), found {_kind(value)}'
        problems.append(Problem(path=path, message=message))
        return {}
    if "host" not in value:
        problems.append(Problem(path=path, message="this rule names no host", hint='add `host = "…"`'))
    before = len(problems)
    rule = _table(model.EgressRule, value, path, problems)
    if len(problems) == before:
        _agree(rule, path, problems)
    return rule


def _agree(rule: "dict[str, Any]", path: "Key", problems: list[Problem]) -> None:
    message = conditions.contradiction(rule)
    if message:
        problems.append(Problem(path=path, message=message))
    if rule.get("host") != model.ANY:
        return
    if "ask" not in path:
        message = "`*` alone would be every host there is: name hosts, or `*.suffix`"
        hint = 'to be asked about every host that no rule knows: `[[egress.ask]]` with `host = "*"`'
        problems.append(Problem(path=path, message=message, hint=hint))
    beyond = sorted(rule.keys() - _OF_ANY)
    if beyond:
        problems.append(Problem(path=path, message=f"a rule about every unknown host takes no `{beyond[0]}`"))


# What a rule about every unknown host may say.
_OF_ANY = frozenset(("host", "schemes", "ports", "methods", "paths", "reason"))


def _short_rule(text: str, path: "Key", problems: list[Problem]) -> "dict[str, Any]":
    """Check the short form; all its problems are at the one string."""
    inner: list[Problem] = []
    try:
        rule = _table(model.EgressRule, forms.rule_from_text(text), (), inner)
        if not inner:
            _agree(rule, path, inner)
    except ValueError as error:
        inner.append(Problem(path=(), message=f"{quoted(text)}: {error}"))
    problems.extend(Problem(path=path, message=one.message, hint=one.hint) for one in inner)
    return {} if inner else rule


def _named(cls: type[Struct], value: object, path: "Key", problems: list[Problem]) -> "Any":
    name = str(path[-1])
    _, item = shape(cls.__annotations__[name])
    if not isinstance(value, dict):
        message = f"expected tables such as `[{name}.NAME]`, found {_kind(value)}"
        problems.append(Problem(path=path, message=message))
        return _BAD
    found = {}
    for key, inner in value.items():
        if _key(forms.NAMES[cls, name], key, (*path, key), problems) is not _BAD:
            found[key] = _table(item, inner, (*path, key), problems)
    return found


def _pairs(keys: forms.Form, form: forms.Form, value: object, path: "Key", problems: list[Problem]) -> "Any":
    if not isinstance(value, dict):
        problems.append(
            Problem(path=path, message=f"expected a table of names and values, found {_kind(value)}")
        )
        return _BAD
    found: dict[str, Any] = {}
    for key, inner in value.items():
        name = _key(keys, key, (*path, key), problems)
        one = _one(form, inner, (*path, key), problems)
        if name in found:
            problems.append(Problem(path=(*path, key), message=f"`{name}` stands here twice", at_name=True))
        elif name is not _BAD and one is not _BAD:
            found[name] = one
    return found


def _key(form: forms.Form, key: str, path: "Key", problems: list[Problem]) -> "Any":
    try:
        return form.check(key)
    except ValueError as error:
        problems.append(Problem(path=path, message=f"{quoted(key)}: {error}", at_name=True))
        return _BAD


def _managed(value: object, problems: list[Problem]) -> "dict[str, Any]":
    if not isinstance(value, dict):
        problems.append(Problem(path=("managed",), message=f"expected a table, found {_kind(value)}"))
        return {}
    known = ("lock", "only_managed_rules", "serial")
    problems.extend(_unknown("key", name, known, ("managed", name)) for name in value if name not in known)
    lock = _list(forms.LOCK, value.get("lock", []), ("managed", "lock"), problems)
    only = _one(
        forms.FLAG, value.get("only_managed_rules", False), ("managed", "only_managed_rules"), problems
    )
    found: dict[str, Any] = {} if lock is _BAD else {"lock": lock}
    if only is True:
        found["lock"] = (*found.get("lock", ()), "commands", "tools")
    if "serial" in value:
        serial = _one(forms.COUNT, value["serial"], ("managed", "serial"), problems)
        found |= {} if serial is _BAD else {"serial": serial}
    return found


def _indexes(value: object, problems: list[Problem]) -> "dict[str, Any]":
    """Check a preset's table of package tools and the public hosts they use by default."""
    if not isinstance(value, dict):
        problems.append(Problem(path=("indexes",), message=f"expected a table, found {_kind(value)}"))
        return {}
    found = {}
    for tool, hosts in value.items():
        if _key(forms.INDEX, tool, ("indexes", tool), problems) is not _BAD:
            found[tool] = _list(forms.PATTERN, hosts, ("indexes", tool), problems)
    return found


def _reserve(layer: "dict[str, Any]", problems: list[Problem]) -> None:
    """Refuse what the fields allow one by one and only together is wrong."""
    for name, given in layer.get("gateways", {}).items():
        if "." in name or "_" in name or name.endswith("-"):
            message = f"`{name}` becomes part of a host name: letters, digits and `-` only"
            problems.append(Problem(path=("gateways", name), message=message, at_name=True))
        if not given.get("upstream") and not _complains(problems, ("gateways", name)):
            problems.append(
                Problem(path=("gateways", name), message="this gateway has no `upstream`", at_name=True)
            )


def _complains(problems: "Iterable[Problem]", path: "Key") -> bool:
    return any(problem.path[: len(path)] == path for problem in problems)


def _fits(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    kinds: dict[type, str] = {str: "a text", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")


def quoted(value: object) -> str:
    """Return a value for a message, shortened and harmless to a terminal."""
    if not isinstance(value, str):
        return f"`{value}`"
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in value[:80])
    return f"`{shown}{'…' if len(value) > 80 else ''}`"


def _unknown(what: str, name: str, known: "Iterable[str]", path: "Key") -> Problem:
    choices = tuple(known)
    hint = near(name, choices) or "known here: " + ", ".join(f"`{one}`" for one in choices)
    return Problem(path=path, message=f"unknown {what} {quoted(name)}", hint=hint, at_name=True)


def near(name: str, choices: tuple[str, ...]) -> str:
    """Return a guess at what was meant. This is the way to an error, so difflib's imports do not matter."""
    if not choices:
        return ""
    import difflib

    close = difflib.get_close_matches(name.lower(), choices, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else ""
