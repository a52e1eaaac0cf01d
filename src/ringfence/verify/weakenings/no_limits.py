"""A session without limits, whatever its plan says."""

from ringfence.boundary import limits
from ringfence.verify.weakenings import replace


def weaken() -> None:
    """Set none, watch none, and make no group."""
    replace(limits, "resource_limits", lambda _limits: ())
    replace(limits, "watched", lambda *_given: None)
    replace(limits, "needs_group", lambda _limits: False)
