"""A gateway on an address of its own: how a request to it is read as one to the gateway's name.

Theory. A client with a base URL (`http://127.0.0.1:8081`) believes that it talks to the API itself. The
connection says which gateway is meant; the request's Host says how the client spells this machine, and
goes no further. From here on the request is one to NAME.gateway.internal, and judged like any other.

Who it is. Such clients have no field for a proxy's password, but they have one for an API key: there the
identity's token goes, and it is taken off before anything else looks at the request.

A gateway on loopback is within reach of every browser on the machine. A page may send requests there that
cost money (cross-site), or read their answers under a name of its own (DNS rebinding): so a request from a
page is refused, and so is one under a name that somebody else could own (THREATS.md §6, B07).
"""

from ringfence.egress import refusal
from ringfence.egress.gate import GATEWAY_SUFFIX, read_authority
from ringfence.egress.http1 import RequestHead
from ringfence.egress.identity import given_by
from ringfence.egress.refusal import DENIED, Refusal
from ringfence.subject import is_address
from ringfence.value import replace

# Where clients put a key: Anthropic, OpenAI and most others, Azure, Google.
_KEYS = (b"x-api-key", b"authorization", b"api-key", b"x-goog-api-key")
_OURS = (".internal", ".localhost")  # nobody can register a name under these (RFC 6761, ICANN 2024)

UNKNOWN = Refusal(
    status=401,
    kind="authentication_error",
    message="this gateway does not know who asks",
    how="send the token of an identity as the API key",
)


def given_to(head: RequestHead) -> list[tuple[tuple[str, str] | None, bytes]]:
    """Return each user and password that a request may mean to give us, and the field it stands in.

    What is said to a proxy is meant for us, and nothing else counts. A key may be a token of ours or the
    client's own, for the upstream: in the end the request may be that of somebody who gives nothing.
    """
    told = given_by(head)
    if told is not None:
        return [(told, b"proxy-authorization")]
    found: list[tuple[tuple[str, str] | None, bytes]] = []
    for name, value in head.fields:
        lower = name.lower()
        if lower not in _KEYS:
            continue
        scheme, _, rest = value.partition(b" ")
        if lower != b"authorization":
            found.append((("", value.decode("latin-1")), lower))
        elif scheme.lower() == b"bearer":
            found.append((("", rest.strip().decode("latin-1")), lower))
    return [*found, (None, b"")]


def proof_fields(head: RequestHead, field: bytes) -> frozenset[bytes]:
    """Return the fields that go no further where a token of ours stood in one: all that could hold it."""
    if not field or field == b"proxy-authorization":
        return frozenset()
    return frozenset(name for given, name in given_to(head) if given is not None)


def inward(head: RequestHead, gateway: str, dropped: frozenset[bytes]) -> RequestHead | Refusal:
    """Return a request as one to the gateway's name, without the fields that were meant for us."""
    if not head.target.startswith(b"/"):
        return refusal.malformed("this is a gateway: it takes paths, and no proxy requests")
    foreign = _foreign(head)
    if foreign:
        return Refusal(status=403, kind=DENIED, message=foreign)
    host = f"{gateway}{GATEWAY_SUFFIX}".encode("ascii")
    fields = [(name, value) for name, value in head.fields if name.lower() not in dropped | {b"host"}]
    return replace(head, host=host, fields=[(b"Host", host), *fields])


def _foreign(head: RequestHead) -> str:
    """Say why a request may be somebody else's idea than that of a program on this machine, or return ""."""
    fields = {name.lower(): value.lower() for name, value in head.fields}
    if b"origin" in fields or fields.get(b"sec-fetch-site", b"none") != b"none":
        return "a page in a browser may not use a gateway"
    place = read_authority(head.host or b"", 80)
    if isinstance(place, Refusal):
        return "the request's Host is not this gateway's"
    name = place[0]
    if is_address(name) or "." not in name or name.endswith(_OURS):
        return ""
    return "the request's Host is a name that is not this gateway's: use its address"
