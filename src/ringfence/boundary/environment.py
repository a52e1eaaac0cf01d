"""The variables inside: nothing is inherited, each one has a reason.

Programs behave by their environment, so the operator's own could carry secrets in (`*_TOKEN`), code
(`LD_PRELOAD`, `BASH_ENV`) or paths that do not exist inside. It starts empty and is filled here.
"""

from ringfence.boundary.canaries import variables as laid
from ringfence.boundary.model import Wire
from ringfence.credential import authority, placeholder
from ringfence.handover import Canary
from ringfence.host.model import Host
from ringfence.policy.model import Credential, Policy

INSIDE = "/run/ringfence"  # our folder inside: trust store, entry program
TRUST = authority.TrustPaths(
    certificate=f"{INSIDE}/ca.pem", bundle=f"{INSIDE}/bundle.pem", keystore=f"{INSIDE}/truststore.jks"
)
# Addresses that programs must reach directly: their own. Everything else goes to the gate.
_NO_PROXY = "localhost,127.0.0.1,::1"


def variables(
    policy: Policy,
    host: Host,
    *,
    path: tuple[str, ...],
    wire: Wire,
    credentials: tuple[Credential, ...],
    kept: tuple[tuple[str, str], ...],
    trusts: bool,
    java_option: bool,
    shell: str,
    user: str,
    canaries: tuple[Canary, ...] = (),
    output: str = "",
    brought: tuple[tuple[str, str], ...] = (),
) -> tuple[tuple[str, str], ...]:
    """Return the whole environment inside; later groups win.

    `trusts`: the session has an authority of its own, which programs are told to trust;
    `java_option`: Java by an option, since no keystore of a JVM here could be mounted over;
    `output`: where the agent leaves what it makes, when the policy names such a folder;
    `brought`: what an image sets.
    """
    out: dict[str, str] = {"LANG": "C.UTF-8", **dict(brought)}
    out.update(host.variables)
    out.update(kept)
    out.update({"HOME": host.home, "USER": user, "LOGNAME": user, "SHELL": shell, "PATH": ":".join(path)})
    out.update({"TMPDIR": "/tmp", "RINGFENCE": "1"})  # noqa: S108 - the private one inside
    if output:
        out["RINGFENCE_OUTPUT"] = output
    for name, value in policy.environment.set:
        out[name] = host.home + value[1:] if value == "~" or value.startswith("~/") else value
    for credential in credentials:
        out.update(placeholder.variables(credential))
    out.update(laid(canaries))
    for gateway in policy.gateways:
        out.update(dict.fromkeys(gateway.environment, f"http://{gateway.name}.gateway.internal"))
    if trusts:
        out.update(authority.inside_environment(TRUST, java_option=java_option))
    out.update(_proxies(policy, wire))
    return tuple(sorted(out.items()))


def _proxies(policy: Policy, wire: Wire) -> dict[str, str]:
    if wire.kind == "private" and not policy.egress.proxy_variables:
        return {}
    url = f"http://{wire.gate_address}:{wire.proxy_port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    out = dict.fromkeys(names, url)
    out.update({"NO_PROXY": _NO_PROXY, "no_proxy": _NO_PROXY, "NODE_USE_ENV_PROXY": "1"})
    return out
