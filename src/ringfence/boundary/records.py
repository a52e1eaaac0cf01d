"""The first records of a session: what was asked, under which policy, and what was decided."""

import os

from ringfence.audit.log import Writer
from ringfence.boundary.folder import Folder
from ringfence.boundary.model import Plan
from ringfence.boundary.plan import usable_credentials
from ringfence.canonical import encode
from ringfence.host.model import Host


def begin(folder: Folder, plan: Plan, host: Host, **more: object) -> None:
    """Open the session's log with what is known before the start; `more` belongs to the first record."""
    with Writer.create(folder.log, folder.id) as log:
        log.append(
            "start",
            command=list(plan.argv),
            workspace=plan.workspace.root,
            mode=plan.workspace.mode,
            **({"copy": plan.workspace.session} if plan.workspace.session else {}),
            tier=plan.tier,
            wire=plan.wire.kind,
            policy_digest=plan.policy.digest,
            layers=[f"{layer} {file}" for layer, file in plan.policy.origins],
            **more,
        )
        log.append(
            "plan",
            accepted=list(plan.policy.accept),
            not_held=[f"{one.id}: {one.why}" for one in plan.guarantees if not one.held],
            credentials=[one.name for one in usable_credentials(plan.policy, host, plan.workspace.root)],
            hidden=len(plan.workspace.hidden),
            protected=len(plan.workspace.protected),
        )


def keep(folder: Folder, plan: Plan) -> None:
    """Keep the whole plan beside the log."""
    fd = os.open(f"{folder.path}/plan.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(encode(plan) + "\n")
