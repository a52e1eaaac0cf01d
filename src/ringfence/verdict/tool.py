"""The verdict on a tool call: deny beats ask beats allow, from whichever scope, and nothing matched is ask.

A call is decided by what its tool does, not by what it is called: Write and NotebookEdit are decided by
rules for Edit, Grep and Glob by rules for Read, shell commands by `bash`. A call that does not hold what
its tool needs is denied: nobody can tell what it would do.

`Rulebook` compiles rules once; deciding costs the same for ten rules and for a thousand.
"""

from ringfence.policy.toolrules import NEVER_CONSULTED, ToolRule, is_parameter, parameter
from ringfence.shell.facts import LIST, READ, WRITE, Access, Finding, Value
from ringfence.verdict import access as accesses
from ringfence.verdict import bash, webfetch
from ringfence.verdict.access import ALLOW, ASK, DENY, PathBook
from ringfence.verdict.command import CommandRules, glob
from ringfence.verdict.paths import Sight
from ringfence.verdict.ruling import Ruling, ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ringfence.verdict.paths import Files

EFFECTS = (DENY, ASK, ALLOW)
SHELL = ("Bash", "Monitor")
# tool -> what it does, the fields that name its file, what it does without one
FILE_TOOLS: dict[str, tuple[str, tuple[str, ...], str | None]] = {
    "Read": (READ, ("file_path",), None),
    "NotebookRead": (READ, ("notebook_path",), None),
    "Edit": (WRITE, ("file_path",), None),
    "MultiEdit": (WRITE, ("file_path",), None),
    "Write": (WRITE, ("file_path",), None),
    "NotebookEdit": (WRITE, ("notebook_path",), None),
    "Glob": (LIST, ("path",), "."),
    "Grep": (READ, ("path",), "."),
    "LS": (LIST, ("path",), "."),
    "Cd": (LIST, ("path",), None),
}
NAMES = {"Agent": "subagent_type", "Task": "subagent_type", "Skill": "skill", "SlashCommand": "command"}
SAME = {"Task": "Agent", "Agent": "Task"}  # two names of one tool
MOST_BOOKS = 64  # working directories whose path rules are kept


class Rulebook:
    """Rules, compiled."""

    def __init__(
        self,
        rules: "Iterable[ToolRule]" = (),
        *,
        readonly: bool = False,  # the built-in read-only commands, and reading in the workspace, unasked
        home: str | None = None,
        folders: tuple[str, ...] = (),  # that belong to the workspace, beside the working directory
    ) -> None:
        self.rules = tuple(rules)
        self.readonly = readonly
        self.home = home
        self.folders = folders
        self.by_name: dict[tuple[str, str], list[ToolRule]] = {}
        self.globs: dict[str, list[ToolRule]] = {effect: [] for effect in EFFECTS}
        for rule in self.rules:
            if "*" in rule.tool:
                self.globs[rule.effect].append(rule)
            else:
                self.by_name.setdefault((rule.effect, rule.tool), []).append(rule)
        self._paths: dict[str, PathBook] = {}
        self._commands: dict[str, dict[str, CommandRules]] = {}

    def named(self, effect: str, tool: str) -> "Iterator[ToolRule]":
        """Yield the rules of an effect whose name means a tool."""
        yield from self.by_name.get((effect, tool), ())
        if tool in SAME:
            yield from self.by_name.get((effect, SAME[tool]), ())
        if (effect == ALLOW and tool.startswith("mcp__")) or tool.startswith("mcp__"):
            yield from self.by_name.get((effect, _server(tool)), ())
        for rule in self.globs[effect]:
            if glob(rule.tool.split("*"), tool):
                yield rule

    def bare(self, effect: str, tool: str) -> ToolRule | None:
        """Return a rule about everything a tool does."""
        return next((rule for rule in self.named(effect, tool) if rule.specifier is None), None)

    def paths(self, cwd: str) -> PathBook:
        """Return the path rules from one working directory."""
        if cwd not in self._paths:
            if len(self._paths) >= MOST_BOOKS:
                self._paths.clear()
            self._paths[cwd] = PathBook(
                [rule for rule in self._file_rules() if not is_parameter(rule)], cwd, self.home
            )
        return self._paths[cwd]

    def _file_rules(self) -> "Iterator[ToolRule]":
        for effect in EFFECTS:
            for tool in ("Read", "Edit"):
                yield from self.by_name.get((effect, tool), ())
                yield from (
                    _renamed(rule, tool) for rule in self.globs[effect] if glob(rule.tool.split("*"), tool)
                )

    def commands(self, tool: str) -> dict[str, CommandRules]:
        """Return the rules about commands of one tool."""
        if tool not in self._commands:
            self._commands[tool] = {
                effect: CommandRules(rule for rule in self.named(effect, tool) if not is_parameter(rule))
                for effect in EFFECTS
            }
        return self._commands[tool]


def _renamed(rule: ToolRule, tool: str) -> ToolRule:
    return ToolRule(**{**rule.__dict__, "tool": tool})


def _server(tool: str) -> str:
    return "__".join(tool.split("__")[:2])


def decide(call: ToolCall, rules: "Rulebook | Iterable[ToolRule]", files: "Files") -> Ruling:
    """Decide on a call. Never raises: what goes wrong while deciding is a denial, and our fault."""
    try:
        book = rules if isinstance(rules, Rulebook) else Rulebook(rules)
        return _decide(call, book, files)
    except Exception as error:  # noqa: BLE001 - a crash must not become a permission
        return Ruling(
            effect=DENY, reason=f"ringfence failed while deciding ({type(error).__name__}): report it"
        )


def _decide(call: ToolCall, book: Rulebook, files: "Files") -> Ruling:
    if not call.cwd.startswith("/"):
        return Ruling(effect=DENY, reason="the call does not say in which folder it would run")
    asked = None
    for effect in (DENY, ASK):
        found = _by_parameter(call, book, effect)
        if found is not None and effect == DENY:
            return found
        asked = found
    ruling = _by_tool(call, book, files)
    if asked is not None and ruling.effect == ALLOW:
        return asked
    return ruling


def _by_parameter(call: ToolCall, book: Rulebook, effect: str) -> Ruling | None:
    """Match `Tool(name:value)` against the input as it was sent: one scalar at the top."""
    for rule in book.named(effect, call.tool):
        about = parameter(rule)
        if about is None or about[0] not in call.input:
            continue
        text = _scalar(call.input[about[0]])
        if text is not None and glob(about[1].split("*"), text):
            return Ruling(effect=effect, rule=rule, reason=f"`{rule.text}` is about its {about[0]}")
    return None


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    return "null" if value is None else None


def _by_tool(call: ToolCall, book: Rulebook, files: "Files") -> Ruling:
    if call.tool in SHELL:
        return _shell(call, book, files)
    if call.tool in FILE_TOOLS:
        return _file(call, book, files)
    if call.tool == "WebFetch":
        return webfetch.decide(call, {effect: list(book.named(effect, call.tool)) for effect in EFFECTS})
    if call.tool == "PowerShell":
        return _powershell(call, book)
    return _plain(call, book)


# --- shells


def _shell(call: ToolCall, book: Rulebook, files: "Files") -> Ruling:
    text = call.input.get("command")
    if not isinstance(text, str):
        return Ruling(effect=DENY, reason=f"a call of {call.tool} holds a text `command`; this one does not")
    from ringfence.shell.analyse import analyse

    sight = Sight(files, call.cwd, book.home, book.folders)
    analysis = analyse(text, shell=call.shell, folder=call.cwd, home=book.home)
    made = bash.Book(book.commands(call.tool), book.paths(call.cwd), readonly=book.readonly)
    return bash.decide(analysis, made, sight)


def _powershell(call: ToolCall, book: Rulebook) -> Ruling:
    """Nothing here reads PowerShell: rules that deny or ask see its text, and nothing is ever allowed."""
    text = call.input.get("command")
    if not isinstance(text, str):
        return Ruling(effect=DENY, reason="a call of PowerShell holds a text `command`; this one does not")
    words = text.replace(";", " ").replace("|", " ").lower().split()
    for effect in (DENY, ASK):
        for rule in book.named(effect, call.tool):
            first = (rule.specifier or "*").lower().partition(" ")[0].partition("*")[0].removesuffix(":")
            if not first or any(word.rpartition("\\")[2].removesuffix(".exe") == first for word in words):
                return Ruling(effect=effect, rule=rule, reason=f"`{rule.text}` is about it")
    return Ruling(effect=ASK, reason="PowerShell commands are not read: a person has to answer")


# --- files


def _file(call: ToolCall, book: Rulebook, files: "Files") -> Ruling:
    bare = _bare(call.tool, book)
    if bare is not None and bare.effect == DENY:
        return _found(bare)
    kind, fields, default = FILE_TOOLS[call.tool]
    given = next((call.input[name] for name in (*fields, "path", "file_path") if name in call.input), default)
    if not isinstance(given, str) or not given or "\0" in given:
        return Ruling(effect=DENY, reason=f"a call of {call.tool} names a file; this one does not")
    if given.startswith("~/") and book.home is not None:
        given = f"{book.home}{given[1:]}"
    if call.tool == "Cd":
        return _cd(given, call, book, files)
    sight = Sight(files, call.cwd, book.home, book.folders)
    tree = call.tool in {"Grep", "Glob"}
    access = Access(kind=kind, path=Value(text=given), folder=call.cwd, origin="operand", tree=tree)
    look = accesses.look(access, sight, book.paths(call.cwd))
    if look.deny is not None:
        return Ruling(effect=DENY, rule=look.deny, reason=look.reason)
    pattern = _pattern(call, given, sight, book, kind) if tree else None
    if pattern is not None:
        return pattern
    if look.ask is not None or (bare is not None and bare.effect == ASK):
        rule = look.ask or bare
        return Ruling(
            effect=ASK, rule=rule, reason=look.reason or f"`{rule.text}` is about it" if rule else ""
        )
    if look.risk or not look.certain:
        risk = look.risk or "uncertain-path"
        reason = look.reason or "where this path leads cannot be told"
        return Ruling(effect=ASK, reason=reason, findings=(Finding(risk=risk, span=(0, 0), reason=reason),))
    if look.allow is not None or (bare is not None and bare.effect == ALLOW):
        rule = look.allow or bare
        return Ruling(effect=ALLOW, rule=rule, reason=f"`{rule.text}` covers {look.end}" if rule else "")
    if book.readonly and kind != WRITE and look.inside:
        return Ruling(effect=ALLOW, reason="reading in the workspace needs no rule")
    tool = "Edit" if kind == WRITE else "Read"
    where = "" if look.inside else ", which lies outside the workspace"
    return Ruling(
        effect=ASK,
        reason=f"no rule allows {call.tool} on {look.end}{where}",
        unmatched=(given,),
        suggestion=(bash.path_rule(tool, look.end, sight),),
    )


def _bare(tool: str, book: Rulebook) -> ToolRule | None:
    """Return what holds for a whole tool, by its own name or by that of the rules that decide it."""
    for effect in EFFECTS:
        found = book.bare(effect, tool)
        if found is None and tool in NEVER_CONSULTED:
            found = book.bare(effect, NEVER_CONSULTED[tool])
        if found is not None:
            return found
    return None


def _pattern(call: ToolCall, given: str, sight: Sight, book: Rulebook, kind: str) -> Ruling | None:
    """Look at the pattern of Glob, and at Grep's `glob`, as another place that is read."""
    text = call.input.get("pattern" if call.tool == "Glob" else "glob")
    if not isinstance(text, str) or not text:
        return None
    where = text if text.startswith("/") else f"{given.rstrip('/')}/{text}"
    access = Access(kind=kind, path=Value(text=where, certainty="pattern"), folder=call.cwd, origin="operand")
    look = accesses.look(access, sight, book.paths(call.cwd))
    if look.deny is not None:
        return Ruling(effect=DENY, rule=look.deny, reason=look.reason)
    if look.ask is not None or look.risk or not look.inside:
        reason = look.reason or f"{where} lies outside the workspace"
        return Ruling(effect=ASK, rule=look.ask, reason=reason)
    return None


def _cd(given: str, call: ToolCall, book: Rulebook, files: "Files") -> Ruling:
    """Decide on a change of folder: once one rule allows, only what rules allow is left."""
    rules = {effect: [_renamed(one, "Read") for one in book.named(effect, "Cd")] for effect in EFFECTS}
    paths = PathBook([one for row in rules.values() for one in row], call.cwd, book.home)
    sight = Sight(files, call.cwd, book.home, book.folders)
    access = Access(kind=LIST, path=Value(text=given), folder=call.cwd, origin="operand")
    look = accesses.look(access, sight, paths)
    if look.deny is not None:
        return Ruling(effect=DENY, rule=look.deny, reason=look.reason)
    if look.ask is not None:
        return Ruling(effect=ASK, rule=look.ask, reason=look.reason)
    if look.allow is not None:
        return Ruling(effect=ALLOW, rule=look.allow, reason=f"`{look.allow.text}` covers it")
    if look.inside and not rules[ALLOW]:
        return Ruling(effect=ALLOW, reason="it stays in the workspace")
    return Ruling(effect=ASK, reason=f"no rule allows {look.end}", suggestion=(f"Cd(/{look.end})",))


# --- everything else


def _plain(call: ToolCall, book: Rulebook) -> Ruling:
    """Decide on MCP tools, agents, searches and tools that nobody here knows: by name."""
    name = call.input.get(NAMES.get(call.tool, ""))
    for effect in EFFECTS:
        for rule in book.named(effect, call.tool):
            if rule.specifier is None or _names(rule, call, name):
                return _found(rule)
    wanted = f"{call.tool}({name})" if isinstance(name, str) and name.isprintable() else call.tool
    return Ruling(effect=ASK, reason=f"no rule allows {wanted}", unmatched=(wanted,), suggestion=(wanted,))


def _names(rule: ToolRule, call: ToolCall, name: object) -> bool:
    if parameter(rule) is not None:
        return False  # looked at before
    if call.tool in NAMES:
        return isinstance(name, str) and glob((rule.specifier or "").split("*"), name)
    pieces = (rule.specifier or "").split("*")  # nobody knows what it means, so whatever it could
    values = (_scalar(one) for one in call.input.values())
    return rule.effect != ALLOW and any(text is not None and glob(pieces, text) for text in values)


def _found(rule: ToolRule) -> Ruling:
    return Ruling(effect=rule.effect, rule=rule, reason=f"`{rule.text}` is about it")
