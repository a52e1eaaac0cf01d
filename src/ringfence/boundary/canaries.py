"""Laying canaries: made-up values where an attacker looks for keys, different in every session.

Whoever sends one somewhere has read what nobody asked for; `egress.watch` finds it on its way out.
"""

import os

from ringfence.boundary.model import Mount
from ringfence.handover import Canary
from ringfence.policy.model import Watch

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LENGTH = 40  # as long as the secret half of an AWS key


def lay(watch: Watch, *, shown: bool = False) -> tuple[Canary, ...]:
    """Make up a value for every place the policy names; `shown` for a plan that is only looked at."""
    places = (*watch.environment, *watch.files)
    return tuple([Canary(place=place, value="CANARY" if shown else _value()) for place in places])


def variables(canaries: tuple[Canary, ...]) -> dict[str, str]:
    """Return the variables that hold one."""
    return {one.place: one.value for one in canaries if one.place[:1] != "~"}


def mounts(canaries: tuple[Canary, ...], home: str) -> tuple[Mount, ...]:
    """Return the files that hold one."""
    return tuple(
        [
            Mount(kind="text", target=home + one.place[1:], text=f"secret = {one.value}\n", why="a canary")
            for one in canaries
            if one.place[:1] == "~"
        ]
    )


def _value() -> str:
    return "".join([_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(_LENGTH)])
