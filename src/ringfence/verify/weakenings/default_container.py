"""A container as `docker run` makes one: with capabilities, a writable root, and nothing forbidden."""

from ringfence.boundary.model import Mount, Plan
from ringfence.boundary.tiers import container
from ringfence.verify.weakenings import replace


def weaken() -> None:
    """Ask the engine for no hardening of its own."""
    old = container._configuration  # noqa: SLF001 - taken apart on purpose

    def configuration(*given: object, **named: object) -> object:
        made = old(*given, **named)  # type: ignore[arg-type]
        host = {"CapDrop": [], "SecurityOpt": ["label=disable"], "ReadonlyRootfs": False, "IpcMode": "host"}
        return {**made, "HostConfig": {**made["HostConfig"], **host}}

    replace(container, "_configuration", configuration)
    replace(container, "_limited", _unlimited)


def _unlimited(mount: Mount, _plan: Plan) -> Mount:
    return mount
