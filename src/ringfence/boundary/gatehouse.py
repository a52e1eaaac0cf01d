"""Starting the egress process for a session: what it is told, what it is given, and nothing else."""

import os

from ringfence.boundary import launch, syscalls
from ringfence.boundary.folder import Folder
from ringfence.boundary.model import Plan
from ringfence.canonical import encode
from ringfence.credential import sources
from ringfence.handover import Handover, Listener, proxy_credential
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.policy.model import Credential

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
    trusted = _operators_trust(root)
    handover = Handover(
        session=folder.id,
        workspace=plan.workspace.root,
        policy_digest=plan.policy.digest,
        listeners=tuple(Listener(fd=fd, kind=kind) for fd in listeners),
        dns_fd=dns,
        control_fd=control,
        secrets_fd=secrets,
        vend_fd=vend,
        audit_path=folder.log,
        authority_dir=authority,
        ready_dir=f"{host.state_dir}/authority/ready",
        allow=egress.allow,
        ask=egress.ask,
        deny=egress.deny,
        splice=egress.splice,
        static=egress.static,
        extra_ca=tuple([sources.expand(path, host.home) for path in egress.extra_ca]),
        credentials=credentials,
        gateways=plan.policy.gateways,
        publish=plan.publish,
        gate_address=plan.wire.gate_address,
        proxy_port=plan.wire.proxy_port,
        proxy=egress.proxy,
        proxy_password=egress.proxy_password,
        no_proxy=egress.no_proxy,
        resolvers=egress.resolvers,
        trust_file=trusted.get("SSL_CERT_FILE", ""),
        trust_dir=trusted.get("SSL_CERT_DIR", ""),
        state_dir=host.state_dir,
        session_dir=folder.path,
        ask_timeout=egress.ask_timeout,
        budgets=plan.policy.budgets,
        model=plan.policy.model,
        watch=plan.policy.watch,
        canaries=plan.canaries,
        masked=tuple([one.path for one in plan.workspace.hidden][:MASKED_LOOKED_AT]),
    )
    sealed = syscalls.memfd("handover", encode(handover).encode())
    passed = [*listeners, control, *(fd for fd in (dns, secrets, vend) if fd is not None)]
    pid = launch.start_egress(sealed, tuple(passed), f"{folder.path}/egress.log")
    for fd in (sealed, control, *(() if secrets is None else (secrets,))):
        os.close(fd)
    return pid, ours


def _operators_trust(workspace: str) -> dict[str, str]:
    """Return where the operator's own authorities are, as OpenSSL's variables say; never in the workspace."""
    found = probe.settings(("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return {
        name: path
        for name, path in found.items()
        if path.startswith("/") and os.path.exists(path) and not sources.inside(path, workspace)
    }
