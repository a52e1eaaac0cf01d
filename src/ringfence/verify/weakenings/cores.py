"""Crashes that leave their memory on the host: no limit on core files."""

import resource

from ringfence.boundary import launch
from ringfence.boundary.tiers import sandbox
from ringfence.verify.weakenings import replace


def weaken() -> None:
    """Raise the limit as far as it goes, and leave it so in every tier's entry program."""
    replace(launch, "forbid_cores", _allow)
    old = sandbox.limit
    replace(
        sandbox, "limit", lambda kind, value: old(kind, value if kind != resource.RLIMIT_CORE else 1 << 40)
    )


def _allow() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
