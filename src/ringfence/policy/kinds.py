"""The kinds of credentials and sources: what each needs in a policy, and how its fields are written.

A field that a credential's kind does not use is an error: `places` beside `kind = "bearer"` is a
misunderstanding, and the secret would go somewhere else than its author thinks.
"""

from ringfence.subject import canonical_host, canonical_pattern, split_authority

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ringfence.policy.model import Credential

HEADER, BEARER, BASIC, GIT = "header", "bearer", "basic", "git"
QUERY, COOKIE, PLACEHOLDER, AWS = "query", "cookie", "placeholder", "aws"
OAUTH, GITHUB_APP, GOOGLE, MTLS = "oauth", "github-app", "google", "mtls"

# kind -> (fields it needs, fields it may have beside those that every credential has)
_FIELD = ("header", "prefix")
_TOKEN = ("token_url", "scopes", "audience", *_FIELD)
KINDS: "dict[str, tuple[tuple[str, ...], tuple[str, ...]]]" = {
    HEADER: ((), _FIELD),
    BEARER: ((), _FIELD),
    BASIC: ((), ("user",)),
    GIT: ((), ("user",)),
    QUERY: (("field",), ()),
    COOKIE: (("field",), ()),
    PLACEHOLDER: (("places",), ()),
    AWS: ((), ("regions", "services")),
    OAUTH: (("token_url",), ("grant", "client_id", "client_auth", *_TOKEN)),
    GITHUB_APP: (("app", "installation"), ("token_url", "repositories", "permissions")),
    GOOGLE: ((), ("token_url", "scopes", "audience")),
    MTLS: ((), ()),
}  # fmt: skip
# Every credential has these.
COMMON = frozenset(
    ("kind", "source", "host", "port", "schemes", "strip", "placeholder", "environment", "optional",
     "origin", "source_url", "source_ca")
)  # fmt: skip

SOURCES = ("env", "file", "command", "keyring", "dotenv", "vault", "aws-sm", "systemd", "workspace")
_SECRET_VARIABLES = {
    "vault": ("VAULT_TOKEN", "VAULT_SECRET_ID", "BAO_TOKEN", "BAO_SECRET_ID"),
    "aws-sm": ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
}
# Kinds whose secret is more than one value, so that no placeholder in a file could stand for it
_OTHERWISE_SHOWN = frozenset((AWS, GITHUB_APP, GOOGLE, MTLS))
GRANTS = ("client_credentials", "refresh_token")
CLIENT_AUTH = ("basic", "body", "none")
_PLACES = ("header", "query", "form", "json")
_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def variables(source: str) -> tuple[str, ...]:
    """Return the variables of the operator's environment that a source takes secrets from."""
    kind, _, rest = source.partition(":")
    return (rest,) if kind == "env" else _SECRET_VARIABLES.get(kind, ())


def carried(one: "Credential") -> str:
    """Say in a few words how a credential gets into a request."""
    told = {
        HEADER: f"in {one.header}",
        BEARER: f"as a bearer token in {one.header}",
        BASIC: "as user and password",
        GIT: "as user and password for git",
        QUERY: f"as the query key {one.field}",
        COOKIE: f"as the cookie {one.field}",
        PLACEHOLDER: f"for its placeholder in {', '.join(one.places)}",
        AWS: "as an AWS signature",
        OAUTH: f"as a token from {one.token_url} in {one.header}",
        GITHUB_APP: f"as a token of GitHub App {one.app}",
        GOOGLE: "as a Google token",
        MTLS: "as a client certificate",
    }
    return told[one.kind]


def check(one: "dict[str, Any]") -> "Iterator[tuple[str, str]]":
    """Yield (problem, hint) for what is wrong with a whole credential, once all layers are one."""
    kind = one.get("kind", HEADER)
    needed, allowed = KINDS[kind]
    for field in ("source", "host", *needed):
        if not one.get(field):
            because = f", which the kind `{kind}` needs" if field in needed else ""
            yield f"has no `{field}`{because}", f"add `{field}` to `[…]`"
    for field in one:
        if field not in COMMON and field not in needed and field not in allowed:
            known = ", ".join(f"`{name}`" for name in (*needed, *allowed)) or "nothing of its own"
            yield f"has `{field}`, which means nothing for the kind `{kind}`", f"`{kind}` takes {known}"
    yield from _together(kind, one)


def _together(kind: str, one: "dict[str, Any]") -> "Iterator[tuple[str, str]]":
    if "*" in one.get("host", "") and kind != AWS:
        yield (
            "names a pattern as its `host`",
            "a secret goes to one host; only the kind `aws`, which sends a signature, takes `*.suffix`",
        )
    if "http" in one.get("schemes", ()) and "port" not in one:
        yield "is sent over plain http, but names no `port`", "add `port = 80`, or leave `http` out"
    if kind == MTLS and one.get("source", "file:")[:5] != "file:":
        yield (
            "is a client certificate, whose source is a file",
            "write file:/path/to/cert-and-key.pem",
        )
    if kind == MTLS and "http" in one.get("schemes", ()):
        yield "is a client certificate, which plain http has no place for", "leave `http` out of `schemes`"
    if one.get("source", "")[:10] == "workspace:" and kind in _OTHERWISE_SHOWN:
        yield f"takes its secret from the workspace, which the kind `{kind}` cannot", "name another source"
    if kind == OAUTH and one.get("client_auth") == "none" and one.get("grant") != "refresh_token":
        yield "has no client authentication", "only `refresh_token` grants go without"


def source(value: str, variable: "Any", place: "Any", words: "Any") -> str:
    """Check a source and return its one spelling; the callables check the parts that forms know."""
    kind, _, rest = value.partition(":")
    if kind not in SOURCES or not rest:
        known = ", ".join(f"{name}:…" for name in SOURCES)
        raise ValueError(f"a source is one of {known}")
    if kind == "env":
        return "env:" + str(variable(rest))
    if kind == "file":
        return "file:" + str(place(rest))
    if kind == "command":
        words(rest)
    if kind == "dotenv":
        path, _, name = rest.rpartition("#")
        if not path:
            raise ValueError("write dotenv:PATH#NAME")
        return f"dotenv:{place(path)}#{variable(name)}"
    if kind == "workspace":
        _in_workspace(rest)
    if kind == "keyring" and not all(rest.partition("/")[::2]):
        raise ValueError("write keyring:SERVICE/USER")
    if kind == "systemd" and ("/" in rest or rest in {".", ".."}):
        raise ValueError("a systemd credential is a name, without `/`")
    if kind == "vault":
        _vault(rest)
    return value


def _in_workspace(rest: str) -> None:
    path, _, name = rest.rpartition("#")
    if not path or not name or any(part in {"", ".", "..", ".git"} for part in path.split("/")):
        raise ValueError("write workspace:PATH#NAME, the path relative to the workspace, without `..`")


def _vault(rest: str) -> None:
    path = rest.partition("#")[0]
    segments = path.split("/")
    if len(segments) < 2 or any(one in {"", ".", ".."} for one in segments) or "?" in path:
        raise ValueError("write vault:MOUNT/PATH#FIELD")


def place(value: str) -> str:
    """Check one place where a placeholder is replaced."""
    kind, _, name = value.partition(":")
    if kind not in _PLACES or not name:
        raise ValueError("a place is header:NAME, query:KEY, form:FIELD or json:/POINTER")
    if any(ord(char) < 32 for char in name):
        raise ValueError("control characters do not belong here")
    if kind == "json" and (name[0] != "/" or _broken_pointer(name)):
        raise ValueError("a JSON place is a pointer such as json:/auth/token (RFC 6901)")
    return f"header:{name.lower()}" if kind == "header" else value


def _broken_pointer(pointer: str) -> bool:
    return any(part[:1] not in {"0", "1"} for part in pointer.split("~")[1:])


def host(value: str) -> str:
    """Check the host of a credential: a name, or `*.suffix` where the kind allows it."""
    return canonical_pattern(value) if value[:2] == "*." else canonical_host(value)


def url(value: str) -> str:
    """Check the URL of a server that secrets are exchanged with: https, or http on this machine."""
    scheme, mark, rest = value.partition("://")
    scheme = scheme.lower()
    authority, slash, path = rest.partition("/")
    if not mark or scheme not in {"https", "http"}:
        raise ValueError("this is a URL such as https://auth.example.com/token")
    if "@" in authority or "?" in path or "#" in path or any(char <= " " for char in value):
        raise ValueError("this URL has neither a user nor a query nor spaces")
    name, port = split_authority(authority, 443 if scheme == "https" else 80)
    if scheme == "http" and name not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("secrets are exchanged over https; http only on this machine")
    shown = f"[{name}]" if ":" in name else name
    usual = port == (443 if scheme == "https" else 80)
    return f"{scheme}://{shown}{'' if usual else f':{port}'}{slash}{path}".rstrip("/")


def word(value: str) -> str:
    """Check the name of a region or service."""
    if not value or not _WORD.issuperset(value):
        raise ValueError("a region or service is written in small letters, digits and `-`")
    return value


def number(value: "int | str") -> str:
    """Check an app or installation id; client ids hold letters too."""
    text = str(value)
    if not text or not text.isascii() or not text.replace(".", "").isalnum():
        raise ValueError("an id is made of letters and digits")
    return text


def token(value: str) -> str:
    """Check a word that travels in a form: a scope, a client id, a repository."""
    if not value or not value.isascii() or any(char <= " " or char == "\x7f" for char in value):
        raise ValueError("this is one word without spaces")
    return value


def field(value: str) -> str:
    """Check the name of a query key or a cookie."""
    if not value or not value.isascii() or any(char <= " " or char in '=;,&"#\x7f' for char in value):
        raise ValueError('a name here has no spaces and none of = ; , & " #')
    return value


_IMAGE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:")
_HEX = frozenset("0123456789abcdef")


def image(value: str) -> str:
    """Check the name of a container image: `[host[:port]/]path[:tag][@sha256:DIGEST]`, or an id alone."""
    name, at, digest = value.partition("@")
    if at and (digest[:7] != "sha256:" or len(digest) != 71 or not _HEX.issuperset(digest[7:])):
        raise ValueError("a digest is written as `@sha256:` and 64 hexadecimal digits")
    if (name or at) and (not name[:1].isalnum() or not _IMAGE.issuperset(name) or "//" in name):
        raise ValueError("an image is written as name, name:tag or name@sha256:DIGEST")
    return value


def runtime(value: str) -> str:
    """Check the name by which an engine knows a runtime."""
    if value and (not value[0].isalnum() or not _WORD.issuperset(value.lower().replace("_", "-"))):
        raise ValueError("a runtime is the name that the engine knows it by, such as runc")
    return value
