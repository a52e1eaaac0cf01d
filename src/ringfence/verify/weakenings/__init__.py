"""Boundaries that deliberately lack something: for tests, which show on them that an attack can succeed.

A file each, with `weaken()`, which replaces functions of the launcher in the process that it is called in. It
is called by `ringfence.cli.weakened` alone, a program of its own that `ringfence verify --weaken` starts in
the place of `ringfence run`: the launcher has no switch for any of this, so no policy and no option of `run`
can reach it. Both ask for an environment variable first (`GUARD` in `cli/verify.py`).
"""

import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# attack → {tier: weakening}; a mode that it needs is said in tests/containment/test_weakened.py
WEAKENED = {
    "S01": {"sandbox": "operators-terminal"},
    "S02": {"sandbox": "hosts-network", "container": "hosts-files"},
    "S03": {"sandbox": "no-filter", "container": "no-filter", "microvm": "no-filter"},
    "S04": {"sandbox": "no-filter", "container": "no-filter"},
    "S05": {"sandbox": "root-inside"},
    "S06": {"sandbox": "hosts-processes"},
    "S07": {"sandbox": "no-filter", "container": "no-filter", "gvisor": "no-filter", "microvm": "no-filter"},
    "S08": {"sandbox": "no-filter", "container": "no-filter"},
    "S09": {"sandbox": "no-filter", "container": "no-filter", "microvm": "no-filter"},
    "S10": {"sandbox": "no-filter", "container": "no-filter", "gvisor": "no-filter", "microvm": "no-filter"},
    "S11": {"sandbox": "hosts-devices"},
    "S12": {"sandbox": "no-protection"},
    "S13": {"sandbox": "nothing-set-aside"},
    "S14": {"sandbox": "follows-links"},
    "S15": {"sandbox": "hosts-environment"},
    "S16": {"sandbox": "hosts-files", "container": "hosts-files", "gvisor": "hosts-files"},
    "S17": {"sandbox": "hosts-ipc", "container": "hosts-files", "gvisor": "hosts-files"},
    "S18": {"sandbox": "cores", "container": "cores"},
    "S19": {"sandbox": "no-limits"},
    "MEM": {"sandbox": "no-limits"},
    "S20": {"sandbox": "hosts-processes"},
    "S21": {"sandbox": "hosts-network"},
    "S22": {"sandbox": "writable-system"},
    "S23": {"gvisor": "hosts-sockets"},
    "S24": {"microvm": "second-card"},
    "S25": {"container": "default-container"},
    "E01": {"sandbox": "open-gate"},
    "E02": {"sandbox": "careless-framing"},
    "E03": {"sandbox": "open-gate"},
    "FD": {"sandbox": "open-descriptors"},
    "NEW": {"sandbox": "nothing-set-aside"},
    "O17": {"sandbox": "project-itself"},
    "C01": {"sandbox": "hosts-files", "container": "hosts-files"},
    "C09": {"sandbox": "hosts-environment"},
    "C15": {"sandbox": "no-masks"},
    "B15": {"sandbox": "hosts-files", "container": "hosts-files"},
}


def names() -> tuple[str, ...]:
    """Return the names of all weakenings."""
    files = os.listdir(os.path.dirname(__file__))
    return tuple(sorted(one[:-3].replace("_", "-") for one in files if one.endswith(".py") and one[0] != "_"))


def apply(given: str) -> bool:
    """Weaken every boundary that this process starts from now on; `a,b`: by both. False: there is no such."""
    chosen = given.split(",")
    if not set(chosen) <= set(names()):
        return False
    for name in chosen:
        importlib.import_module(f"{__name__}.{name.replace('-', '_')}").weaken()
    return True


def replace(module: object, name: str, new: "Callable[..., Any]") -> "Callable[..., Any]":
    """Put a function in the place of one of a module or class; return the one that was there."""
    old: Callable[..., Any] = getattr(module, name)
    setattr(module, name, new)
    return old


def change_options(change: "Callable[[list[str]], list[str]]") -> None:
    """Change what bubblewrap is told in the sandbox tier."""
    from ringfence.boundary.tiers import sandbox

    old = sandbox._options  # noqa: SLF001 - taken apart on purpose
    replace(sandbox, "_options", lambda *given: tuple(change(list(old(*given)))))


def change_mounts(change: "Callable[[Any], Any]") -> None:
    """Change each mount of every plan; None: leave it out."""
    from ringfence import preparation
    from ringfence.boundary.plan import plan as old
    from ringfence.value import replace as with_

    def plan(*given: object, **named: object) -> object:
        made = old(*given, **named)  # type: ignore[arg-type]
        changed = [one for one in map(change, made.mounts) if one is not None]
        return with_(made, mounts=tuple(changed))

    replace(preparation, "plan", plan)


def no_landlock() -> None:
    """Leave out Landlock, which would hold what another layer lets through."""
    from ringfence.boundary import landlock

    replace(landlock, "steps", lambda *_given: ())


def in_gate(line: str) -> None:
    """Have the gate's process run a line of Python before it serves; what it names is imported there."""
    from ringfence.boundary import launch

    start = "from ringfence.egress.__main__ import main"
    sys.dont_write_bytecode = True
    launch._EGRESS = launch._EGRESS.replace(start, f"{line}; {start}")  # noqa: SLF001
