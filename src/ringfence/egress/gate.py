"""The gate: from a request's head to where it goes, whether it may, and the head that is sent instead.

Pure. The string judged is the string resolved is the name verified in the certificate is the name in
Host is the key for injection: `target` finds that one name, from the connection and the head, and
refuses where two places disagree. Everything after it uses the Target and never the client's spelling.
"""

from functools import lru_cache

from ringfence.credential import inject
from ringfence.egress import limits
from ringfence.egress.http1 import HOP_BY_HOP, Fields, MalformedError, RequestHead, ResponseHead, without
from ringfence.egress.path import Path, canonical_path
from ringfence.egress.refusal import DENIED, MALFORMED, Refusal, denied, malformed, mismatch
from ringfence.handover import Handover
from ringfence.policy.model import Credential
from ringfence.subject import canonical_host, host_matches, is_address, split_authority
from ringfence.value import Struct, build
from ringfence.verdict import request as verdict_request
from ringfence.verdict.facts import NO_FACTS
from ringfence.verdict.request import USUAL_PORT, Request, Rules, Verdict

GATEWAY_SUFFIX = ".gateway.internal"
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

Place = tuple[str, str, int]  # scheme, host, port
# How a connection came to name its destination
PROXY, TUNNEL, WIRE, GATEWAY = "proxy", "tunnel", "wire", "gateway"


def _spellings(names: "Collection[bytes]") -> frozenset[bytes]:
    """Return names with every spelling that servers which turn `-` into `_` (CGI, WSGI) take for them."""
    found = set(names)
    for name in names:
        first, *rest = name.split(b"-")
        spelled = [first]
        for part in rest:
            spelled = [one + mark + part for one in spelled for mark in (b"-", b"_")]
        found.update(spelled)
    return frozenset(found)


# What a client says to proxies or about itself, and our own headers: never sent on.
_TO_PROXIES = frozenset(
    {
        *(b"proxy-authorization", b"proxy-authenticate", b"proxy-authentication-info", b"forwarded", b"via"),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-real-ip"),
        *(b"x-forwarded-server", b"x-ringfence-denied", b"x-ringfence-session"),
    }
)
_NOT_FORWARDED = _spellings(HOP_BY_HOP | _TO_PROXIES | {b"host", b"expect", b"http2-settings"})
# Alt-Svc would send the next request around the gate by QUIC (facts/egress.md §4.14).
_NOT_RETURNED = HOP_BY_HOP | _TO_PROXIES - {b"via"} | {b"alt-svc", b"alternates"}
# Trailers that a recipient could take for fields of the head: framing, routing, authentication, conditions,
# content (RFC 9110 §6.5.1).
_NO_TRAILERS = (
    _NOT_FORWARDED
    | _NOT_RETURNED
    | {
        *(b"authorization", b"www-authenticate", b"cookie", b"set-cookie", b"x-api-key", b"api-key"),
        *(b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"),
        *(b"max-forwards", b"pragma", b"cache-control", b"age", b"expires", b"date", b"vary", b"location"),
        *(b"retry-after", b"content-encoding", b"content-type", b"content-range", b"origin", b"status"),
        *(b"access-control-allow-origin", b"access-control-allow-credentials", b"strict-transport-security"),
    }
)
_HOST_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_*")


class Origin(Struct):
    """What a connection has already said about its destination."""

    kind: str
    scheme: str
    host: str = ""  # canonical; "" where each request has to say it
    port: int = 0
    address: str = ""  # WIRE: the address that was dialled, where no name stands for it


class Target(Struct):
    """Where a request goes, in the only spelling used from here on."""

    scheme: str
    host: str
    port: int
    path: Path
    gateway: str = ""


class Gate:
    """Everything about a policy that deciding on a request needs."""

    def __init__(self, handover: Handover) -> None:
        self.rules = Rules(handover.allow, handover.ask, handover.deny)
        self.gateways = {f"{one.name.lower()}{GATEWAY_SUFFIX}": one for one in handover.gateways}
        self._upstreams = {host: split_upstream(one.upstream) for host, one in self.gateways.items()}
        self.splice = handover.splice
        self.own = (handover.gate_address, handover.proxy_port)
        self._credentials: dict[Place, tuple[Credential, ...]] = {}
        self._removed: dict[Place, frozenset[bytes]] = {}
        self._matched: list[Place] = []  # hosts that fall under a credential's pattern, or under none
        self._patterns = tuple(one for one in handover.credentials if one.host[:2] == "*.")
        for one in handover.credentials:
            if one.host[:2] != "*.":
                for scheme in one.schemes:
                    self._bind((scheme, canonical_host(one.host), one.port), (one,))

    # --- where to

    def target(
        self, head: RequestHead, origin: Origin, place: tuple[str, int] | None = None
    ) -> Target | Refusal:
        """Find the one destination of a request, or refuse it.

        `place` is what `named` says, where that is known.
        """
        if head.method in {"TRACE", "TRACK", "CONNECT"}:
            return malformed(f"{head.method} is not allowed here", 405)
        if place is not None and head.target[:1] == b"/":
            return self._located(origin.scheme, *place, head.target)
        authority, rest = _split_target(head.target, origin.scheme)
        if place is None or authority is not None:
            found = self._named(head, origin, authority)
            if isinstance(found, Refusal):
                return found
            place = found
        return self._located(origin.scheme, *place, rest)

    def named(self, head: RequestHead, origin: Origin) -> tuple[str, int] | None:
        """Return host and port of a request whose target is a path: nothing else of its first line counts."""
        found = None if head.host is None else self._named(head, origin, None)
        return None if isinstance(found, Refusal) else found

    def _named(self, head: RequestHead, origin: Origin, authority: bytes | None) -> tuple[str, int] | Refusal:
        """Return the host and port that a request and its connection agree on."""
        if head.host is None and head.minor == 1:
            return malformed("the request has no Host")
        place: tuple[str, int] | None = None
        for text in (authority, head.host):
            if text is None:
                continue
            other = read_authority(text, USUAL_PORT[origin.scheme])
            if isinstance(other, Refusal):
                return other
            if place is not None and place != other:
                return mismatch("the request's target and its Host name different hosts", place[0])
            place = other
        if place is None:
            return malformed("the request has no Host")
        host, port = place
        if authority is None and origin.kind == PROXY and host not in self.gateways:
            return malformed("this is a proxy: send absolute-form requests or CONNECT")
        disagreement = _disagreement(origin, host, port)
        if disagreement:
            return mismatch(disagreement, host)
        return place

    def _located(self, scheme: str, host: str, port: int, rest: bytes) -> Target | Refusal:
        try:
            path = canonical_path(rest)
        except MalformedError as error:
            return malformed(error.message, error.answer)
        if not host.endswith(GATEWAY_SUFFIX):
            values = {"scheme": scheme, "host": host, "port": port, "path": path, "gateway": ""}
            return build(Target, values)
        gateway = self.gateways.get(host)
        if gateway is None or (scheme, port) != ("http", 80):
            known = ", ".join(f"http://{name}" for name in self.gateways) or "none"
            return Refusal(
                status=403,
                kind=DENIED,
                message=f"no gateway answers here; there are: {known}",
                host=host,
            )
        try:
            return _behind(gateway.name, self._upstreams[host], path)
        except MalformedError as error:
            return malformed(error.message, error.answer)

    # --- whether

    def connect(self, host: str, port: int) -> Verdict:
        """Decide on a connection whose requests are not known yet."""
        return verdict_request.connect(host, port, self.rules)

    def connect_plain(self, host: str, port: int) -> Verdict:
        """Decide on a connection that does not begin with TLS."""
        return verdict_request.connect(host, port, self.rules, ("http",))

    def resolvable(self, host: str) -> bool:
        """Say whether a name exists inside the boundary."""
        return host in self.gateways or verdict_request.reachable(host, self.rules)

    def request(self, head: RequestHead, target: Target, fields: Fields | None = None) -> Request:
        """Return what is known of a request from its head. `fields` are those rules see, where known."""
        path = target.path
        if fields is None:
            # What Connection names stays here: a rule is about what the upstream gets to see.
            fields = without(head.fields, head.nominated) if head.nominated else head.fields
        return build(
            Request,
            {
                "scheme": target.scheme,
                "host": target.host,
                "port": target.port,
                "method": head.method,
                "paths": path.readings,
                "query": path.query,
                "fields": fields,
                "length": head.framing,  # CHUNKED is UNKNOWN
                "upgrade": bool(head.upgrade),
                "facts": NO_FACTS,
            },
        )

    def decide(self, request: Request) -> Verdict:
        """Decide on a request."""
        return verdict_request.decide(request, self.rules)

    def spliced(self, host: str) -> bool:
        """Say whether the operator wants a host's TLS passed through unseen."""
        return any(host_matches(pattern, host) for pattern in self.splice)

    # --- with what

    def _bind(self, place: Place, credentials: tuple[Credential, ...]) -> None:
        """Bind credentials to one scheme, host and port."""
        bound = (*self._credentials.get(place, ()), *credentials)
        self._credentials[place] = bound
        self._removed[place] = _NOT_FORWARDED | carried_by(bound)

    def credentials_for(self, target: Target) -> tuple[Credential, ...]:
        """Return the credentials bound to a target; without TLS only those that say so."""
        place = (target.scheme, target.host, target.port)
        if self._patterns and place not in self._credentials:
            self._match(place)
        return self._credentials.get(place, ())

    def _match(self, place: Place) -> None:
        """Bind the credentials whose pattern a host falls under, once for each host."""
        scheme, host, port = place
        if len(self._matched) >= limits.BOUND_HOSTS:
            for old in self._matched:
                del self._credentials[old], self._removed[old]
            self._matched.clear()
        self._matched.append(place)
        matching = [
            one
            for one in self._patterns
            if scheme in one.schemes and port == one.port and host_matches(one.host, host)
        ]
        self._bind(place, tuple(matching))

    def outgoing(self, head: RequestHead, target: Target, fields: Fields | None = None) -> inject.Outgoing:
        """Return the request that goes upstream. Credentials come last, after every removal.

        `fields` are those that travel on, where that is known; they are taken over.
        """
        path = target.path
        removed = self.removals(target)
        made = inject.Outgoing(
            method=head.method,
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            path=path.text,
            query=path.query,
            fields=without(head.fields, removed, head.nominated) if fields is None else fields,
            framing=head.framing,
        )
        made.removed = removed
        return made

    def removals(self, target: Target) -> frozenset[bytes]:
        """Return the names of the fields that are not sent to a target."""
        return self._removed.get((target.scheme, target.host, target.port), _NOT_FORWARDED)

    def trailers(self, fields: Fields, target: Target) -> Fields:
        """Return the trailers that travel on, in either direction."""
        bound = self.credentials_for(target)
        places = {name.encode("ascii") for one in bound for name in inject.in_header(one)}
        return without(fields, _NO_TRAILERS | self.removals(target) | places)


def denial(verdict: Verdict, target: Target, request: Request) -> Refusal:
    """Tell the agent about a request that was decided against."""
    place = authority_text(target.host, target.port, target.scheme).decode()
    what = f"{request.method} {target.scheme}://{place}{target.path.text}"
    return denied(verdict, target.scheme, target.host, target.port, what, request=request)


def response_fields(head: ResponseHead) -> Fields:
    """Return the fields of an answer that travel on to the agent."""
    return without(head.fields, _NOT_RETURNED, head.nominated)


def carried_by(credentials: tuple[Credential, ...]) -> frozenset[bytes]:
    """Return the names of all fields that carry one of these credentials, or could be taken for one."""
    return _spellings([name.encode("ascii") for one in credentials for name in inject.carried(one)])


@lru_cache(maxsize=4096)  # pure, and asked for the same few hosts at every request
def read_authority(raw: bytes, default_port: int | None) -> tuple[str, int] | Refusal:
    """Read `host[:port]` strictly: 400 for what is no host at all, 403 for a host no rule could name."""
    text = raw.decode("latin-1")
    try:
        return split_authority(text, default_port)
    except ValueError as error:
        host = text.rpartition(":")[0] if text.rpartition(":")[2].isdigit() else text
        odd = not host or not _HOST_CHARACTERS.issuperset(host) or _bad_port(text, default_port)
        status, kind = (400, MALFORMED) if odd else (403, DENIED)
        message = f"the destination is not a host: {error}"
        return Refusal(status=status, kind=kind, message=message, host=_shown(text))


def _bad_port(text: str, default_port: int | None) -> bool:
    host, colon, port = text.rpartition(":")
    if not colon:
        return default_port is None
    return not (
        port.isascii() and port.isdigit() and port[0] != "0" and len(port) <= 5 and int(port) < 65536 and host
    )


def _shown(text: str) -> str:
    return "".join(char if " " < char <= "~" else "?" for char in text[:300])


def authority_text(host: str, port: int, scheme: str) -> bytes:
    """Write a host, with its port where it is not the scheme's usual one."""
    name = f"[{host}]" if ":" in host else host
    return (name if port == USUAL_PORT.get(scheme) else f"{name}:{port}").encode("ascii")


def _split_target(target: bytes, scheme: str) -> tuple[bytes | None, bytes]:
    """Split an absolute-form target into authority and the rest; origin-form has no authority."""
    if target.startswith(b"/"):
        return None, target
    mark = scheme.encode("ascii") + b"://"
    if target[: len(mark)].lower() != mark:
        raise MalformedError("the request's target is neither a path nor a URL that belongs here")
    rest = target[len(mark) :]
    cut = next((at for at, byte in enumerate(rest) if byte in b"/?#"), len(rest))
    authority, path = rest[:cut], rest[cut:]
    return authority, path if path.startswith(b"/") else b"/" + path


def _disagreement(origin: Origin, host: str, port: int) -> str:
    """Say how a request's host and port contradict its connection, or return ""."""
    if origin.host and (host, port) != (origin.host, origin.port):
        return f"the connection is for {origin.host}:{origin.port}, the request for {host}:{port}"
    if origin.kind == WIRE and not origin.host:
        if port != origin.port:
            return f"the connection is for port {origin.port}, the request for port {port}"
        if is_address(host) and host != origin.address:
            return f"the connection is for {origin.address}, the request for {host}"
    return ""


def _behind(name: str, upstream: tuple[str, str, int, str], path: Path) -> Target:
    """Return the target behind a gateway: its upstream, with the upstream's prefix before the path."""
    scheme, host, port, prefix = upstream
    if prefix and len(path.readings) == 1:
        text = prefix + path.text
        path = Path(text=text, readings=(text,), query=path.query)
    elif prefix:  # read as a whole: an upstream that decodes `..%2f` once more leaves the prefix by it
        path = canonical_path((prefix + path.text + path.query).encode("ascii"))
    return build(Target, {"scheme": scheme, "host": host, "port": port, "path": path, "gateway": name})


def split_upstream(url: str) -> tuple[str, str, int, str]:
    """Split a gateway's upstream into scheme, host, port and path prefix; the policy has been checked."""
    scheme, _, rest = url.partition("://")
    authority, slash, prefix = rest.partition("/")
    host, port = split_authority(authority, USUAL_PORT[scheme])
    return scheme, host, port, (slash + prefix).rstrip("/")
