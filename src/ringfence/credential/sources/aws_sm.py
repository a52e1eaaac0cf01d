"""`aws-sm:NAME#KEY`: AWS Secrets Manager; `#KEY` takes one value of a secret that is JSON.

Asked with the operator's own keys (variables, or a profile of ~/.aws/credentials), signed by our signer.
"""

import configparser
import hashlib
import io
import json
import os
import time

from ringfence.credential import sigv4
from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, Reading, expand
from ringfence.credential.sources.file import content
from ringfence.credential.sources.vault import field
from ringfence.policy.model import Credential

LIFETIME = 300.0  # seconds until Secrets Manager is asked again
_TARGET = "secretsmanager.GetSecretValue"
_TYPE = "application/x-amz-json-1.1"


def read(rest: str, access: Access, credential: Credential) -> Reading:
    """Return the secret's string, or one value of it."""
    source = f"aws-sm:{rest}"
    name, _, key = rest.partition("#")
    region = _region(name, access)
    body = json.dumps({"SecretId": name}).encode()
    base = _base(credential, access, region)
    answer = access.web.ask(
        "POST",
        base + "/",
        headers=_signed(base, region, body, _keys(access)),
        body=body,
        ca=expand(credential.source_ca or access.environment.get("AWS_CA_BUNDLE", ""), access.home),
    )
    if answer.status != 200:
        raise SourceError(
            f"`{source}`: Secrets Manager answered {answer.why()}",
            hint="check the name, the region, and that these keys may secretsmanager:GetSecretValue",
        )
    text = answer.json("Secrets Manager").get("SecretString")
    if not isinstance(text, str):
        raise SourceError(f"`{source}`: the secret is binary", hint="store it as text")
    return Reading(_value(text, key, source) if key else text, LIFETIME)


def _value(text: str, key: str, source: str) -> str:
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return field(data, key, source)


def _region(name: str, access: Access) -> str:
    parts = name.split(":")
    own = parts[3] if name.startswith("arn:") and len(parts) > 3 else ""
    region = own or access.environment.get("AWS_REGION") or access.environment.get("AWS_DEFAULT_REGION") or ""
    if not region.replace("-", "").isalnum():
        raise SourceError(
            f"`aws-sm:{name}`: which region?", hint="set AWS_REGION, or name the secret by its ARN"
        )
    return region


def _base(credential: Credential, access: Access, region: str) -> str:
    given = credential.source_url or next(
        (
            access.environment[name]
            for name in ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL")
            if access.environment.get(name)
        ),
        "",
    )
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return (given or f"https://secretsmanager.{region}.{suffix}").rstrip("/")


def _keys(access: Access) -> sigv4.Keys:
    environment = access.environment
    if environment.get("AWS_ACCESS_KEY_ID"):
        return sigv4.Keys(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    place = expand(environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials", access.home)
    if not os.path.exists(place):
        raise SourceError(
            "`aws-sm:`: no AWS keys", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    profile = environment.get("AWS_PROFILE") or "default"
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(content(f"file:{place}", place, access.workspace))
    except configparser.Error:
        raise SourceError(f"`{place}` is no ini file", hint="mend it") from None
    if profile not in parser:
        raise SourceError(f"`{place}` has no profile `{profile}`", hint="set AWS_PROFILE")
    text = io.StringIO()
    chosen = configparser.ConfigParser(interpolation=None)
    chosen["default"] = dict(parser[profile])
    chosen.write(text)
    return sigv4.keys(text.getvalue(), f"profile {profile} of {place}")


def _signed(base: str, region: str, body: bytes, keys: sigv4.Keys) -> dict[str, str]:
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = sigv4.Scope(date=now[:8], region=region, service="secretsmanager")
    headers = {
        "Host": base.partition("://")[2].partition("/")[0],
        "Content-Type": _TYPE,
        "X-Amz-Date": now,
        "X-Amz-Target": _TARGET,
        **({"X-Amz-Security-Token": keys.token} if keys.token else {}),
    }
    names, signature = sigv4.sign(
        sigv4.signing_key(keys.secret, scope),
        scope,
        now,
        method="POST",
        path="/",
        query="",
        fields=headers.items(),
        payload=hashlib.sha256(body).hexdigest(),
    )
    return {**headers, "Authorization": sigv4.authorization(keys, scope, names, signature)}
