"""Starting the egress process for a session: what it is told, what it is given, and nothing else."""

import os

from ringfence.boundary import launch, syscalls, wire
from ringfence.boundary.choice import GVISOR, MICROVM
from ringfence.boundary.folder import Folder
from ringfence.boundary.model import Plan
from ringfence.canonical import encode
from ringfence.credential import sources
from ringfence.handover import LOOPBACK, Handover, Listener, proxy_credential
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.policy.model import Credential, Policy
from ringfence.workspace import detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASKED_LOOKED_AT = 2000  # hidden files and folders whose values the gate watches for


def start(
    plan: Plan,
    host: Host,
    folder: Folder,
    *,
    authority: str,
    listeners: tuple[int, ...],
    kind: str,
    dns: int | None,
    credentials: tuple[Credential, ...],
    vend: int | None,
) -> tuple[int, int]:
    """Start the gate's process; return its pid and our end of its control pipe."""
    control, ours = os.pipe2(os.O_CLOEXEC)
    egress, root = plan.policy.egress, plan.workspace.root
    needed = (*credentials, *proxy_credential(egress.proxy, egress.proxy_password))
    secrets = (
        syscalls.memfd("secrets", encode(sources.gather(needed, workspace=root)).encode()) if needed else None
    )
    handover = Handover(
        session=folder.id,
        workspace=root,
        listeners=tuple(Listener(fd=fd, kind=kind) for fd in listeners),
        dns_fd=dns,
        control_fd=control,
        secrets_fd=secrets,
        vend_fd=vend,
        audit_path=folder.log,
        authority_dir=authority,
        ready_dir=f"{host.state_dir}/authority/ready",
        publish=plan.publish,
        gate_address=plan.wire.gate_address,
        proxy_port=plan.wire.proxy_port,
        session_dir=folder.path,
        canaries=plan.canaries,
        content=detect.file_of(host.cache_dir, root) if plan.policy.workspace.content != "off" else "",
        unmask=plan.policy.workspace.unmask,
        published_at=(wire.INSIDE4, wire.INSIDE6) if plan.tier in {GVISOR, MICROVM} else LOOPBACK,
        masked=tuple([one.path for one in plan.workspace.hidden][:MASKED_LOOKED_AT]),
        **told(plan.policy, credentials, host, root),
    )
    sealed = syscalls.memfd("handover", encode(handover).encode())
    passed = [*listeners, control, *(fd for fd in (dns, secrets, vend) if fd is not None)]
    pid = launch.start_egress(sealed, tuple(passed), f"{folder.path}/egress.log")
    for fd in (sealed, control, *(() if secrets is None else (secrets,))):
        os.close(fd)
    return pid, ours


def told(policy: Policy, credentials: tuple[Credential, ...], host: Host, workspace: str) -> "dict[str, Any]":
    """Return what of a policy the gate has to know, as fields of its handover."""
    egress, trusted = policy.egress, _operators_trust(workspace)
    return {
        "policy_digest": policy.digest,
        "allow": egress.allow,
        "ask": egress.ask,
        "deny": egress.deny,
        "splice": egress.splice,
        "static": egress.static,
        "extra_ca": tuple([sources.expand(path, host.home) for path in egress.extra_ca]),
        "credentials": credentials,
        "gateways": policy.gateways,
        "proxy": egress.proxy,
        "proxy_password": egress.proxy_password,
        "no_proxy": egress.no_proxy,
        "resolvers": egress.resolvers,
        "trust_file": trusted.get("SSL_CERT_FILE", ""),
        "trust_dir": trusted.get("SSL_CERT_DIR", ""),
        "state_dir": host.state_dir,
        "ask_timeout": egress.ask_timeout,
        "budgets": policy.budgets,
        "model": policy.model,
        "watch": policy.watch,
    }


def _operators_trust(workspace: str) -> dict[str, str]:
    """Return where the operator's own authorities are, as OpenSSL's variables say; never in the workspace."""
    found = probe.settings(("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return {
        name: path
        for name, path in found.items()
        if path.startswith("/") and os.path.exists(path) and not sources.inside(path, workspace)
    }
