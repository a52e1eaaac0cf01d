"""AWS requests, signed anew: what the agent signed with the placeholder is signed with the real key.

Theory. The agent's client signs with an access key that only looks like one. The gate reads from that
signature which region and service it is for, checks both against the policy, takes the signature off and
makes its own, over exactly what is sent. A request signed with any other key, a presigned URL (its
signature is in the query), SigV4A and SigV2 are refused. So is one with no signature, because an anonymous
write would leave by a host that the policy takes for the operator's; but where the credential names one
region and one service there is nothing to ask the agent, and the gate signs what it sends.

Bodies. `x-amz-content-sha256` is signed as the agent states it; AWS refuses a body that differs. Where it
is missing (every service but S3) the body is read to its end, up to a limit, and hashed. UNSIGNED-PAYLOAD
and its trailer form need no hash. Bodies signed chunk by chunk get each chunk signed anew.

Which headers are signed is the gate's choice: Host, everything of AWS's own, and what names the content.
"""

import hashlib
import re
from time import gmtime, strftime
from urllib.parse import unquote_to_bytes

from ringfence.credential import placeholder, sigv4
from ringfence.credential.inject.aws_chunks import Chunks
from ringfence.credential.inject.outgoing import Fields, Outgoing, UnfitError
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

# Services whose answers hold keys that work anywhere: signed for only where the policy names them.
HAND_OUT_KEYS = frozenset(
    ("sts", "iam", "sso", "sso-oauth", "cognito-identity", "rolesanywhere", "signin", "secretsmanager", "ssm")
)
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_UNSIGNED = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request\s*,"
    r"\s*SignedHeaders=([a-z0-9;_.-]+)\s*,\s*Signature=[0-9a-f]{64}"
)
_TIME = re.compile(r"\d{8}T\d{6}Z")
_PRESIGNED = (
    b"x-amz-signature",
    b"x-amz-algorithm",
    b"x-amz-credential",
    b"awsaccesskeyid",
    b"x-amz-security-token",
)
_CONTENT = frozenset({b"content-type", b"content-md5"})


def carried(_credential: Credential) -> tuple[str, ...]:
    """Return no field: the agent's signature is read first."""
    return ()


def carries(_credential: Credential, _fields: Fields, _query: str) -> bool:
    """Say yes: without a key of ours nothing leaves for such a host."""
    return True


def clear(outgoing: Outgoing, _credential: Credential) -> None:
    """Remove the agent's signature: another credential is put into this request."""
    _refuse_presigned(outgoing)
    outgoing.drop(b"authorization", b"x-amz-security-token")


def needs_body(outgoing: Outgoing, _credential: Credential) -> bool:
    """Say whether the body has to be hashed here."""
    return outgoing.framing != 0 and not outgoing.values(b"x-amz-content-sha256")


def keys_of(credential: Credential, secret: Secret) -> sigv4.Keys:
    """Read the access key that a secret holds."""
    return sigv4.keys(secret.reveal_for_injection(), credential.source)


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Sign the request anew."""
    scope = _whole_scope(outgoing, credential) or _scope(outgoing, credential)
    time = _time(outgoing, scope)
    payload = _payload(outgoing)
    keys = keys_of(credential, secret)
    outgoing.drop(b"authorization", b"x-amz-security-token", b"date")
    if keys.token:
        outgoing.fields.append((b"x-amz-security-token", keys.token.encode()))
    outgoing.query = "?" + query if (query := sigv4.canonical_query(outgoing.query[1:])) else ""
    key = sigv4.signing_key(keys.secret, scope)
    names, signature = sigv4.sign(
        key,
        scope,
        time,
        method=outgoing.method,
        path=outgoing.path,
        query=outgoing.query[1:],
        fields=_signed(outgoing),
        payload=payload,
    )
    value = sigv4.authorization(keys, scope, names, signature)
    outgoing.fields.append((b"authorization", value.encode()))
    if payload.startswith(STREAMING):
        chain = sigv4.Chain(key, scope, time, signature)
        outgoing.chunks = Chunks(chain, trailer=payload.endswith("-TRAILER"))


def _refuse_presigned(outgoing: Outgoing) -> None:
    names = {unquote_to_bytes(pair.partition("=")[0]).lower() for pair in outgoing.query[1:].split("&")}
    if not names.isdisjoint(_PRESIGNED):
        raise UnfitError(
            "a presigned URL cannot be signed anew: send the request with its signature in a header"
        )


def _whole_scope(outgoing: Outgoing, credential: Credential) -> sigv4.Scope | None:
    """Return the scope for a request that the agent left unsigned, where the policy leaves no choice."""
    if len(credential.regions) != 1 or len(credential.services) != 1 or outgoing.values(b"authorization"):
        return None
    _refuse_presigned(outgoing)
    if outgoing.values(b"x-amz-content-sha256") and _payload(outgoing).startswith(STREAMING):
        raise UnfitError("a body that is signed chunk by chunk begins with a signed head")
    now = gmtime()
    outgoing.drop(b"x-amz-date")
    outgoing.fields.append((b"x-amz-date", strftime("%Y%m%dT%H%M%SZ", now).encode()))
    return sigv4.Scope(
        date=strftime("%Y%m%d", now), region=credential.regions[0], service=credential.services[0]
    )


def _scope(outgoing: Outgoing, credential: Credential) -> sigv4.Scope:
    """Read from the agent's signature what it is for, and check that it may be signed."""
    _refuse_presigned(outgoing)
    found = [value.decode("latin-1") for value in outgoing.values(b"authorization")]
    match = _AUTHORIZATION.fullmatch(found[0]) if len(found) == 1 else None
    if match is None:
        raise UnfitError(
            "the request has no AWS signature (SigV4) by this credential's placeholder"
            if not found
            else "the request's signature is of a kind that cannot be made anew (only SigV4 in one header)"
        )
    identity, date, region, service, _ = match.groups()
    if identity != placeholder.access_key(credential)[0]:
        raise UnfitError("the request is signed with a key that is not this credential's placeholder")
    if credential.regions and region not in credential.regions:
        raise UnfitError(f"the credential does not sign for the region {region}")
    if (credential.services and service not in credential.services) or (
        not credential.services and service in HAND_OUT_KEYS
    ):
        raise UnfitError(f"the credential does not sign for the service {service}")
    return sigv4.Scope(date=date, region=region, service=service)


def _time(outgoing: Outgoing, scope: sigv4.Scope) -> str:
    found = outgoing.values(b"x-amz-date")
    text = found[0].decode("latin-1") if len(found) == 1 else ""
    if not _TIME.fullmatch(text) or text[:8] != scope.date:
        raise UnfitError("the request's x-amz-date is missing or not that of its signature")
    return text


def _payload(outgoing: Outgoing) -> str:
    found = outgoing.values(b"x-amz-content-sha256")
    if not found:
        return hashlib.sha256(outgoing.body or b"").hexdigest()
    text = found[0].decode("latin-1")
    known = (
        re.fullmatch(r"[0-9a-f]{64}", text)
        or text in _UNSIGNED
        or text in {STREAMING, STREAMING + "-TRAILER"}
    )
    if len(found) > 1 or not known:
        raise UnfitError("the request's x-amz-content-sha256 is of a kind that cannot be signed anew")
    return text


def _signed(outgoing: Outgoing) -> list[tuple[str, str]]:
    """Return the header fields that the signature covers."""
    host = f"[{outgoing.host}]" if ":" in outgoing.host else outgoing.host
    usual = {"https": 443, "http": 80}.get(outgoing.scheme)
    found = [("host", host if outgoing.port == usual else f"{host}:{outgoing.port}")]
    for name, value in outgoing.fields:
        lower = name.lower()
        if lower.startswith(b"x-amz-") or lower in _CONTENT:
            found.append((lower.decode("ascii"), value.decode("latin-1")))
    return found
