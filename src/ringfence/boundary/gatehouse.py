"""Starting the egress process for a session: what it is told, what it is given, and nothing else."""

import os

from ringfence.boundary import launch, syscalls
from ringfence.boundary.folder import Folder
from ringfence.boundary.model import Plan
from ringfence.canonical import encode
from ringfence.credential import sources
from ringfence.handover import Handover, Listener
from ringfence.host.model import Host
from ringfence.policy.model import Credential


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
    secrets = (
        syscalls.memfd("secrets", encode(sources.gather(credentials, workspace=plan.workspace.root)).encode())
        if credentials
        else None
    )
    egress = plan.policy.egress
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
        extra_ca=egress.extra_ca,
        credentials=credentials,
        gateways=plan.policy.gateways,
        publish=plan.publish,
        gate_address=plan.wire.gate_address,
        proxy_port=plan.wire.proxy_port,
    )
    sealed = syscalls.memfd("handover", encode(handover).encode())
    passed = [*listeners, control, *(fd for fd in (dns, secrets, vend) if fd is not None)]
    pid = launch.start_egress(sealed, tuple(passed), f"{folder.path}/egress.log")
    for fd in (sealed, control, *(() if secrets is None else (secrets,))):
        os.close(fd)
    return pid, ours
