"""Where the operator's own package tools fetch from, so that a mirror works inside without being named again.

Read are the settings of the operator and of the machine: variables, files under the home folder and
under /etc. Never a file of the workspace (`./.npmrc`, `./pip.conf`, `.cargo/config.toml`): a cloned
repository could name any host there, and reading from a host is also talking to it.

What comes out holds no password. A URL loses its user part here, and the operator is told how to declare
a credential instead; the variables for inside are written from what is left. A tool whose setting cannot
travel in a variable (cargo's source replacement, Maven's mirrors) has its file shown inside if, and only
if, nothing in it looks like a secret.
"""

import os

from ringfence import cache
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.subject import split_authority
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

VARIABLES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE",
    "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS",
    "npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_userconfig", "NPM_CONFIG_USERCONFIG",
    "YARN_NPM_REGISTRY_SERVER", "CARGO_HOME",
    "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOENV",
)  # fmt: skip
LARGEST = 1 << 18
_PORTS = {"https": 443, "http": 80}


class Index(Struct):
    """One place that packages come from."""

    tool: str
    scheme: str
    host: str
    port: int
    paths: tuple[str, ...] = ()  # where everything certainly lies below one prefix; else anywhere on the host


class Found(Struct):
    """What the operator's settings say, ready to become rules of a preset."""

    indexes: tuple[Index, ...] = ()
    replaced: tuple[str, ...] = ()  # tools that do not use their public default
    folders: tuple[str, ...] = ()  # local indexes, and settings files that hold no secret
    environment: tuple[tuple[str, str], ...] = ()  # so that the tools inside use the same
    notes: tuple[str, ...] = ()


class Settings(Struct):
    """Where to look."""

    home: str
    variables: "dict[str, str]"
    cache_dir: str = ""
    workspace: str = ""  # files in here do not count
    root: str = ""  # before /etc, for tests


def reader(host: Host, workspace: str = "") -> "Callable[[tuple[str, ...]], Found]":
    """Return what `policy.load.effective` takes as `indexes`: nothing is read before it is called."""

    def indexes(tools: tuple[str, ...]) -> Found:
        variables = probe.settings(VARIABLES)
        settings = Settings(
            home=host.home, variables=variables, cache_dir=host.cache_dir, workspace=workspace
        )
        return find(tools, settings)

    return indexes


def find(tools: "Iterable[str]", settings: Settings) -> Found:
    """Return what the operator's settings say about some package tools."""
    gathered = _Gathered()
    for tool in tools:
        _TOOLS[tool](settings, gathered)
    return gathered.found()


class _Gathered:
    """Collects results, each once."""

    def __init__(self) -> None:
        self.indexes: dict[Index, None] = {}
        self.replaced: dict[str, None] = {}
        self.folders: dict[str, None] = {}
        self.environment: dict[str, str] = {}
        self.notes: dict[str, None] = {}

    def found(self) -> Found:
        return Found(
            indexes=tuple(self.indexes),
            replaced=tuple(self.replaced),
            folders=tuple(self.folders),
            environment=tuple(self.environment.items()),
            notes=tuple(self.notes),
        )

    def url(self, tool: str, text: str, *, below: bool = False) -> str:
        """Take one index URL or folder; return it without its user part, "" where it means nothing."""
        text = text.strip().strip("\"'")
        if text.startswith("file://"):
            return self.folder(text.removeprefix("file://").removeprefix("localhost"), text)
        if text.startswith("/"):
            return self.folder(text, text)
        scheme, mark, rest = text.partition("://")
        scheme = scheme.lower()
        if not mark or scheme not in _PORTS:
            return ""
        authority, slash, path = rest.partition("/")
        user, at, authority = authority.rpartition("@")
        try:
            host, port = split_authority(authority, _PORTS[scheme])
        except ValueError as error:
            self.notes[f"your {tool} setting names a host that cannot be used: {error}"] = None
            return ""
        bare = path.partition("#")[0].partition("?")[0]
        if (at and user) or bare != path:
            self.password(tool, host)
        clean = "/" + bare.strip("/")
        paths = (clean.rstrip("/") + "/**",) if below and _literal(clean) else ()
        self.indexes[Index(tool=tool, scheme=scheme, host=host, port=port, paths=paths)] = None
        return f"{scheme}://{authority}{slash}{bare}"

    def folder(self, path: str, text: str) -> str:
        kept = "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
        parts = kept.split("/")
        if ".." in parts or "%" in kept:
            return ""
        # A simple index names its files as ../../files/…, beside it.
        shown = "/".join(parts[:-1]) if parts[-1] == "simple" and len(parts) > 3 else kept
        self.folders[shown] = None
        return text

    def password(self, tool: str, host: str) -> None:
        self.notes[
            f"your {tool} setting for {host} holds a password or token, which stays outside: "
            f'to let the gate send one, declare [credentials.NAME] with host = "{host}"'
        ] = None


def _literal(path: str) -> bool:
    return path.isascii() and not any(char in path for char in "*?#%\\ ") and "//" not in path


# --- pip and uv --------------------------------------------------------------------------------


def _pip(settings: Settings, found: _Gathered) -> None:
    given = _pip_files(settings)
    for name in ("index-url", "extra-index-url", "find-links", "no-index"):
        variable = "PIP_" + name.upper().replace("-", "_")
        if variable in settings.variables:
            given[name] = settings.variables[variable]
    main = _each("pip", given.get("index-url", ""), found)
    extra = _each("pip", given.get("extra-index-url", ""), found)
    links = _each("pip", given.get("find-links", ""), found)
    if main or given.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        found.replaced["pip"] = None
    _carry(found, {"PIP_INDEX_URL": main, "PIP_EXTRA_INDEX_URL": extra, "PIP_FIND_LINKS": links})
    plain = [one.host for one in found.indexes if one.tool == "pip" and one.scheme == "http"]
    _carry(found, {"PIP_TRUSTED_HOST": plain})
    if "pip" in found.replaced and not main:
        found.environment["PIP_NO_INDEX"] = "1"
    _uv(settings, found, main, extra, links)


def _pip_files(settings: Settings) -> dict[str, str]:
    """Read pip's files in its own order: a later one wins."""
    named = settings.variables.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return {}
    given: dict[str, str] = {}
    for file in (
        settings.root + "/etc/xdg/pip/pip.conf",
        settings.root + "/etc/pip.conf",
        settings.home + "/.pip/pip.conf",
        settings.home + "/.config/pip/pip.conf",
        named,
    ):
        for section, name, value in _ini(_text(file, settings)):
            if section in {"global", "install", "download"}:
                given[name.replace("_", "-").lower()] = value
    return given


def _uv(settings: Settings, found: _Gathered, main: list[str], extra: list[str], links: list[str]) -> None:
    """Read uv's own settings; where it has none it is told pip's, as its default may be out of reach."""
    data = {**_toml(settings.root + "/etc/uv/uv.toml", settings),
            **_toml(settings.home + "/.config/uv/uv.toml", settings)}  # fmt: skip
    tables = [one for one in data.get("index", ()) if isinstance(one, dict)]
    default = settings.variables.get("UV_DEFAULT_INDEX") or settings.variables.get("UV_INDEX_URL") or _string(
        next((one.get("url") for one in tables if one.get("default")), data.get("index-url"))
    )  # fmt: skip
    others = [settings.variables.get("UV_INDEX", ""), settings.variables.get("UV_EXTRA_INDEX_URL", "")]
    others += [_string(one.get("url")) for one in tables if not one.get("default")]
    others += _strings(data.get("extra-index-url"))
    own = _each("pip", default, found)
    if own:
        found.replaced["pip"] = None
    more = _each("pip", " ".join(_unnamed(word) for text in others for word in text.split()), found)
    _carry(
        found,
        {
            "UV_DEFAULT_INDEX": own or main,
            "UV_INDEX": more or extra,
            "UV_FIND_LINKS": _each("pip", settings.variables.get("UV_FIND_LINKS", ""), found) or links,
        },
    )


def _unnamed(word: str) -> str:
    """Drop the name of a UV_INDEX entry such as `internal=https://…`."""
    name, mark, url = word.partition("=")
    return url if mark and "/" not in name else word


# --- npm, yarn, pnpm ---------------------------------------------------------------------------


def _npm(settings: Settings, found: _Gathered) -> None:
    variables = settings.variables
    user = (
        variables.get("npm_config_userconfig")
        or variables.get("NPM_CONFIG_USERCONFIG")
        or settings.home + "/.npmrc"
    )
    given: dict[str, str] = {}
    folders = ("/etc", "/usr/etc", "/usr/local/etc")
    for file in (*(f"{settings.root}{folder}/npmrc" for folder in folders), user):
        for _, name, value in _ini(_text(file, settings)):
            if name == "registry" or (name[:1] == "@" and name.endswith(":registry")):
                given[name] = value
            elif name[:2] == "//" and name.rpartition(":")[2] in {"_authToken", "_auth", "_password"}:
                found.password("npm", name[2:].partition("/")[0])
    given["registry"] = (
        variables.get("npm_config_registry")
        or variables.get("NPM_CONFIG_REGISTRY")
        or given.get("registry", "")
    )
    for name, value in given.items():
        if "${" in value:
            found.notes[f"your npm setting `{name}` holds a variable, and is not used inside"] = None
            continue
        url = found.url("npm", value)
        if not url:
            continue
        _carry(found, {"npm_config_" + name: [url]})
        if name == "registry":
            found.replaced["npm"] = None
    _yarn(settings, found)


def _yarn(settings: Settings, found: _Gathered) -> None:
    given = settings.variables.get("YARN_NPM_REGISTRY_SERVER", "")
    for line in _text(settings.home + "/.yarnrc.yml", settings).splitlines():
        if line.startswith("npmRegistryServer:"):
            given = given or line.partition(":")[2]
    own = found.url("npm", given) if given else found.environment.get("npm_config_registry", "")
    if own:
        _carry(found, {"YARN_NPM_REGISTRY_SERVER": [own]})


# --- cargo, go, maven, apt ---------------------------------------------------------------------


def _cargo(settings: Settings, found: _Gathered) -> None:
    folder = settings.variables.get("CARGO_HOME") or settings.home + "/.cargo"
    for file in (folder + "/config.toml", folder + "/config"):
        data = _toml(file, settings)
        if not data:
            continue
        sources, registries = _tables(data.get("source")), _tables(data.get("registries"))
        replacement = _string(sources.get("crates-io", {}).get("replace-with"))
        for name, source in sources.items():
            for place in ("directory", "local-registry"):
                if source.get(place):
                    found.url("cargo", _string(source[place]))
            found.url("cargo", _string(source.get("registry")).removeprefix("sparse+"))
            if name == replacement:
                found.replaced["cargo"] = None
        for registry in registries.values():
            found.url("cargo", _string(registry.get("index")).removeprefix("sparse+"))
        if sources or registries:
            _show(file, "cargo", found, secret=_holds_secret(data))
        return


def _go(settings: Settings, found: _Gathered) -> None:
    variables = settings.variables
    file = variables.get("GOENV") or settings.home + "/.config/go/env"
    given = {name: value for _, name, value in _ini(_text(file, settings)) if name in VARIABLES}
    given |= {name: variables[name] for name in VARIABLES if name[:2] == "GO" and name in variables}
    proxies = given.pop("GOPROXY", "")
    given.pop("GOENV", None)
    if proxies:
        found.replaced["go"] = None
        kept = [_go_proxy(word, found) for word in proxies.replace("|", ",|,").split(",")]
        clean = ",".join(word for word in kept if word).replace(",|,", "|")
        _carry(found, {"GOPROXY": [clean]})
        if given.get("GOSUMDB", "") != "off":
            found.url("go", "https://sum.golang.org/", below=False)
    _carry(found, {name: [value] for name, value in given.items() if "://" not in value or "@" not in value})


def _go_proxy(word: str, found: _Gathered) -> str:
    word = word.strip()
    return word if word in {"direct", "off", "|"} else found.url("go", word, below=True)


def _maven(settings: Settings, found: _Gathered) -> None:
    file = settings.home + "/.m2/settings.xml"
    text = _text(file, settings)
    mirrors = list(_between(text, "<mirror>", "</mirror>"))
    for mirror in mirrors:
        url = next(_between(mirror, "<url>", "</url>"), "")
        covered = next(_between(mirror, "<mirrorOf>", "</mirrorOf>"), "").split(",")
        if found.url("maven", url) and {"*", "central", "external:*"} & {one.strip() for one in covered}:
            found.replaced["maven"] = None
    if mirrors:
        _show(
            file,
            "Maven",
            found,
            secret=any(word in text for word in ("<password>", "<privateKey>", "<passphrase>")),
        )


def _apt(settings: Settings, found: _Gathered) -> None:
    folder = settings.root + "/etc/apt/sources.list.d"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    for file in (settings.root + "/etc/apt/sources.list", *(f"{folder}/{name}" for name in names)):
        text = _text(file, settings)
        urls = (
            _deb822(text) if file.endswith(".sources") else _one_line(text) if file.endswith(".list") else ()
        )
        for url in urls:
            if found.url("apt", url, below=True):
                found.replaced["apt"] = None


def _one_line(text: str) -> "Iterator[str]":
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["deb"] or words[:1] == ["deb-src"]:
            yield next((word for word in words[1:] if "://" in word), "")


def _deb822(text: str) -> "Iterator[str]":
    for stanza in text.replace("\r", "").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] == "#":
                continue
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + " " + line.strip()
            else:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() not in {"no", "false"}:
            yield from fields.get("uris", "").split()


_TOOLS = {"pip": _pip, "npm": _npm, "cargo": _cargo, "go": _go, "maven": _maven, "apt": _apt}


# --- reading -----------------------------------------------------------------------------------


def _text(path: str, settings: Settings) -> str:
    """Return a settings file's text, "" for one that is missing, odd, or within the workspace."""
    if not path.startswith("/") or _inside(path, settings.workspace):
        return ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, LARGEST).decode("utf-8", "replace").removeprefix("\ufeff")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _inside(path: str, workspace: str) -> bool:
    if not workspace:
        return False
    root = workspace.rstrip("/") + "/"
    return path.startswith(root) or os.path.realpath(path).startswith(root)


def _toml(path: str, settings: Settings) -> "dict[str, Any]":
    text = _text(path, settings)
    if not text:
        return {}
    name = cache.key(b"settings", text.encode("utf-8", "surrogateescape"))
    kept = cache.load(settings.cache_dir, name) if settings.cache_dir else None
    if isinstance(kept, dict):
        return kept
    import tomllib

    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}
    if settings.cache_dir:
        cache.store(settings.cache_dir, name, data)
    return data


def _ini(text: str) -> "Iterator[tuple[str, str, str]]":
    """Yield (section, name, value); an indented line goes on with the value before it."""
    section, name, value = "", "", ""
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if line[0] in " \t" and name and stripped[0] != "[":
            value = f"{value} {stripped}"
            continue
        if name:
            yield section, name, value
        name = ""
        if stripped[0] == "[":
            section = stripped.strip("[]").strip().lower()
            continue
        name, _, value = (part.strip() for part in stripped.partition("=" if "=" in stripped else ":"))
        value = value.strip("\"'")
    if name:
        yield section, name, value


def _each(tool: str, text: str, found: _Gathered) -> list[str]:
    return [url for url in (found.url(tool, word) for word in text.split()) if url]


def _carry(found: _Gathered, variables: "dict[str, list[str]]") -> None:
    for name, values in variables.items():
        text = " ".join(values)
        if text and text.isprintable():
            found.environment[name] = text


def _show(file: str, tool: str, found: _Gathered, *, secret: bool) -> None:
    if secret:
        found.notes[
            f"your {tool} settings in {file} hold a secret, so they stay outside, and inside there are none"
        ] = None
    else:
        found.folders[file] = None


def _holds_secret(value: object) -> bool:
    """Say whether parsed settings may hold a secret: better one file too many outside than one too few."""
    if isinstance(value, dict):
        names = [str(name).lower() for name in value]
        if any(
            word in name for name in names for word in ("token", "password", "secret", "env", "credential")
        ):
            return True
        return any(map(_holds_secret, value.values()))
    if isinstance(value, list):
        return any(map(_holds_secret, value))
    return isinstance(value, str) and "://" in value and "@" in value


def _between(text: str, start: str, end: str) -> "Iterator[str]":
    for part in text.split(start)[1:]:
        yield part.partition(end)[0].strip()


def _tables(value: object) -> "dict[str, dict[str, Any]]":
    inside = value if isinstance(value, dict) else {}
    return {name: one for name, one in inside.items() if isinstance(one, dict)}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else [_string(value)]
