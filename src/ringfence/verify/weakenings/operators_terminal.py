"""The operator's own terminal in the agent's hands, in the operator's session, and no filter."""

import os

from ringfence.boundary import terminal
from ringfence.verify.weakenings import no_filter, replace


def weaken() -> None:
    """Make no terminal of the session's own, and none of its sessions."""
    replace(terminal, "_is_terminal", lambda _fd: False)
    replace(os, "setsid", lambda: None)
    no_filter.weaken()
