"""Descriptors that the operator's shell had open, passed on."""

import os

from ringfence.boundary import child
from ringfence.boundary.tiers import sandbox
from ringfence.verify.weakenings import no_landlock, replace

_MOST = 4096


def weaken() -> None:
    """Close none before bubblewrap starts, and none in the entry program."""
    replace(child, "_close_on_exec_all", _keep_all)
    old = sandbox._entry_steps  # noqa: SLF001 - taken apart on purpose
    replace(sandbox, "_entry_steps", lambda *given, **named: _closing_none(old(*given, **named)))
    no_landlock()


def _keep_all() -> None:
    for fd in range(3, _MOST):
        try:
            os.set_inheritable(fd, True)
        except OSError:
            continue


def _closing_none(steps: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(one for one in steps if getattr(one, "name", "") != "close_range")
