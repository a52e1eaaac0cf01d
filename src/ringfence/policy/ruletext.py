"""Rules about tool calls in a policy file: checked where they stand, read once for a whole policy.

A mistake in a rule is an error of the file, whichever list it stands in: one that denies must not get
lost, and one that allows would grant nothing while its author believes that it does.
"""

from ringfence.errors import PolicyError
from ringfence.policy import toolrules
from ringfence.policy.model import ALLOW, ASK, DENY, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.policy.model import RuleText
    from ringfence.policy.toolrules import ToolRule

_SCOPES = {"managed policy": "managed", "user policy": "user", "project policy": "project"}


def checker(effect: str) -> "Callable[[str], str]":
    """Return what checks a rule of one list (allow, ask, deny) and gives its text back."""

    def check(text: str) -> str:
        try:
            lists: dict[str, list[str]] = {ALLOW: [], ASK: [], DENY: [], effect: [text]}
            found = toolrules.read(lists[ALLOW], lists[ASK], lists[DENY])
        except PolicyError as error:
            raise ValueError(_reason(error.message)) from None
        if found.notes:
            raise ValueError(_reason(found.notes[0]))
        return text

    return check


def _reason(message: str) -> str:
    """Leave the rule itself out: whoever tells the problem quotes it."""
    for mark in (" cannot be read: ", " grants nothing: ", " has no effect: "):
        if mark in message:
            return message.partition(mark)[2]
    return message


def rules(policy: Policy) -> "tuple[ToolRule, ...]":
    """Return all rules about tool calls that a policy itself holds."""
    return tuple(
        rule(one, effect)
        for section in (policy.commands, policy.tools)
        for effect in (DENY, ASK, ALLOW)
        for one in getattr(section, effect)
    )


def narrow(policy: Policy) -> "frozenset[ToolRule]":
    """Return those of its rules that ask and never make a question of a denial."""
    return frozenset(
        rule(one, ASK) for section in (policy.commands, policy.tools) for one in section.ask if one.narrow
    )


def rule(one: "RuleText", effect: str) -> "ToolRule":
    """Read one rule of a policy, which was checked when its file was."""
    scope = _SCOPES.get(one.origin, one.origin if one.origin == "command line" else "policy")
    return toolrules.one(effect, one.text, scope=scope, origin=one.origin, base=one.base)
