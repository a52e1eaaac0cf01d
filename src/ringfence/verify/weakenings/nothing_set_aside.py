"""Direct mode that leaves what appeared: nothing is set aside at the end."""

from ringfence.verify.weakenings import replace
from ringfence.workspace import aside


def weaken() -> None:
    """Look for nothing when the session is over."""
    replace(aside, "set_aside", lambda *_given: ())
