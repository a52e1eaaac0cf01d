"""Presets that take an argument: `use = ["github-push:acme/app@agent/*", "npm-only:react,left-pad"]`.

In such a preset's file `{name}` stands for a part of the argument. A list's item that holds one is repeated
for each of the names given. The argument is checked by its kind before anything is filled in, and what
comes out is decoded like any other file.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Names = dict[str, str]

# What each of these presets takes. Invariant: a preset whose file holds `{` has a line here; a test compares.
KINDS = {
    "claude-bedrock": "region",
    "claude-vertex": "project",
    "github-fetch": "repository",
    "github-push": "repository",
    "npm-only": "npm",
    "pypi-only": "pypi",
}
SHAPES = {
    "region": "a region of AWS: claude-bedrock:us-east-1",
    "project": "PROJECT/REGION, or PROJECT/global: claude-vertex:acme-prod/us-east5",
    "repository": "OWNER/NAME, and after `@` the branches: github-push:acme/app@agent/*",
    "npm": "names of packages: npm-only:react,@babel/core",
    "pypi": "names of packages: pypi-only:requests,numpy",
}
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def split(use: str) -> tuple[str, str]:
    """Split what `use` names into preset and argument."""
    name, _, argument = use.partition(":")
    return name, argument


def wrong(use: str) -> str:
    """Say what is wrong with a preset's argument, or return ""."""
    name, colon, argument = use.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        return f"the preset `{name}` takes no argument" if colon else ""
    try:
        _bindings(kind, argument)
    except ValueError as error:
        return f"the preset `{name}` takes {SHAPES[kind]} ({error})"
    return ""


def filled(data: "dict[str, Any]", use: str) -> "dict[str, Any]":
    """Return a preset's parsed file with the argument in its place."""
    name, argument = split(use)
    kind = KINDS.get(name)
    return (
        data
        if kind is None
        else {key: _value(value, _bindings(kind, argument)) for key, value in data.items()}
    )


def _value(value: "Any", bindings: "list[Names]") -> "Any":
    if isinstance(value, dict):
        return {key: _value(one, bindings) for key, one in value.items()}
    if isinstance(value, list):
        return [
            _value(one, bindings) if not isinstance(one, str) else one for one in _repeated(value, bindings)
        ]
    return _text(value, bindings[0]) if isinstance(value, str) else value


def _repeated(items: "list[Any]", bindings: "list[Names]") -> "list[Any]":
    found: list[Any] = []
    for item in items:
        if isinstance(item, str) and "{" in item:
            found.extend(_text(item, names) for names in bindings)
        else:
            found.append(item)
    return found


def _text(text: str, names: "Names") -> str:
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return text


def _bindings(kind: str, argument: str) -> "list[Names]":
    if not argument:
        raise ValueError("nothing is given")
    if kind == "repository":
        return [_repository(argument)]
    if kind in {"region", "project"}:
        return [(_region if kind == "region" else _project)(argument)]
    return [(_npm if kind == "npm" else _pypi)(name) for name in argument.split(",")]


def _region(region: str) -> "Names":
    if not _label(region):
        raise ValueError(f"`{region}` is no region")
    return {"region": region}


def _project(argument: str) -> "Names":
    """Return a project of Google Cloud's, and the endpoint that a region of Vertex AI has."""
    project, slash, region = argument.partition("/")
    if not slash or not _label(project) or not _label(region):
        raise ValueError("a project is written with its region")
    name = "aiplatform.googleapis.com"
    endpoint = {
        "global": name,
        "us": "aiplatform.us.rep.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
    }
    return {"project": project, "region": region, "endpoint": endpoint.get(region, f"{region}-{name}")}


def _label(text: str) -> bool:
    """Say whether a text can be one label of a host name, as it is."""
    return 0 < len(text) <= 40 and set(text) <= _LABEL and text[0] != "-" != text[-1]


def _repository(argument: str) -> "Names":
    repository, mark, branch = argument.partition("@")
    owner, slash, name = repository.removesuffix(".git").partition("/")
    if not slash or not _plain(owner) or not _plain(name):
        raise ValueError("a repository is OWNER/NAME")
    if mark and (not branch or not all(_plain(part, glob=True) for part in branch.split("/"))):
        raise ValueError("branches are a name, or a pattern such as agent/*")
    return {"repository": f"{owner}/{name}", "branch": branch or "**"}


def _npm(name: str) -> "Names":
    """Return a package's name as its URL has it: npm writes the slash of a scope encoded."""
    scope, slash, rest = name.partition("/")
    plain = _plain(scope[1:]) and _plain(rest, glob=True) if slash else _plain(scope)
    if not plain or (scope[:1] == "@") != bool(slash):
        raise ValueError(f"`{name}` is no package of npm's")
    return {"name": name, "encoded": name.replace("/", "%2F")}


def _pypi(name: str) -> "Names":
    """Return a project's name as the index has it, and as its files may begin (PEP 503, PEP 625)."""
    if not _plain(name):
        raise ValueError(f"`{name}` is no project of PyPI's")
    plain = name.lower().replace("_", "-").replace(".", "-")
    while "--" in plain:
        plain = plain.replace("--", "-")
    return {"name": plain, "file": plain.replace("-", "?"), "written": name}


def _plain(text: str, *, glob: bool = False) -> bool:
    """Say whether a part of a name is harmless: no dots alone, nothing that has a meaning elsewhere."""
    allowed = _NAME | {"*"} if glob else _NAME
    return (
        bool(text) and set(text) <= allowed and text.strip(".") != "" and ("**" not in text or text == "**")
    )
