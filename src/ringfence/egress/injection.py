"""Which credentials a request gets, and how they get into it: between the verdict and the sending.

At most one client certificate (it is the connection's) and one credential of another kind are chosen for
a request: of each the first whose source has something. What the agent brings in the place of any
credential of the host is removed or refused, chosen or not. Kinds that need the whole body have it read
here, up to a limit for each request and one for all at a time.
"""

import json

from ringfence.credential import inject, placeholder, tokens
from ringfence.credential.inject import Outgoing, UnfitError
from ringfence.credential.inject.aws_chunks import Chunks
from ringfence.credential.secret import Secret, SourceError
from ringfence.credential.tokens import google
from ringfence.credential.tokens.oauth import REFRESH
from ringfence.egress import limits
from ringfence.egress.filters import Looking
from ringfence.egress.gate import Gate, Target
from ringfence.egress.http1 import RequestHead, ResponseHead
from ringfence.egress.keys import Keys
from ringfence.egress.memo import Memo
from ringfence.egress.message import Inbound
from ringfence.egress.refusal import CREDENTIAL, Refusal, Refused
from ringfence.egress.services import Services
from ringfence.egress.strays import Strays
from ringfence.policy import kinds
from ringfence.policy.model import Credential
from ringfence.subject import split_authority

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Chosen = tuple[Credential, Secret]


class Choice:
    """The credentials of one request."""

    __slots__ = ("bound", "certificate", "held", "main", "wanted")

    def __init__(self, bound: tuple[Credential, ...], wanted: tuple[Credential, ...]) -> None:
        self.bound = bound  # all that belong to the host
        self.wanted = wanted  # those that this request would get, were there a secret
        self.certificate: Chosen | None = None
        self.main: Chosen | None = None
        self.held = 0  # bytes of the body that are held in memory

    @property
    def chosen(self) -> Chosen | None:
        """Return the credential that the answer is about: a 401 means that its secret is old."""
        return self.main or self.certificate

    @property
    def name(self) -> str:
        """Name what is put in, for the record."""
        if self.certificate is None:
            return "" if self.main is None else self.main[0].name
        return "+".join(one[0].name for one in (self.certificate, self.main) if one is not None)


def prepare(services: Services, credentials: tuple[Credential, ...]) -> None:
    """Add the checks and filters that the session's credentials need; without any, nothing."""
    if not credentials:
        return
    strays = Strays(credentials)
    services.head_checks.append(strays.check)
    if strays.looks_into_bodies:
        services.upward_filters.append(strays.watch)
    services.stubs.update(stubs(credentials))


def choice(gate: Gate, target: Target, memo: Memo | None) -> Choice | None:
    """Return the credentials that a request could get, without secrets; None where its host has none."""
    if memo is not None and memo.bound is not None:
        bound, wanted = memo.bound
    else:
        bound = gate.credentials_for(target)
        path, query = target.path.text, target.path.query
        wanted = tuple([one for one in bound if inject.wanted(one, path, query)])
        if memo is not None:
            memo.bound = bound, wanted
    return Choice(bound, wanted) if bound else None


def at_hand(keys: Keys, choice: Choice) -> bool:
    """Choose where that needs no fetch: most have one credential, whose secret is there."""
    if not choice.wanted:
        return True
    first = choice.wanted[0]
    if first.kind == kinds.MTLS or (len(choice.wanted) > 1 and _certificates(choice)):
        return False
    secret = keys.at_hand(first)
    if secret is None:
        return False
    choice.main = first, secret
    return True


async def fetch(keys: Keys, choice: Choice) -> None:
    """Choose the first credential of each kind whose source has a secret."""
    certificates = _certificates(choice)
    others = tuple(one for one in choice.wanted if one.kind != kinds.MTLS) if certificates else choice.wanted
    choice.main = await keys.choose(others)
    if certificates:
        choice.certificate = await keys.choose(certificates)


def _certificates(choice: Choice) -> tuple[Credential, ...]:
    return tuple([one for one in choice.wanted if one.kind == kinds.MTLS])


def unbound(choice: Choice, head: RequestHead, target: Target) -> Refusal | None:
    """Refuse a request that carries a credential where the gate has none to put in its place."""
    if choice.main is not None:
        return None
    missing = [one for one in choice.wanted if one.kind != kinds.MTLS]
    brought = any(inject.carries(one, head.fields, target.path.query) for one in missing)
    if not brought and not (head.framing and any(inject.in_body(one) for one in missing)):
        return None
    names = ", ".join(one.name for one in missing)
    variables = [one.source.removeprefix("env:") for one in missing if one.source.startswith("env:")]
    source = " or ".join(variables) or "its source"
    return Refusal(
        status=401,
        kind=CREDENTIAL,
        message=f"there is no secret for {target.host}: nothing is in the source of credential {names}",
        host=target.host,
        how=f"the operator has to set {source} before `ringfence run`; a key from inside is never sent",
    )


def in_head(choice: Choice) -> bool:
    """Say whether the head is all that putting in takes, whatever the body."""
    return choice.main is None or choice.main[0].kind not in inject.BODIES


def in_one_field(choice: Choice) -> bool:
    """Say whether one credential alone belongs to the host, and putting it in changes nothing but fields.

    Then what comes of the same fields is the same for every request, as long as the secret is.
    """
    main = choice.main
    return main is not None and choice.bound == (main[0],) and inject.in_one_field(main[0])


def put_in_head(services: Services, outgoing: Outgoing, choice: Choice) -> Refusal | None:
    """Remove what the agent brings of its own, put ours in; returns why that cannot be done."""
    try:
        _clear(services, outgoing, choice)
        if choice.main is not None:
            inject.apply(outgoing, *choice.main)
    except (UnfitError, SourceError) as error:
        return _refusal(error, outgoing.host, choice)
    return None


async def put_in(services: Services, inbound: Inbound, outgoing: Outgoing, choice: Choice) -> Refusal | None:
    """Do as `put_in_head`, with the body where that is needed for it."""
    try:
        _clear(services, outgoing, choice)
        if choice.main is None:
            return None
        whole = inject.needs_body(outgoing, choice.main[0])
        if whole:
            outgoing.body = await _read(services, inbound, choice)
        inject.apply(outgoing, *choice.main)
        if whole and outgoing.body is not None:
            inbound.unread(outgoing.body)
            outgoing.framing = len(outgoing.body)
    except (UnfitError, SourceError) as error:
        return _refusal(error, outgoing.host, choice)
    return None


def _clear(services: Services, outgoing: Outgoing, choice: Choice) -> None:
    """Remove what the agent brings, and name the connection by what it will have seen."""
    main = None if choice.main is None else choice.main[0]
    for one in choice.bound:
        if one is not main:  # what is put in clears its own place
            inject.clear(outgoing, one)
    if choice.certificate is not None:
        outgoing.connection = services.upstreams.certificates.show(*choice.certificate)
    if main is not None:
        outgoing.connection += f"+{main.name}" if outgoing.connection else main.name


async def _read(services: Services, inbound: Inbound, choice: Choice) -> bytes:
    """Read the whole body, within what one request and all together may hold."""
    if inbound.head.framing > limits.HELD_BODY:
        raise _too_long()
    inbound.proceed()
    pieces: list[bytes] = []
    while not inbound.done:
        piece = await inbound.read()
        choice.held += len(piece)
        services.held += len(piece)
        if choice.held > limits.HELD_BODY:
            raise _too_long()
        if services.held > limits.HELD_BODIES:
            raise UnfitError("too many bodies are held for their credentials at the moment", status=503)
        pieces.append(piece)
    return b"".join(pieces)


def _too_long() -> UnfitError:
    return UnfitError(
        f"the body is longer than the {limits.HELD_BODY} bytes that are held to put its credential in",
        status=413,
    )


def _refusal(error: UnfitError | SourceError, host: str, choice: Choice) -> Refusal:
    status = error.status if isinstance(error, UnfitError) else 401
    how = (
        "send only the placeholder of the environment's variables, in its usual place; a key from inside "
        "is never sent"
        if status == 403
        else ""
    )
    message = f"credential {choice.name}: {error.message}"
    return Refusal(status=status, kind=CREDENTIAL, message=message, host=host, how=how)


class Signer(Looking):
    """Signs the chunks of a body as they stream by."""

    def __init__(self, chunks: Chunks, host: str) -> None:
        self._chunks = chunks
        self._host = host

    def feed(self, data: bytes) -> bytes:
        """Return the chunks that are whole."""
        try:
            return self._chunks.feed(data)
        except UnfitError as error:
            raise self._refused(error) from error

    def finish(self) -> bytes:
        """Check that the body was whole."""
        try:
            self._chunks.finish()
        except UnfitError as error:
            raise self._refused(error) from error
        return b""

    def _refused(self, error: UnfitError) -> Refused:
        return Refused(Refusal(status=error.status, kind=CREDENTIAL, message=error.message, host=self._host))


# --- token endpoints


class Stub:
    """What the agent's own call to a token endpoint is answered with: a token that opens nothing."""

    def __init__(self, credential: Credential) -> None:
        self.name = credential.name
        token = credential.placeholder or placeholder.default(credential)
        refresh = {"refresh_token": token} if credential.grant == REFRESH else {}
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **refresh}
        self.body = json.dumps(answer).encode()

    async def answer(self, inbound: Inbound) -> None:
        """Answer in the endpoint's place."""
        head = ResponseHead(
            status=200,
            phrase=b"OK",
            minor=1,
            fields=[],
            framing=len(self.body),
            close=False,
            nominated=frozenset(),
            stated=None,
            keep_for=0.0,
        )
        inbound.answer(head, [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")])
        inbound.write(self.body)
        inbound.finish()
        await inbound.drain()


def stubs(credentials: "Iterable[Credential]") -> dict[tuple[str, str, int, str], Stub]:
    """Return the token endpoints whose tokens the gate gets itself, by scheme, host, port and path."""
    found = {}
    for one in credentials:
        if one.kind in {kinds.OAUTH, kinds.GOOGLE} and one.kind in tokens.MINTED:
            scheme, _, rest = (one.token_url or google.TOKEN_URL).partition("://")
            authority, _, path = rest.partition("/")
            host, port = split_authority(authority, 443 if scheme == "https" else 80)
            found[scheme, host, port, f"/{path}"] = Stub(one)
    return found
