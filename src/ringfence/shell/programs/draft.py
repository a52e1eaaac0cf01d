"""Collects what a program does while its arguments are read, and what every table's roles mean.

A role says what becomes of an option's value or of an operand: `read`, `write`, `out` (the program's usual
output, a write that is no surprise), `list`, `delete`, `run` (a command to start), `url`, `host`, or
`risk:NAME` for a finding of that name. What a table leaves to its module stays in what was parsed.
"""

from ringfence.shell.facts import (
    DELETE,
    KNOWN,
    LIST,
    READ,
    UNKNOWN,
    WRITE,
    Access,
    Endpoint,
    Finding,
    Value,
)
from ringfence.shell.invocation import Effects, Invocation
from ringfence.shell.options import HARMLESS, Parsed, Table, read, value_of
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OPERAND, OPTION, IN_PLACE = "operand", "option", "in-place"
NOWHERE = frozenset({"-", "/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/full"})
_KINDS = {"read": READ, "write": WRITE, "out": WRITE, "list": LIST, "delete": DELETE}

_SOME = "does something that a person should see"
REASONS = {
    "archive-action": "runs something while it packs or unpacks",
    "git-runs": "names a program that git starts",
    "git-option": "changes what git itself runs",
    "awk-program": "runs a program that is not understood",
    "option-runs-program": "names a program that it starts",
    "option-writes": "writes a file where a reader is expected",
    "unseen-instructions": "takes its instructions from a file that is not part of the command",
    "pager": "opens a pager, which can start programs",
    "editor-command": "gives an editor commands to run",
    "interpreter-code": "runs code that stands in its arguments",
    "remote-shell": "runs a command on another machine",
    "opener": "opens something with whatever program is registered for it",
    "scheduler": "has something run later, outside this session",
    "privilege": "runs as another user",
    "container-engine": "commands a container engine, which acts outside this boundary",
    "system-change": "changes the machine itself",
}


class Draft:
    """The effects of one invocation, while they are gathered."""

    __slots__ = (
        "accesses", "arguments", "assignments", "canonical", "complete", "endpoints", "findings", "folder",
        "invocation", "literal", "program", "runner", "runs", "scripts", "start", "transparent",
    )  # fmt: skip

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.program = invocation.program
        self.arguments = invocation.arguments
        self.folder = invocation.folder
        self.accesses: list[Access] = []
        self.endpoints: list[Endpoint] = []
        self.findings: list[Finding] = []
        self.runs: list[tuple[Value, ...]] = []
        self.scripts: list[Value] = []
        self.assignments: list[tuple[str, Value]] = []
        self.start: str | None = None
        self.canonical: tuple[Value, ...] = ()
        self.literal = 0
        self.transparent = False
        self.runner = False
        self.complete = True

    def done(self) -> Effects:
        """Return what was gathered."""
        return build(
            Effects,
            {
                "accesses": tuple(self.accesses),
                "endpoints": tuple(self.endpoints),
                "findings": tuple(self.findings),
                "runs": tuple(self.runs),
                "scripts": tuple(self.scripts),
                "assignments": tuple(self.assignments),
                "folder": self.start,
                "transparent": self.transparent,
                "runner": self.runner,
                "complete": self.complete,
                "canonical": self.canonical,
                "literal": self.literal,
            },
        )

    # --- files

    def touch(self, kind: str, path: Value, origin: str = OPERAND, *, tree: bool = False) -> None:
        """Note that a file or folder is touched; one that is not known is a finding as well."""
        if path.certainty == UNKNOWN:
            self.uncertain(path)
        elif path.text == "-" and kind == READ:
            return
        self.accesses.append(
            build(
                Access,
                {"kind": kind, "path": path, "folder": self.folder, "origin": origin, "tree": tree},
            )
        )

    def read(self, path: Value, origin: str = OPERAND, *, tree: bool = False) -> None:
        """Note a read."""
        self.touch(READ, path, origin, tree=tree)

    def write(self, path: Value, origin: str = OPERAND, *, tree: bool = False) -> None:
        """Note a write."""
        self.touch(WRITE, path, origin, tree=tree)

    def list(self, path: Value, origin: str = OPERAND, *, tree: bool = False) -> None:
        """Note that names are listed."""
        self.touch(LIST, path, origin, tree=tree)

    def here(self, kind: str, *, tree: bool = False) -> None:
        """Note that the working directory is touched, which no word names."""
        where = value_of(".", self.invocation.span)
        self.touch(kind, where, tree=tree)

    # --- the rest

    def endpoint(self, value: Value) -> None:
        """Note a host or URL; one that is not known is a finding as well."""
        if value.certainty != KNOWN:
            self.uncertain(value)
        self.endpoints.append(build(Endpoint, {"value": value}))

    def finding(self, risk: str, reason: str = "", at: Value | None = None, *, exact: bool = True) -> None:
        """Note a risk."""
        span = at.span if at is not None and at.span != (0, 0) else self.invocation.span
        told = f"`{self.program}` {reason or REASONS.get(risk, _SOME)}"
        self.findings.append(build(Finding, {"risk": risk, "span": span, "reason": told, "exact": exact}))

    def uncertain(self, value: Value) -> None:
        """Note a word that matters and is not known before it runs."""
        if any(one.risk == "uncertain-argument" and one.span == value.span for one in self.findings):
            return
        self.finding(
            "uncertain-argument", "is given a word that is not known before it runs", value, exact=False
        )

    def run(self, words: "Sequence[Value]") -> None:
        """Note a command that is started by its own words."""
        if words:
            self.runs.append(tuple(words))

    def script(self, text: Value) -> None:
        """Note a text that a shell runs."""
        if text.certainty != KNOWN:
            self.uncertain(text)
        self.scripts.append(text)

    # --- by table

    def apply(self, table: Table, arguments: "Sequence[Value] | None" = None, start: int = 0) -> Parsed:
        """Read the arguments by a table and note what its roles say."""
        parsed = read(table, self.arguments if arguments is None else arguments, start)
        roles = parsed.roles()
        tree = table.tree or "tree" in roles
        for one in parsed.given:
            if one.role not in HARMLESS:
                self._option(one.role, one.word, one.value, tree=tree)
        if table.operands:
            self.each(parsed.operands, table.operands, tree=tree)
        if parsed.strange and (table.risky or table.operands != "data"):
            self.complete = False
            if table.closed:
                for word in parsed.strange:
                    self.finding("unknown-option", f"has no option {word.text!r} that is known", word)
        self.doubts(table, parsed)
        return parsed

    def doubts(self, table: Table, parsed: Parsed) -> None:
        """Note what may turn out to be an option, where a program has options that matter."""
        if table.risky or table.operands not in {"", "data"}:
            for word in parsed.unsure:
                self.uncertain(word)
        if table.risky:
            for word in parsed.globbed:
                self.finding(
                    "glob-option",
                    "has options that matter, and a file may be named like one: write ./*",
                    word,
                )

    def each(self, values: "Iterable[Value]", role: str, *, tree: bool = False) -> None:
        """Note the same of several operands."""
        for value in values:
            self._value(role, value, OPERAND, tree=tree)

    def _option(self, role: str, word: Value, value: Value | None, *, tree: bool) -> None:
        if role.startswith("risk:"):
            self.finding(role[5:], "", word)
            if value is not None and value.certainty == UNKNOWN:
                self.uncertain(value)
        elif value is not None:
            self._value(role, value, OPTION, tree=tree and role == "list")

    def _value(self, role: str, value: Value, origin: str, *, tree: bool) -> None:
        kind = _KINDS.get(role)
        if kind is not None:
            if role == "write" and origin == OPTION:
                if value.text in NOWHERE:
                    return
                self.finding("option-writes", "", value)
            self.touch(kind, value, origin, tree=tree)
        elif role in {"url", "host"}:
            self.endpoint(value)
        elif role == "run":
            self.finding("option-runs-program", "", value)
            self.script(value)

    def code(self, value: Value | None, word: Value, language: str) -> None:
        """Note code of another language than the shell's."""
        self.finding("interpreter-code", f"runs {language} that stands in its arguments", value or word)
        if value is not None and value.certainty != KNOWN:
            self.uncertain(value)
