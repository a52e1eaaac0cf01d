"""Who may use a gate that serves many, and how each is recognised.

An identity is recognised by what the operator gave it: a token (as a proxy's password, its name the user),
a client certificate, the networks its connections come from, or a listening socket of its own. What it
names, all has to fit: an identity with a token and networks needs both. Everybody else is told to
authenticate, and learns nothing.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress

from ringfence.errors import PolicyError
from ringfence.policy.endpoints import join
from ringfence.subject import canonical_pattern, host_matches, is_address, split_authority
from ringfence.value import Struct, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ringfence.egress.http1 import RequestHead

DEFAULT = "default"  # the one identity of a service without a file of identities
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_KEYS = ("policy", "token", "source", "listen", "certificate")
_HINT = "an identity has `policy`, and `token`, `certificate`, `source` or `listen` to recognise it by"


class Identity(Struct):
    """One user of the gate, with a policy of its own."""

    name: str
    policy: str  # path of its policy file
    token: str = ""  # where its token is, written as a credential's source
    source: tuple[str, ...] = ()  # networks its connections come from; empty: any
    listen: tuple[str, ...] = ()  # addresses that are its own; empty: those that all share
    certificate: tuple[str, ...] = ()  # what its client certificate says, one of these; empty: it needs none


class Caller(Struct):
    """What is known of a connection before it is known whose it is."""

    listener: str
    address: str  # "" where there is none
    given: tuple[str, str] | None = None  # user and password
    proofs: frozenset[str] = frozenset()  # what its certificate says, as `certificate` names it
    authority: str = ""  # a digest of the authorities that vouch for the certificate


class Address(Struct):
    """Where to listen: TCP, a Unix socket or a vsock."""

    kind: str  # "tcp", "unix" or "vsock"
    host: str = ""  # tcp: address; unix: path
    port: int = 0
    tls: bool = False  # tcp: TLS to the gate itself, before anything else

    @property
    def text(self) -> str:
        """The address as it is written."""
        if self.kind == "tcp":
            return f"{'tls:' if self.tls else ''}{join(self.host, self.port)}"
        return f"unix:{self.host}" if self.kind == "unix" else f"vsock:{self.port}"

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.kind == "unix" or (self.kind == "tcp" and ipaddress.ip_address(self.host).is_loopback)


def read_address(text: str) -> Address:
    """Read `address:port`, `tls:address:port`, `unix:/path` or `vsock:port`. Raises ValueError."""
    kind, _, rest = text.partition(":")
    if kind == "tls":
        return replace(_tcp(rest), tls=True)
    if kind == "unix":
        if rest[:1] != "/" or "\0" in rest:
            raise ValueError("a Unix socket is written as unix:/path")
        return Address(kind=kind, host=rest)
    if kind == "vsock":
        if not rest.isascii() or not rest.isdigit() or int(rest) >= 2**32 - 1:
            raise ValueError("a vsock is written as vsock:port")
        return Address(kind=kind, port=int(rest))
    return _tcp(text)


def _tcp(text: str) -> Address:
    host, port = split_authority(text)
    if not is_address(host):
        raise ValueError("this is address:port, such as 127.0.0.1:3128, or unix:/path, or vsock:port")
    return Address(kind="tcp", host=host, port=port)


def read_identities(data: "dict[str, Any]", folder: str) -> tuple[Identity, ...]:
    """Read `[identity.NAME]` tables; paths are relative to the file's folder. Raises PolicyError."""
    tables = data.get("identity")
    if set(data) != {"identity"} or not isinstance(tables, dict) or not tables:
        raise PolicyError("a file of identities holds tables `[identity.NAME]` and nothing else", hint=_HINT)
    return tuple(_identity(name, table, folder) for name, table in tables.items())


def _identity(name: str, table: object, folder: str) -> Identity:
    where = f"identity `{name}`"
    if not name or not _NAME.issuperset(name):
        raise PolicyError(f"{where}: a name is made of lower-case letters, digits, `-` and `_`")
    if not isinstance(table, dict) or not isinstance(table.get("policy"), str):
        raise PolicyError(f"{where} names no policy file", hint=_HINT)
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise PolicyError(f"{where}: unknown key `{unknown[0]}`", hint=_HINT)
    token, source, listen = table.get("token", ""), _texts(table, "source"), _texts(table, "listen")
    certificate = _texts(table, "certificate")
    if not isinstance(token, str) or source is None or listen is None or certificate is None:
        raise PolicyError(
            f"{where}: `token` is a text, `certificate`, `source` and `listen` are lists of texts"
        )
    if not (token or source or listen or certificate):
        raise PolicyError(f"{where} could be anybody", hint=_HINT)
    try:
        networks = tuple(_network(one) for one in source)
        addresses = tuple(read_address(one).text for one in listen)
        proofs = tuple(_proof(one) for one in certificate)
    except ValueError as error:
        raise PolicyError(f"{where}: {error}") from None
    policy = table["policy"] if table["policy"].startswith("/") else f"{folder}/{table['policy']}"
    return Identity(
        name=name, policy=policy, token=token, source=networks, listen=addresses, certificate=proofs
    )


def _texts(table: "dict[str, Any]", key: str) -> tuple[str, ...] | None:
    value = table.get(key, [])
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(one, str) for one in items):
        return None
    return tuple(items)


def _network(text: str) -> str:
    pattern = canonical_pattern(text)
    if "/" not in pattern and not is_address(pattern):
        raise ValueError(f"`{text}` is no address and no network")
    return pattern


def _proof(text: str) -> str:
    """Read what a certificate has to say: a name in its subjectAltName, or its fingerprint."""
    kind, _, value = text.partition(":")
    if kind == "sha256":
        plain = value.replace(":", "").lower()
        if len(plain) == 64 and set(plain) <= set("0123456789abcdef"):
            return f"sha256:{plain}"
    elif value and kind == "uri":
        return text
    elif value and kind in {"dns", "email"}:
        return text.lower()
    elif kind == "ip":
        return f"ip:{ipaddress.ip_address(value)}"
    raise ValueError(f"`{text}` is none of dns:NAME, uri:URI, email:ADDRESS, ip:ADDRESS, sha256:FINGERPRINT")


class Door:
    """Recognises those who connect."""

    def __init__(
        self, identities: "Iterable[Identity]", tokens: "dict[str, str]", authority: str = ""
    ) -> None:
        """`tokens` are the values, by identity; `authority` is a digest of who vouches for certificates."""
        self._identities = tuple(identities)
        self._authority = authority
        self._tokens = {name: _digest(value) for name, value in tokens.items()}
        self.anybody = [one.name for one in self._identities if _is_anybody(one)]

    def find(self, caller: Caller) -> str | None:
        """Return the identity of a connection, or None.

        With a password only those are meant who have a token, but for a service that is there for anybody.
        """
        if caller.authority and caller.authority != self._authority:
            return None  # who vouched for it is not asked any more
        given = caller.given
        proven = self._proven(given) if given is not None else None
        for one in self._identities:
            if not self._comes_as(one, caller):
                continue
            if one.token and one.name == proven:
                return one.name
            if not one.token and (given is None or one.name in self.anybody):
                return one.name
        return None

    def _comes_as(self, one: Identity, caller: Caller) -> bool:
        """Say whether a connection fits an identity, its token aside."""
        fits = caller.listener in one.listen if one.listen else not self._is_owned(caller.listener)
        if one.source:
            fits = fits and any(_within(network, caller.address) for network in one.source)
        return fits and (not one.certificate or not caller.proofs.isdisjoint(one.certificate))

    def has_token(self, name: str) -> bool:
        """Say whether an identity is recognised by a token, among others."""
        return name in self._tokens

    def _is_owned(self, listener: str) -> bool:
        return any(listener in one.listen for one in self._identities)

    def _proven(self, given: tuple[str, str]) -> str | None:
        """Return whose token was given. All are compared, so that time tells nothing."""
        user, digest = given[0], _digest(given[1])
        found = None
        for name, kept in self._tokens.items():
            if hmac.compare_digest(kept, digest) and user in {name, ""}:
                found = name
        return found


def _is_anybody(one: Identity) -> bool:
    return not (one.token or one.source or one.listen or one.certificate)


def _within(network: str, address: str) -> bool:
    return bool(address) and host_matches(network, address)


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()


def given_by(head: "RequestHead") -> tuple[str, str] | None:
    """Return the user and password that a request gives to the proxy: Basic, or a bearer token alone."""
    values = [value for name, value in head.fields if name.lower() == b"proxy-authorization"]
    if not values:
        return None
    scheme, _, rest = values[0].partition(b" ")
    if len(values) == 1 and scheme.lower() == b"bearer":
        return "", rest.strip().decode("latin-1")
    if len(values) == 1 and scheme.lower() == b"basic":
        try:
            user, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return "", ""
        if colon:
            return user or "-", password
    return "", ""  # something was given, and it is nobody's
