"""A gate that lets everything out."""

from ringfence.policy.model import ALLOW
from ringfence.verdict import request
from ringfence.verify.weakenings import in_gate, replace


def weaken() -> None:
    """Have the gate's process open itself."""
    in_gate(f"from {__name__} import open_up; open_up()")


def open_up() -> None:
    """Allow every connection, request and name; called in the gate's process."""
    replace(request, "connect", lambda *_given: request.Verdict(effect=ALLOW))
    replace(request, "decide", lambda *_given: request.Verdict(effect=ALLOW))
    replace(request, "reachable", lambda *_given: True)
