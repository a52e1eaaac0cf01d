"""What each field of a policy file may hold: one table behind decoding, the JSON Schema and the docs.

The shape of a field (one value, a list, a table) comes from the annotation in `model`; what its values
may be comes from here. A form turns a written value into its one canonical spelling, or raises
ValueError with the reason.
"""

from ringfence.policy import conditions, endpoints, kinds, model, ruletext
from ringfence.subject import (
    canonical_host,
    canonical_pattern,
    check_glob,
    duration,
    size,
    split_authority,
)
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UNLIMITED = "unlimited"  # lifts a limit that a lower layer or the default sets
LOCKABLE = (
    "use", "tier", "accept", "workspace", "files",
    "egress", "credentials", "gateways", "environment", "limits", "budgets", "model", "watch",
    "review", "commands", "tools", "container",
)  # fmt: skip
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_NAME = _LETTERS | _DIGITS | {"-", "_"}
_ARGUMENT = _NAME | frozenset("./@*,")
_TOKEN = _LETTERS | _DIGITS | frozenset("!#$%&'*+-.^_`|~")  # RFC 9110 §5.6.2, lower case
# Headers that frame the message or name its target: the gate writes these itself.
_FRAMING = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "keep-alive",
     "proxy-connection", "proxy-authorization", "expect")
)  # fmt: skip


class Form(Struct):
    """One kind of value: how it is checked, and how the JSON Schema describes it."""

    name: str  # for messages: "expected a size"
    check: "Callable[[Any], Any]"
    kinds: tuple[type, ...]  # what TOML or JSON may give; bool counts as int only where named
    schema: "dict[str, Any]"
    choices: tuple[str, ...] = ()


def _text(value: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("control characters do not belong here")
    return value


def _slug(value: str) -> str:
    if not value or value[0] not in _LETTERS | _DIGITS or any(char not in _NAME for char in value):
        raise ValueError("a name is made of lower-case letters, digits, `-` and `_`")
    return value


def _use(value: str) -> str:
    name, colon, argument = value.partition(":")
    _slug(name)
    if colon and (not argument or any(char not in _ARGUMENT for char in argument.lower())):
        raise ValueError("what stands behind a preset's `:` is made of letters, digits and `._/@*,-`")
    return value


def _variable(value: str) -> str:
    letters = value.isascii() and value.replace("_", "a").isalnum()
    if not letters or value[:1].isdigit():
        raise ValueError("a variable's name is made of letters, digits and `_`")
    return value


def _variables(value: str) -> str:
    if value == "*":
        raise ValueError("`*` alone would take over the whole environment: name variables, or a PREFIX*")
    _variable(value.removesuffix("*"))
    return value


def _rule_host(value: str) -> str:
    return value if value == model.ANY else canonical_pattern(value)


def _port(value: int) -> int:
    if not 1 <= value <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return value


def _method(value: str) -> str:
    if not value or any(char not in _TOKEN for char in value.lower()):
        raise ValueError("a method is a word such as GET")
    if value.upper() in {"CONNECT", "TRACE"}:
        raise ValueError(f"{value.upper()} is never forwarded, so no rule can be about it")
    return value.upper()


def _url_glob(value: str) -> str:
    check_glob(value)
    if value[:1] != "/":
        raise ValueError("a path starts with `/`")
    if "//" in value or "#" in value:
        raise ValueError("a path has neither `//` nor `#`")
    if not value.isascii() or any(char <= " " or char == "\x7f" for char in value):
        raise ValueError("a path is written percent-encoded, as in a URL")
    return value


def _place(value: str) -> str:
    """Check a path on this machine: absolute or under ~, one spelling."""
    _text(value)
    if value != "~" and value[:1] != "/" and value[:2] != "~/":
        raise ValueError("a path here is absolute or starts with `~/`")
    segments = value.split("/")
    if ".." in segments:
        raise ValueError("a path here has no `..`")
    if "*" in value or "?" in value:
        raise ValueError("a path here is no pattern")
    kept = [segment for segment in segments[1:] if segment not in {"", "."}]
    return "/".join([segments[0], *kept]) or "/"


def _state(value: str) -> str:
    place = _place(value)
    if place[:2] != "~/":
        raise ValueError("kept state is a folder under `~/`")
    return place


def _kept(value: str) -> str:
    """Check a folder of the workspace, relative to it."""
    _text(value)
    parts = value.removesuffix("/").split("/")
    if value[:1] in {"/", "~"} or not all(parts) or {".", ".."}.intersection(parts):
        raise ValueError("a kept folder is relative to the workspace, without `.` and `..`")
    if "*" in value or "?" in value:
        raise ValueError("a kept folder is no pattern: name each one")
    if ".git" in parts:
        raise ValueError("what lies in `.git` cannot be kept apart from the project")
    return "/".join(parts)


def _header(value: str) -> str:
    name = value.lower()
    if not name or any(char not in _TOKEN for char in name):
        raise ValueError("a header's name is a word such as authorization")
    if name in _FRAMING:
        raise ValueError(f"`{name}` belongs to the gate")
    return name


def _header_condition(value: str) -> str:
    name, glob, there = conditions.split_header(_header_text(value))
    _header(name)
    if not there:
        return f"!{name}"
    return name if glob is None else f"{name}: {glob}"


def _header_text(value: str) -> str:
    if not value.isascii():
        raise ValueError("a header's value is ASCII")
    return _text(value)


def _source(value: str) -> str:
    return kinds.source(_text(value), _variable, _place, _words)


def _words(text: str) -> None:
    import shlex

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the command cannot be split into words: {str(error).lower()}") from None
    if not words:
        raise ValueError("the command is empty")


def _upstream(value: str) -> str:
    if value[:8].lower() != "https://":
        raise ValueError("an upstream is written as https://host, with a port and a prefix if need be")
    authority, slash, path = value[8:].partition("/")
    if "@" in authority:
        raise ValueError("no user or password belongs into a URL: declare a credential for the host")
    host, port = split_authority(authority, 443)
    if slash and path:
        _url_glob("/" + path)
        if "*" in path or "?" in path:
            raise ValueError("an upstream's prefix is no pattern and has no query")
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}{'' if port == 443 else f':{port}'}{(slash + path).rstrip('/')}"


def _count(value: int) -> int:
    if value <= 0:
        raise ValueError("this is a number above 0")
    return value


def _bytes(value: "int | str") -> int:
    return _count(value) if isinstance(value, int) else size(value)


def _seconds(value: "float | str") -> float:
    if isinstance(value, str):
        return duration(value)
    return _some(value)


def _some(value: float) -> float:
    if not 0 < value < 1e12:  # also false for NaN
        raise ValueError("this is a number above 0")
    return float(value)


def _or(choices: tuple[str, ...]) -> str:
    quoted = [f"`{one}`" for one in choices]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


def _choice(name: str, choices: tuple[str, ...]) -> Form:
    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"expected {_or(choices)}")
        return value

    return Form(name=name, check=check, kinds=(str,), schema={"enum": list(choices)}, choices=choices)


def _string(name: str, check: "Callable[[str], str]", **schema: object) -> Form:
    return Form(name=name, check=check, kinds=(str,), schema={"type": "string", **schema})


TEXT = _string("a text", _text)
FLAG = Form(name="true or false", check=bool, kinds=(bool,), schema={"type": "boolean"})
PORT = Form(
    name="a port", check=_port, kinds=(int,), schema={"type": "integer", "minimum": 1, "maximum": 65535}
)
COUNT = Form(name="a number", check=_count, kinds=(int,), schema={"type": "integer", "minimum": 1})
NUMBER = Form(
    name="a number", check=_some, kinds=(int, float), schema={"type": "number", "exclusiveMinimum": 0}
)
SIZE = Form(
    name="a size such as \"2G\"", check=_bytes, kinds=(int, str),
    schema={"anyOf": [{"type": "integer", "minimum": 1},
                      {"type": "string", "pattern": "^[0-9.]+[KMGTkmgt]?(i?[Bb])?$"}]},
)  # fmt: skip
SECONDS = Form(
    name="a duration such as \"30m\"", check=_seconds, kinds=(int, float, str),
    schema={"anyOf": [{"type": "number", "exclusiveMinimum": 0},
                      {"type": "string", "pattern": "^([0-9.]+(ms|s|m|h|d))+$"}]},
)  # fmt: skip
SLUG = _string("a name", _slug, pattern="^[a-z0-9][a-z0-9_-]*$")
USE = _string("a name", _use, pattern="^[a-z0-9][a-z0-9_-]*(:[A-Za-z0-9._/@*,-]+)?$")
HOST = _string("a host", canonical_host)
PATTERN = _string("a host, `*.suffix` or network", canonical_pattern)
GLOB = _string("a pattern", check_glob)
PLACE = _string("a path", _place, pattern="^(/|~(/|$))")
VARIABLE = _string("a variable's name", _variable, pattern="^[A-Za-z_][A-Za-z0-9_]*$")
HEADER = _string("a header's name", _header)
IDENTIFIER = Form(name="an id", check=kinds.number, kinds=(int, str), schema={"type": ["integer", "string"]})
_RULE_TEXTS = {
    effect: Form(name="a rule", check=ruletext.checker(effect), kinds=(str,), schema={"type": "string"})
    for effect in (model.ALLOW, model.ASK, model.DENY)
}

# Invariant: every field of these classes but NOT_WRITTEN has a line here; a test compares.
FORMS: "dict[type[Struct], dict[str, Form]]" = {
    model.EgressRule: {
        "host": _string("a host, `*.suffix` or network", _rule_host),
        "ports": PORT,
        "schemes": _choice("a scheme", ("https", "http", "tcp")),
        "methods": _string("a method", _method),
        "paths": _string("a path", _url_glob, pattern="^/"),
        "private": FLAG,
        "reason": TEXT,
        "query": _string("a query key", conditions.query_key),
        "headers": _string("a condition on a header", _header_condition),
        "content_types": _string("a content type", conditions.media_type),
        "max_body": SIZE,
        "graphql": _string("a GraphQL operation", conditions.graphql),
        "git": _string("a git action", conditions.git, pattern="^(fetch|push|delete) "),
    },
    model.Egress: {
        "splice": PATTERN,
        "start": _choice("when the gate starts", ("first-connection", "early")),
        "proxy_variables": FLAG,
        "extra_ca": PLACE,
        "ask_timeout": SECONDS,
        "static": _string("an address or address:port", endpoints.static),
        "proxy": _string("a proxy's URL", endpoints.proxy, pattern="^(http|socks5)://"),
        "proxy_password": _string("a source", _source),
        "no_proxy": PATTERN,
        "resolvers": _string("address:port", endpoints.nameserver),
    },
    model.Credential: {
        "source": _string("a source", _source, pattern=f"^({'|'.join(kinds.SOURCES)}):"),
        "host": _string("a host", kinds.host),
        "port": PORT,
        "header": HEADER,
        "prefix": _string("a text", _header_text),
        "strip": HEADER,
        "placeholder": _string("a text", _header_text),
        "environment": VARIABLE,
        "optional": FLAG,
        "kind": _choice("a kind of credential", tuple(kinds.KINDS)),
        "schemes": _choice("a scheme", ("https", "http")),
        "user": _string("a user", _header_text),
        "field": _string("a name", kinds.field),
        "places": _string("a place", kinds.place, pattern="^(header|query|form|json):"),
        "regions": _string("a region", kinds.word),
        "services": _string("a service", kinds.word),
        "token_url": _string("a URL", kinds.url, pattern="^https?://"),
        "grant": _choice("a grant", kinds.GRANTS),
        "client_id": _string("a client's id", kinds.token),
        "client_auth": _choice("a way", kinds.CLIENT_AUTH),
        "scopes": _string("a scope", kinds.token),
        "audience": _string("an audience", kinds.token),
        "app": IDENTIFIER,
        "installation": IDENTIFIER,
        "repositories": _string("a repository's name", kinds.token),
        "permissions": _choice("a permission", ("read", "write", "admin")),
        "source_url": _string("a URL", kinds.url, pattern="^https?://"),
        "source_ca": PLACE,
    },
    model.Gateway: {"upstream": _string("a URL", _upstream, pattern="^https://"), "environment": VARIABLE},
    model.Workspace: {
        "mode": _choice("a mode", model.WORKSPACE_MODES),
        "mask": GLOB,
        "unmask": GLOB,
        "protect": GLOB,
        "keep": _string("a folder of the workspace", _kept),
        "exclude": GLOB,
        "quota": SIZE,
        "snapshot": FLAG,
        "output": PLACE,
        "noexec": FLAG,
        "content": _choice("what happens", model.CONTENT),
    },
    model.Files: {
        "read": PLACE,
        "write": PLACE,
        "state": _string("a folder under ~/", _state, pattern="^~/"),
    },
    model.Environment: {"set": TEXT, "keep": _string("a variable's name or PREFIX*", _variables)},
    model.Limits: {
        "memory": SIZE,
        "cpus": NUMBER,
        "processes": COUNT,
        "file_size": SIZE,
        "open_files": COUNT,
        "wall_time": SECONDS,
        "scratch": SIZE,
    },
    model.Budget: {"host": PATTERN, "requests": COUNT, "up": SIZE, "down": SIZE},
    model.ModelBudget: {
        "session_tokens": COUNT,
        "session_cost": NUMBER,
        "day_tokens": COUNT,
        "day_cost": NUMBER,
        "warn": NUMBER,
    },
    model.Watch: {
        "masked": _choice("what happens", model.MASKED),
        "environment": VARIABLE,
        "files": _string("a file under ~/", _state, pattern="^~/"),
        "alarm": _choice("what happens", model.ALARMS),
        "exempt": PATTERN,
        "names": COUNT,
        "name_bytes": SIZE,
    },
    model.Review: {"auto": GLOB},
    model.Commands: {
        **_RULE_TEXTS,
        "readonly": FLAG,
        "default": _choice("an answer", model.UNMATCHED),
        "settings": _choice("a client", model.SETTINGS),
        "prompt": _choice("who asks", (model.CLIENT, model.APPROVE)),
        "prompt_timeout": SECONDS,
    },
    model.Tools: _RULE_TEXTS,
    model.Container: {
        "engine": _choice("an engine", model.ENGINES),
        "image": _string("an image", kinds.image),
        "runtime": _string("a runtime", kinds.runtime),
    },
    model.Policy: {"use": USE, "tier": _choice("a tier", model.TIERS), "accept": SLUG},
}
NOT_WRITTEN = frozenset(("origin", "origins", "notes", "digest", "name", "closed"))
# Keys of tables whose keys are the author's own.
NAMES = {
    (model.Policy, "credentials"): SLUG,
    (model.Policy, "gateways"): SLUG,
    (model.Policy, "budgets"): SLUG,
    (model.Environment, "set"): VARIABLE,
    (model.Egress, "static"): _string("a host", endpoints.static_name),
    (model.Egress, "resolvers"): HOST,
    (model.Credential, "permissions"): SLUG,
}
LOCK = _choice("a section", LOCKABLE)
INDEX = _choice("a package tool", ("pip", "npm", "cargo", "go", "apt", "maven"))

_USUAL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def rule_from_text(text: str) -> "dict[str, Any]":
    """Read the short form of an egress rule: `[GET,HEAD ][https://]host[:port][/path]`, unchecked.

    `tcp://host:port` is any bytes to a port; what else a rule can say has no short form.
    """
    methods, space, target = text.strip().rpartition(" ")
    rule: dict[str, Any] = {}
    if space:
        rule["methods"] = named = methods.replace(" ", "").split(",")
        unknown = [one for one in named if one.upper() not in _USUAL_METHODS and one != one.upper()]
        if unknown:
            raise ValueError(
                f"`{unknown[0]}` is not a method: a host stands alone or after methods, as in `GET host`"
            )
    scheme, mark, rest = target.partition("://")
    if mark:
        rule["schemes"] = [scheme.lower()]
    else:
        rest = target
    if _is_network(rest):
        return {**rule, "host": rest}
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]") or (":" in host.strip("[]") and host[:1] != "["):
        host = authority
    elif port.isascii() and port.isdigit():
        rule["ports"] = [int(port)]
    else:
        raise ValueError("a port is a number from 1 to 65535")
    if slash and path:
        rule["paths"] = [slash + path]
    return {**rule, "host": host}


def _is_network(text: str) -> bool:
    base, slash, length = text.partition("/")
    return bool(slash) and length.isdigit() and (base.count(":") > 1 or base.replace(".", "").isdigit())
