"""AWS Signature Version 4: what is signed, and with what.

Theory. A request is boiled down to a *canonical request* (method, path, query, headers, the hash of the
body); its hash, the time and the *scope* (date, region, service) make the string to sign; the key for it
is derived from the secret key by date, region and service. For bodies sent in signed chunks
(`STREAMING-…`) the signature of the head is the seed of a chain: each chunk's covers the one before.
Checked against the vectors that AWS publishes and against botocore.
"""

import hashlib
import hmac
import json
import re
from urllib.parse import quote, unquote_to_bytes

from ringfence.credential.secret import SourceError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY = hashlib.sha256(b"").hexdigest()
_UNRESERVED = "-_.~"


class Keys:
    """An access key with its secret; never printed."""

    __slots__ = ("id", "secret", "token")

    def __init__(self, identity: str, secret: str, token: str = "") -> None:
        self.id = identity
        self.secret = secret
        self.token = token


class Scope(Struct):
    """What a signature is good for."""

    date: str  # YYYYMMDD
    region: str
    service: str

    @property
    def text(self) -> str:
        """Return the scope as it stands in a string to sign."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def keys(text: str, source: str) -> Keys:
    """Read an access key: JSON as AWS's own tools print it, or an ini file such as ~/.aws/credentials."""
    found = _from_json(text) if text.lstrip()[:1] == "{" else _from_ini(text)
    identity, secret, token = (found.get(name, "") for name in ("id", "secret", "token"))
    shaped = re.fullmatch(r"[A-Za-z0-9_]{4,128}", identity) and re.fullmatch(r"[!-~]{4,256}", secret)
    if not shaped or not re.fullmatch(r"[!-~]*", token):
        raise SourceError(
            f"`{source}` holds no access key that can be used",
            hint="store JSON with AccessKeyId and SecretAccessKey, or an ini file with a [default] section",
        )
    return Keys(identity, secret, token)


def _from_json(text: str) -> dict[str, str]:
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    data = data.get("Credentials", data)
    if not isinstance(data, dict):
        return {}
    flat = {name.lower().replace("_", "").removeprefix("aws"): value for name, value in data.items()}
    return _named(flat)


def _from_ini(text: str) -> dict[str, str]:
    import configparser  # where it is wanted: most sessions do without

    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(text if text.lstrip()[:1] == "[" else f"[default]\n{text}")
    except configparser.Error:
        return {}
    sections = parser.sections()
    name = "default" if "default" in sections else sections[0] if len(sections) == 1 else ""
    items = parser[name].items() if name else ()
    flat = {key.replace("_", "").removeprefix("aws"): value for key, value in items}
    return _named(flat)


def _named(flat: dict[str, str]) -> dict[str, str]:
    wanted = {"id": "accesskeyid", "secret": "secretaccesskey", "token": "sessiontoken"}
    return {short: flat[name] for short, name in wanted.items() if isinstance(flat.get(name), str)}


def sign(
    key: bytes,
    scope: Scope,
    time: str,
    *,
    method: str,
    path: str,
    query: str,
    fields: "Iterable[tuple[str, str]]",
    payload: str,
) -> tuple[str, str]:
    """Return the names of the signed headers and the signature; `time` is that of x-amz-date."""
    canonical, names = canonical_request(
        method, path, query, fields=fields, payload=payload, service=scope.service
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    return names, seal(key, f"{ALGORITHM}\n{time}\n{scope.text}\n{hashed}")


def authorization(keys: Keys, scope: Scope, names: str, signature: str) -> str:
    """Return the value of the Authorization header."""
    credential = f"{keys.id}/{scope.text}"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"


def signing_key(secret: str, scope: Scope) -> bytes:
    """Derive the key that signs within one scope."""
    key = b"AWS4" + secret.encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def seal(key: bytes, text: str) -> str:
    """Return the signature of a string to sign."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical_request(
    method: str, path: str, query: str, *, fields: "Iterable[tuple[str, str]]", payload: str, service: str
) -> tuple[str, str]:
    """Return the canonical request and the names of its headers. `query` is already canonical."""
    grouped: dict[str, list[str]] = {}
    for name, value in fields:
        grouped.setdefault(name.lower(), []).append(" ".join(value.split()))
    ordered = sorted(grouped)
    headers = "".join(f"{name}:{','.join(grouped[name])}\n" for name in ordered)
    names = ";".join(ordered)
    return f"{method}\n{_path(path, service)}\n{query}\n{headers}\n{names}\n{payload}", names


def _path(path: str, service: str) -> str:
    """Encode a path: S3 signs the object's own name, every other service the path as it is sent."""
    if service == "s3":
        return "/".join(quote(unquote_to_bytes(one), safe=_UNRESERVED) for one in path.split("/"))
    return quote(path, safe="/" + _UNRESERVED)


def canonical_query(query: str) -> str:
    """Return a query in the one spelling that is signed, which is also what is sent."""
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    ordered = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in ordered)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", "%20")), safe=_UNRESERVED)


class Chain:
    """Signs the chunks of one body, each after the other (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`)."""

    def __init__(self, key: bytes, scope: Scope, time: str, seed: str) -> None:
        self._key = key
        self._head = f"{time}\n{scope.text}"
        self._previous = seed

    def chunk(self, data: bytes) -> str:
        """Return the signature of the next chunk; the last one is empty."""
        hashed = hashlib.sha256(data).hexdigest()
        text = f"{ALGORITHM}-PAYLOAD\n{self._head}\n{self._previous}\n{EMPTY}\n{hashed}"
        self._previous = seal(self._key, text)
        return self._previous

    def trailer(self, lines: bytes) -> str:
        """Return the signature of the trailing headers, a line each."""
        hashed = hashlib.sha256(lines).hexdigest()
        text = f"{ALGORITHM}-TRAILER\n{self._head}\n{self._previous}\n{hashed}"
        return seal(self._key, text)
