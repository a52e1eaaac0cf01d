"""Where an attack has no object: the whole list. What else was not attempted counts against a tier.

A row says that the thing which the attack is after does not exist in that tier, whatever the machine or the
policy: no other reason belongs here.
"""

_NO_SENTRY = "this tier has no sentry between the command and a kernel"
_NO_MACHINE = "this tier has no virtual machine"
_NO_ENGINE = "this tier has no container engine"

NOWHERE = {
    ("S23", "sandbox"): _NO_SENTRY,
    ("S23", "container"): _NO_SENTRY,
    ("S23", "microvm"): _NO_SENTRY,
    ("S24", "sandbox"): _NO_MACHINE,
    ("S24", "container"): _NO_MACHINE,
    ("S24", "gvisor"): _NO_MACHINE,
    ("S25", "sandbox"): _NO_ENGINE,
    ("S25", "gvisor"): _NO_ENGINE,
    ("S25", "microvm"): _NO_ENGINE,
}


def why_not(attack: str, tier: str) -> str:
    """Return why an attack has no object in a tier; nothing where it has one."""
    return NOWHERE.get((attack, tier), "")
