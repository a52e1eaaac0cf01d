"""Rules about tools as texts: `Tool` or `Tool(specifier)`, the way Claude Code writes them.

What a rule says is read once, and strictly. The asymmetry is on purpose: a rule that allows and cannot be
read grants nothing, and a note says so; a rule that denies or asks and cannot be read would protect
nothing, so nothing may start (THREATS.md §1.2). Rules that Claude Code reads but never consults
(`Write(path)`, `Bash(command:…)`) get a note, because whoever wrote them expects something of them.

Stray blanks inside the brackets do not count. `Tool(*)` is `Tool`. Names are case-sensitive plain text:
`toString` and `__proto__` are names like any other. `*` in a name is a glob, in a rule that allows only
behind a literal `mcp__server__`.
"""

from ringfence.errors import PolicyError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALLOW, ASK, DENY = "allow", "ask", "deny"
EFFECTS = (ALLOW, ASK, DENY)
LONGEST = 10_000  # characters of one rule

COMMAND_TOOLS = ("Bash", "PowerShell", "Monitor")
PATH_TOOLS = ("Read", "Edit")
# Their calls are decided by rules for Read and Edit; path rules in their own name are never consulted.
NEVER_CONSULTED = {
    "Write": "Edit", "NotebookEdit": "Edit", "MultiEdit": "Edit",
    "NotebookRead": "Read", "Glob": "Read", "Grep": "Read", "LS": "Read",
}  # fmt: skip
NAMED_TOOLS = ("Agent", "Task", "Skill", "SlashCommand")
PRIMARY = ("command", "file_path", "path", "notebook_path", "url")
# Parameters of the client's own tools: for others a `name:value` may as well be a command or a path.
PARAMETERS = {
    "Bash": ("timeout", "description", "run_in_background", "dangerouslyDisableSandbox"),
    "PowerShell": ("timeout", "description", "run_in_background"),
    "Monitor": ("timeout", "description"),
    "Read": ("offset", "limit", "pages"),
    "Edit": ("old_string", "new_string", "replace_all"),
}


class ToolRule(Struct):
    """One rule. Its text is the operator's own, so that a verdict can quote it."""

    effect: str  # allow | ask | deny
    text: str  # as written: "Bash(npm run *)"
    tool: str  # the name, or a glob of names
    specifier: str | None = None  # None: the bare tool
    scope: str = "policy"  # managed | command line | local | project | user | policy | session
    origin: str = ""  # file and place
    base: str = ""  # folder that `/path` specifiers start from; "": the working directory


class Rules(Struct):
    """What a row of texts came to."""

    rules: tuple[ToolRule, ...] = ()
    notes: tuple[str, ...] = ()  # texts that have no effect, each with the reason


class _Useless(Exception):  # noqa: N818 - no error: the rule is understood, and does nothing
    """A rule that is never consulted, whatever its effect."""


def read(
    allow: "Iterable[object]" = (),
    ask: "Iterable[object]" = (),
    deny: "Iterable[object]" = (),
    *,
    scope: str = "policy",
    origin: str = "",
    base: str = "",
) -> Rules:
    """Read lists of rule texts. Raises PolicyError, naming every deny and ask rule that cannot be read."""
    rules: list[ToolRule] = []
    notes: list[str] = []
    wrong: list[str] = []
    for effect, texts in ((DENY, deny), (ASK, ask), (ALLOW, allow)):
        for text in _row(effect, texts, wrong):
            try:
                rules.append(one(effect, text, scope=scope, origin=origin, base=base))
            except _Useless as why:
                notes.append(f"{effect} rule {shown(text)} has no effect: {why}")
            except ValueError as why:
                if effect == ALLOW:
                    notes.append(f"allow rule {shown(text)} grants nothing: {why}")
                else:
                    wrong.append(f"{effect} rule {shown(text)} cannot be read: {why}")
    if wrong:
        place = f"{origin}: " if origin else ""
        hint = "a rule that denies or asks has to be readable: mend it, or take it out"
        raise PolicyError(place + "; ".join(wrong), hint=hint)
    return Rules(rules=tuple(rules), notes=tuple(notes))


def _row(effect: str, texts: object, wrong: list[str]) -> "Iterable[object]":
    if isinstance(texts, (list, tuple)):
        return texts
    wrong.append(f"the {effect} rules are not a list")
    return ()


def one(effect: str, text: object, *, scope: str = "policy", origin: str = "", base: str = "") -> ToolRule:
    """Read one rule. Raises ValueError, its text the reason, for a rule that means nothing."""
    if effect not in EFFECTS:
        raise ValueError(f"an effect is allow, ask or deny, not {shown(effect)}")
    if not isinstance(text, str):
        raise ValueError("a rule is a text such as `Bash(npm run *)`")  # noqa: TRY004 - as for any bad text
    tool, specifier = _split(text)
    _check_tool(effect, tool)
    if specifier is not None:
        _check_specifier(effect, tool, specifier)
    return ToolRule(
        effect=effect, text=text, tool=tool, specifier=specifier, scope=scope, origin=origin, base=base
    )


def shown(text: object) -> str:
    """Return a rule for a message: escaped, and never so long that it hides the message."""
    plain = text if isinstance(text, str) else repr(text)
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in plain[:200])
    return f"`{plain}`"


def parameter(rule: ToolRule) -> tuple[str, str] | None:
    """Return name and value of a rule that may be about a parameter: `Tool(name:value)`, never to allow."""
    if rule.specifier is None or rule.effect == ALLOW:
        return None
    name, colon, value = rule.specifier.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _identifier(name) or not value or name in PRIMARY:
        return None
    known = PARAMETERS.get(rule.tool)
    if known is None:
        return None if rule.tool == "WebFetch" and name == "domain" else (name, value)
    if name in known:
        return name, value
    return None if value == "*" or rule.tool in PATH_TOOLS else (name, value)


def is_parameter(rule: ToolRule) -> bool:
    """Say whether a rule is about nothing but a parameter."""
    found = parameter(rule)
    if found is None:
        return False
    known = PARAMETERS.get(rule.tool)
    return known is None or found[0] in known


# --- the pieces


def _split(text: str) -> tuple[str, str | None]:
    if len(text) > LONGEST:
        raise ValueError(f"a rule has at most {LONGEST} characters")
    if not text.isprintable():
        raise ValueError("a rule holds no control characters and no invisible ones")
    text = text.strip(" ")
    name, bracket, rest = text.partition("(")
    name = name.strip(" ")
    if not name:
        raise ValueError("a rule starts with the name of a tool, as in `Bash(npm run *)`")
    if not bracket:
        if ")" in name:
            raise ValueError("its bracket is closed but never opened")
        return name, None
    if not rest.endswith(")"):
        raise ValueError("its bracket is not closed at the end")
    specifier = rest[:-1].strip(" ")
    if not specifier:
        raise ValueError(f"its brackets are empty: write `{name}` for everything")
    return name, None if specifier == "*" else specifier


def _check_tool(effect: str, tool: str) -> None:
    strange = next((char for char in tool if not (char.isalnum() or char in "_-.*/:@$")), "")
    if strange:
        raise ValueError(f"the name of a tool never holds {shown(strange)}")
    if "*" not in tool or effect != ALLOW:
        return
    server = tool[5:].partition("__")[0] if tool.startswith("mcp__") else ""
    if not server or "*" in server or "__" not in tool[5:]:
        raise ValueError(
            "a rule that allows names its tool; `*` stands only behind the name of an MCP server, "
            "as in `mcp__github__get_*`"
        )


def _check_specifier(effect: str, tool: str, specifier: str) -> None:
    name = specifier.partition(":")[0].strip()
    if ":" in specifier and name in PRIMARY and tool not in NAMED_TOOLS:
        raise _Useless(_about_primary(tool, name))
    if tool in NEVER_CONSULTED:
        instead = NEVER_CONSULTED[tool]
        raise _Useless(f"paths are asked of {instead} rules only: write `{instead}({specifier})`")
    if tool in COMMAND_TOOLS:
        _check_command(specifier)
    elif tool in PATH_TOOLS or tool == "Cd":
        _check_path(specifier)
    elif tool == "WebFetch":
        _check_domain(effect, specifier)
    if effect == ALLOW:
        _check_allow(tool, name, specifier)


def _about_primary(tool: str, name: str) -> str:
    if name == "command":
        return f"a command is matched as it is: `{tool}(npm run *)`"
    if name == "url":
        return "hosts are matched by `WebFetch(domain:example.com)`"
    return "paths are matched as they are: `Read(src/**)`, `Edit(src/**)`"


def _check_allow(tool: str, name: str, specifier: str) -> None:
    if ":" in specifier and name in PARAMETERS.get(tool, ()):
        raise ValueError("rules about a parameter only deny or ask")
    if tool in COMMAND_TOOLS or tool in PATH_TOOLS or tool in {"Cd", "WebFetch"}:
        return
    if tool in NAMED_TOOLS:
        if ":" in specifier and _identifier(name):
            raise ValueError("rules about a parameter only deny or ask")
        return
    raise ValueError(f"nobody knows what brackets mean for this tool: write `{tool}`")


def _check_command(specifier: str) -> None:
    if specifier == ":*":
        raise ValueError("nothing stands before `:*`")


def _check_path(specifier: str) -> None:
    if specifier[0] == "!":
        raise ValueError("a path cannot be taken back with `!`: write a rule of another effect")
    if specifier.endswith("\\") and not specifier.endswith("\\\\"):
        raise ValueError("the last backslash escapes nothing")
    depth = 0
    for char in specifier.replace("\\[", "").replace("\\]", ""):
        depth += (char == "[" and not depth) - (char == "]" and depth > 0)
    if depth:
        raise ValueError("`[` is not closed: write `\\[` for the character itself")


def _check_domain(effect: str, specifier: str) -> None:
    name, colon, host = specifier.partition(":")
    if name.strip() != "domain" or not colon:
        if effect != ALLOW and colon and _identifier(name.strip()):
            return  # about a parameter
        raise ValueError("write `WebFetch(domain:example.com)`")
    host = host.strip().rstrip(".")
    if not host or not all(char.isalnum() or char in "-_.*:[]" for char in host) or not host.isascii():
        raise ValueError("a domain is a name such as example.com or *.example.com, in ASCII")


def _identifier(name: str) -> bool:
    return name.isascii() and name.isidentifier()
