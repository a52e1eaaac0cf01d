"""The shapes in which rules about tools are asked and answered; `tool` decides.

`policy.toolrules` reads rules, written as Claude Code writes them. Deny beats ask beats allow, from
whichever scope; how specific a rule is never matters.
"""

from ringfence.policy.toolrules import ToolRule
from ringfence.shell.facts import Analysis, Finding
from ringfence.value import Struct

__all__ = ["Ruling", "ToolCall", "ToolRule"]


class ToolCall(Struct):
    """What an agent wants to do: a tool's name and its input, as the client sent them."""

    tool: str
    input: dict[str, object]
    cwd: str = ""  # absolute
    shell: str = "bash"


class Ruling(Struct):
    """The answer to a call."""

    effect: str  # allow | ask | deny
    rule: ToolRule | None = None  # that decided; None: a finding did, or nothing matched
    reason: str = ""  # a sentence: why, and what to do
    findings: tuple[Finding, ...] = ()  # risks that floor the answer at ask
    analysis: Analysis | None = None  # of a shell command
    unmatched: tuple[str, ...] = ()  # commands that no allow rule covers, as written
    suggestion: tuple[str, ...] = ()  # the smallest rules that would allow it; () where none can
