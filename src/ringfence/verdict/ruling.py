"""The shapes in which rules about tools are asked and answered: `tool` decides, `policy.toolrules` reads.

A rule is written `Tool` or `Tool(specifier)`, as Claude Code writes them. Deny beats ask beats allow, from
whichever scope; how specific a rule is never matters.
"""

from ringfence.shell.facts import Analysis, Finding
from ringfence.value import Struct


class ToolRule(Struct):
    """One rule. Its text is the operator's own, so that a verdict can quote it."""

    effect: str  # allow | ask | deny
    text: str  # as written: "Bash(npm run *)"
    tool: str  # the name, or a glob of names
    specifier: str | None = None  # None: the bare tool
    scope: str = "policy"  # managed | command line | local | project | user | policy | session
    origin: str = ""  # file and place
    base: str = ""  # folder that `/path` specifiers start from; "": the working directory


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
