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
from ringfence.host import index_files as files
from ringfence.host import probe
from ringfence.host.index_files import Settings
from ringfence.host.model import Host
from ringfence.subject import split_authority
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VARIABLES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE",
    "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS",
    "npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_userconfig", "NPM_CONFIG_USERCONFIG",
    "YARN_NPM_REGISTRY_SERVER", "CARGO_HOME",
    "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOENV",
)  # fmt: skip
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


def reader(host: Host, workspace: str = "") -> "Callable[[tuple[str, ...], str], Found]":
    """Return what `policy.load.effective` takes as `indexes`: nothing is read before it is called."""

    def indexes(tools: tuple[str, ...], root: str = workspace) -> Found:
        variables = probe.settings(VARIABLES)
        folder = cache.usable(host.cache_dir, root) if root else host.cache_dir
        settings = Settings(home=host.home, variables=variables, cache_dir=folder, workspace=root)
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
        for section, name, value in files.ini(files.text(file, settings)):
            if section in {"global", "install", "download"}:
                given[name.replace("_", "-").lower()] = value
    return given


def _uv(settings: Settings, found: _Gathered, main: list[str], extra: list[str], links: list[str]) -> None:
    """Read uv's own settings; where it has none it is told pip's, as its default may be out of reach."""
    data = {**files.toml(settings.root + "/etc/uv/uv.toml", settings),
            **files.toml(settings.home + "/.config/uv/uv.toml", settings)}  # fmt: skip
    tables = [one for one in data.get("index", ()) if isinstance(one, dict)]
    written = next((one.get("url") for one in tables if one.get("default")), data.get("index-url"))
    given = settings.variables.get("UV_DEFAULT_INDEX") or settings.variables.get("UV_INDEX_URL")
    default = given or files.string(written)
    others = [settings.variables.get("UV_INDEX", ""), settings.variables.get("UV_EXTRA_INDEX_URL", "")]
    others += [files.string(one.get("url")) for one in tables if not one.get("default")]
    others += files.strings(data.get("extra-index-url"))
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
        for _, name, value in files.ini(files.text(file, settings)):
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
    for line in files.text(settings.home + "/.yarnrc.yml", settings).splitlines():
        if line.startswith("npmRegistryServer:"):
            given = given or line.partition(":")[2]
    own = found.url("npm", given) if given else found.environment.get("npm_config_registry", "")
    if own:
        _carry(found, {"YARN_NPM_REGISTRY_SERVER": [own]})


# --- cargo, go, maven, apt ---------------------------------------------------------------------


def _cargo(settings: Settings, found: _Gathered) -> None:
    folder = settings.variables.get("CARGO_HOME") or settings.home + "/.cargo"
    for file in (folder + "/config.toml", folder + "/config"):
        data = files.toml(file, settings)
        if not data:
            continue
        sources, registries = files.tables(data.get("source")), files.tables(data.get("registries"))
        replacement = files.string(sources.get("crates-io", {}).get("replace-with"))
        for name, source in sources.items():
            for place in ("directory", "local-registry"):
                if source.get(place):
                    found.url("cargo", files.string(source[place]))
            found.url("cargo", files.string(source.get("registry")).removeprefix("sparse+"))
            if name == replacement:
                found.replaced["cargo"] = None
        for registry in registries.values():
            found.url("cargo", files.string(registry.get("index")).removeprefix("sparse+"))
        if sources or registries:
            _show(file, "cargo", found, secret=files.holds_secret(data))
        return


def _go(settings: Settings, found: _Gathered) -> None:
    variables = settings.variables
    file = variables.get("GOENV") or settings.home + "/.config/go/env"
    given = {name: value for _, name, value in files.ini(files.text(file, settings)) if name in VARIABLES}
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
    text = files.text(file, settings)
    mirrors = list(files.between(text, "<mirror>", "</mirror>"))
    for mirror in mirrors:
        url = next(files.between(mirror, "<url>", "</url>"), "")
        covered = next(files.between(mirror, "<mirrorOf>", "</mirrorOf>"), "").split(",")
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
        text = files.text(file, settings)
        urls = (
            files.deb822(text)
            if file.endswith(".sources")
            else files.one_line(text)
            if file.endswith(".list")
            else ()
        )
        for url in urls:
            if found.url("apt", url, below=True):
                found.replaced["apt"] = None


_TOOLS = {"pip": _pip, "npm": _npm, "cargo": _cargo, "go": _go, "maven": _maven, "apt": _apt}


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
