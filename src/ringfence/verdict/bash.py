"""The verdict on a shell command: rules meet what the analysis says it would do.

1. A rule that denies fires on anything that any reading found: each command however deep, the programs
   inside wrappers and code strings, each file touched, each end of each link.
2. So does a rule that asks.
3. Whatever is not certain, and each risk, is for a person to answer.
4. What is left is allowed where each command has a rule of its own, and each file that it touches beyond
   the workspace, or redirects into, has one.

A bare `Bash` covers every command and file, but for what 1 to 3 say. A rule without a wildcard covers all of
the command that it spells, and those findings that say so.
"""

from ringfence.shell.facts import DELETE, KNOWN, LIST, PATTERN, READ, UNKNOWN, WRITE, Access, Finding
from ringfence.value import replace
from ringfence.verdict import access as accesses
from ringfence.verdict import command as commands
from ringfence.verdict import readonly
from ringfence.verdict.ruling import Ruling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringfence.policy.toolrules import ToolRule
    from ringfence.shell.facts import Analysis, Command
    from ringfence.verdict.access import Look, PathBook
    from ringfence.verdict.command import CommandRules
    from ringfence.verdict.paths import Sight

ALLOW, ASK, DENY = "allow", "ask", "deny"
# Programs whose arguments are data and nothing else: not knowing one decides nothing.
DATA = frozenset({"echo", "true", "false", ":", "exit", "return", "break", "continue"})
# Programs that do no more than read what they name, whichever options a file's name turns into.
READERS = frozenset({
    "ls", "cat", "wc", "head", "tail", "du", "df", "basename", "dirname", "realpath", "readlink", "stat",
    "md5sum", "sha1sum", "sha256sum", "cksum", "nl", "tac", "rev", "cut", "tr", "echo", "printf",
})  # fmt: skip
# Writes that a rule for the command does not cover: they need one for the file
EDITS = {"redirection": "by a redirection", "in-place": "in place"}
# They change nothing that lasts, so they need no rule.
STEERING = frozenset({"true", "false", ":", "break", "continue", "return", "exit", "wait", "test", "["})
# Searchers that pass over hidden files unless an option says otherwise
VISIBLE = {"rg": ("-.", "-u", "--hidden", "--no-ignore", "--unrestricted", "--files-from")}
# Characters of all commands together, those in others counted again: beyond it only their fronts are compared
MOST_TEXT = 300_000
FRONT = 200
# Risks of a text of which too little was read for rules to be asked command by command
_UNREAD = frozenset({"size", "syntax"})


class Book:
    """All that rules say about commands and files, for one working directory."""

    def __init__(
        self,
        commands_by_effect: "dict[str, CommandRules]",
        paths: "PathBook",
        *,
        readonly: bool = False,
    ) -> None:
        self.commands = commands_by_effect
        self.paths = paths
        self.readonly = readonly


def decide(analysis: "Analysis", book: Book, sight: "Sight") -> Ruling:
    """Decide on an analysed command."""
    return _Case(analysis, book, sight).ruling()


class _Case:
    def __init__(self, analysis: "Analysis", book: Book, sight: "Sight") -> None:
        self.analysis = analysis
        self.book = book
        self.sight = sight
        self.text = analysis.reading.text
        self.all = tuple(_flat(analysis.commands))
        self.bulky = sum([len(one.source) for one in self.all]) > MOST_TEXT
        self.spelled: dict[int, tuple[str, ...]] = {}
        self.known_looks: dict[tuple[object, ...], Look] = {}
        self.looks = [
            (command, one, self._look(command, one)) for command in self.all for one in command.accesses
        ]
        self.rules: list[ToolRule] = []
        self.unmatched: list[str] = []
        self.wanted: list[str] = []
        self.exact: list[tuple[int, int]] = []  # spans of what a rule spells in full
        self.findings: list[Finding] = []

    def _look(self, command: "Command", access: Access) -> "Look":
        value = access.path
        hidden = not _passes_over_hidden(command)
        key = (access.kind, value.text, value.certainty, access.folder, access.tree, hidden)
        if key not in self.known_looks:
            self.known_looks[key] = accesses.look(access, self.sight, self.book.paths, hidden=hidden)
        return self.known_looks[key]

    def _wide(self, command: "Command") -> tuple[str, ...]:
        if not self.bulky:
            if id(command) not in self.spelled:
                self.spelled[id(command)] = commands.wide(command, self.text)
            return self.spelled[id(command)]
        words = [word.text[:FRONT] for word in command.words[:FRONT]]
        return (" ".join(words), " ".join([words[0].rpartition("/")[2], *words[1:]])) if words else ()

    def ruling(self) -> Ruling:
        for effect in (DENY, ASK):
            found = self._ruled(effect)
            if found is not None and effect == DENY:
                return self._made(DENY, found[1], found[0])
            if found is not None:
                asked: tuple[ToolRule, str] | None = found
                break
        else:
            asked = None
        if self.bulky:
            span = (0, len(self.text))
            self.findings.append(
                Finding(risk="size", span=span, reason="too much, one inside the other, to look at")
            )
        else:
            self._grant()
        self._collect()
        if asked is not None:
            return self._made(ASK, asked[1], asked[0])
        if self.analysis.reading.problems:
            return self._made(ASK, f"{self.analysis.reading.problems[0].reason}")
        if self.findings:
            return self._made(ASK, self.findings[0].reason)
        if self.unmatched:
            return self._made(ASK, f"no rule allows {_row(self.unmatched)}")
        if not self.all:
            return self._made(ASK, "there is no command in it that a rule could allow")
        return self._made(ALLOW, "a rule allows every command in it", self.rules[0] if self.rules else None)

    def _made(self, effect: str, reason: str, rule: "ToolRule | None" = None) -> Ruling:
        certain = not self.analysis.reading.problems and not self.findings
        return Ruling(
            effect=effect,
            rule=rule,
            reason=reason,
            findings=tuple(self.findings) if effect != DENY else self.analysis.findings,
            analysis=self.analysis,
            unmatched=tuple(dict.fromkeys(self.unmatched)),
            suggestion=tuple(dict.fromkeys(self.wanted))
            if effect == ASK and rule is None and certain
            else (),
        )

    # --- rules that deny or ask

    def _ruled(self, effect: str) -> "tuple[ToolRule, str] | None":
        rules = self.book.commands[effect]
        if rules:
            found = self._commanded(rules)
            if found is not None:
                return found
        for _, one, look in self.looks:
            rule = look.deny if effect == DENY else look.ask
            if rule is not None:
                return rule, f"{_verb(one.kind)} {look.reason}"
        return None

    def _commanded(self, rules: "CommandRules") -> "tuple[ToolRule, str] | None":
        asked: set[tuple[str, ...]] = set()
        for command in self.all:
            texts = self._wide(command)
            if texts in asked:
                continue
            asked.add(texts)
            rule = rules.meant(texts, widely=True)
            if rule is None and command.words and command.words[0].certainty == PATTERN:
                rest = " ".join(word.text for word in command.words[1:])
                rule = rules.could_be(command.words[0], rest)
            if rule is not None:
                return rule, f"`{rule.text}` is about {_shown(command.source)}"
        if rules.whole is not None:
            return rules.whole, f"`{rules.whole.text}` is about every command"
        for text in getattr(self.analysis.reading, "seen", ()):
            rule = rules.meant((" ".join(text.split()), text.split(" ")[0].rpartition("/")[2]), widely=True)
            if rule is not None:
                return rule, f"`{rule.text}` is about {_shown(text)}, as a second reading has it"
        return self._raw(rules)

    def _raw(self, rules: "CommandRules") -> "tuple[ToolRule, str] | None":
        """Search a text that could not be read to its end for the programs that rules name."""
        reading = self.analysis.reading
        risks = {one.risk for one in reading.problems} | {one.risk for one in self.analysis.findings}
        cut = bool(risks & _UNREAD)
        if reading.script is not None and not cut:
            return None
        words = set("".join(c if c.isalnum() or c in "_-+." else " " for c in self.text).split())
        for program in rules.programs():
            if program.rpartition("/")[2] in words:
                rule = rules.by_program[program][0].rule
                return rule, f"the text cannot be read to its end, and names a program of `{rule.text}`"
        return None

    # --- rules that allow

    def _grant(self) -> None:
        rules = self.book.commands[ALLOW]
        whole = rules.literal((self.text.strip(),))
        if whole is not None:
            self.rules.append(whole)
            self.exact.append((0, len(self.text)))
        for command in self.analysis.commands:
            if whole is None:
                self._cover(command)
        for command, one, look in self.looks:
            self._allow_access(command, one, look)

    def _cover(self, command: "Command") -> None:
        """Cover a command and what it runs, or say what has no rule."""
        rules = self.book.commands[ALLOW]
        if not command.words:
            self._cover_assignments(command)
            return
        texts = commands.narrow(command, self.text)
        rule = rules.literal(texts) if _known(command) and self._assigns_safely(command) else None
        if rule is not None:
            self.rules.append(rule)
            self.exact.append(command.span)
            return
        if rules.whole is not None:
            self.rules.append(rules.whole)
            return
        if command.transparent and command.runs and self._assigns_safely(command):
            for inner in command.runs:
                self._cover(inner)
            return
        rule = self._wildcard(command, texts, rules)
        if rule is None and not self._needs_none(command):
            self._miss(command)
            return
        if rule is not None:
            self.rules.append(rule)
        if not (rule is not None and command.runner):
            for inner in command.runs:
                self._cover(inner)

    def _wildcard(
        self, command: "Command", texts: tuple[str, ...], rules: "CommandRules"
    ) -> "ToolRule | None":
        if not (self._assigns_safely(command) and _words_certain(command)):
            return None
        if command.runner:
            return rules.spelling(texts, command.literal) if command.literal else None
        return rules.meant(texts, widely=False)

    def _needs_none(self, command: "Command") -> bool:
        """Say whether a command needs no rule: it steers, moves within the workspace, or may read unasked."""
        if not self._assigns_safely(command) or not commands.certain(command):
            return False
        program = command.words[0].text
        if program in STEERING:
            return True
        mine = [look for other, _, look in self.looks if other is command]
        if program == "cd" and len(command.words) == 2:
            return self._inner_folder(command)
        return (
            self.book.readonly
            and readonly.is_readonly(command)
            and all(look.free or (look.inside and look.certain) for look in mine)
        )

    def _inner_folder(self, command: "Command") -> bool:
        target = command.words[1]
        if target.text.startswith("-") or command.folder is None:
            return False
        return self.sight.inside(self.sight.route(target.text, command.folder))

    def _cover_assignments(self, command: "Command") -> None:
        if command.assignments and not self._assigns_safely(command) and not self.book.commands[ALLOW].whole:
            self._miss(command)

    def _assigns_safely(self, command: "Command") -> bool:
        return all(
            readonly.safe_variable(name) and value.certainty == KNOWN for name, value in command.assignments
        )

    def _miss(self, command: "Command") -> None:
        self.unmatched.append(command.source or self.text[slice(*command.span)])
        if _known(command) and command.words and not command.assignments:
            self.wanted.append(suggestion(command))

    def _allow_access(self, command: "Command", access: Access, look: "Look") -> None:
        if look.free or (look.allow is not None and not look.risk):
            return
        if look.risk:
            self.findings.append(Finding(risk=look.risk, span=access.path.span, reason=look.reason))
            return
        if self.book.commands[ALLOW].whole is not None and look.certain:
            return
        if not look.certain:
            if command.words and command.words[0].text in DATA and access.origin != "redirection":
                return
            reason = look.reason or "where this leads cannot be told before it runs"
            self.findings.append(Finding(risk="uncertain-path", span=access.path.span, reason=reason))
            return
        if look.inside and not (access.origin in EDITS and access.kind in {WRITE, DELETE}):
            return
        spelled = any(start <= command.span[0] and command.span[1] <= end for start, end in self.exact)
        if spelled and access.origin != "redirection":
            return
        tool = "Read" if access.kind in {READ, LIST} else "Edit"
        where = "outside the workspace" if not look.inside else EDITS[access.origin]
        self.unmatched.append(f"{_verb(access.kind)} {look.end or access.path.text} {where}")
        self.wanted.append(path_rule(tool, look.end or access.path.text, self.sight))

    def _collect(self) -> None:
        """Keep the findings that no rule in full spelling answers."""
        for one in self.analysis.findings:
            inside = any(start <= one.span[0] and one.span[1] <= end for start, end in self.exact)
            if not (one.exact and inside):
                self.findings.append(one)
        self.findings.sort(key=lambda one: one.span)


def _flat(row: "tuple[Command, ...]") -> "Iterator[Command]":
    """Yield commands and what they run, outermost first, in the order of the text."""
    todo = list(row[::-1])
    while todo:
        command = todo.pop()
        yield command
        todo.extend(command.runs[::-1])


def _passes_over_hidden(command: "Command") -> bool:
    """Say whether a command that searches a folder leaves the hidden files in it alone."""
    if not command.words or command.words[0].text not in VISIBLE or not commands.certain(command):
        return False
    given = VISIBLE[command.words[0].text]
    return not any(word.text.startswith(given) or "u" in _cluster(word.text) for word in command.words[1:])


def _cluster(text: str) -> str:
    """Return the letters of short options written together."""
    return text[1:] if text.startswith("-") and not text.startswith("--") else ""


def _known(command: "Command") -> bool:
    """Say whether every word of a command and of what it runs is known."""
    return all(commands.certain(one) for one in _flat((command,)))


def _words_certain(command: "Command") -> bool:
    """Say whether what is not known of a command's words cannot change what it does."""
    if command.words[0].certainty != KNOWN:
        return False
    program = command.words[0].text
    data = program in DATA or (program == "printf" and _plain_format(command))
    for word in command.words[1:]:
        if word.certainty == UNKNOWN and not data:
            return False
        if word.certainty == PATTERN and program not in READERS and not commands.starts_plainly(word):
            return False
    return True


def _plain_format(command: "Command") -> bool:
    """Say whether printf has a format that is no option."""
    return len(command.words) > 1 and command.words[1].certainty == KNOWN and command.words[1].text[:1] != "-"


def suggestion(command: "Command") -> str:
    """Return the smallest rule that would cover a command: one that spells it."""
    text = " ".join([commands.quoted(word.text) for word in command.words])
    return f"Bash({text.replace(chr(92), chr(92) * 2).replace('*', chr(92) + '*')})"


def path_rule(tool: str, path: str, sight: "Sight") -> str:
    """Return the smallest rule that would cover a file."""
    inner = sight.relative(path)
    text = f"/{path}" if inner is None or not path.startswith("/") else f"./{inner}"
    plain = "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)
    return f"{tool}({plain})"


def _verb(kind: str) -> str:
    return {READ: "reading", LIST: "listing", WRITE: "writing", DELETE: "deleting"}.get(kind, kind)


def _row(texts: list[str]) -> str:
    names = list(dict.fromkeys(texts))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(_shown, names[:5])) + more


def _shown(text: str) -> str:
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return f"`{plain}`"


def without(ruling: Ruling) -> Ruling:
    """Return a ruling without the analysis, for what is kept or sent."""
    return replace(ruling, analysis=None)
