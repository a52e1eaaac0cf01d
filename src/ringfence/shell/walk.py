"""Walking a script: every command wherever it stands, in the order of the text, with the shell's state.

A command counts whether or not it would be reached: both branches, a function that nobody calls, what follows
`false &&`. State is followed in one direction, joined after branches, and copied for whatever runs in a shell
of its own (subshells, pipelines, substitutions). Words are walked for what they run before they are looked at
for what they come to: substitutions stand in arguments, assignments, targets, here-documents, arithmetic,
subscripts and within other words, and each of them is a script.

Limits have names. Reaching one is a finding, and what was found up to there stays: rules that deny still
apply to it.
"""

from ringfence.shell.compounds import compound
from ringfence.shell.environment import dangerous, plain
from ringfence.shell.facts import KNOWN, Command, Finding, Value
from ringfence.shell.read import read
from ringfence.shell.redirects import NOTHING, PIPED, Input
from ringfence.shell.simple import run, simple
from ringfence.shell.state import SHOWN, State, Variable
from ringfence.shell.syntax import Simple
from ringfence.shell.within import scan
from ringfence.shell.words import Scope, known
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.call import Call
    from ringfence.shell.syntax import Compound, Pipeline, Script, Span, Step, Word

DEPTH = 80  # scripts within scripts
TEXTS = 8  # texts within texts: `bash -c "bash -c …"`
CODE = 20_000  # characters of such texts in all
COMMANDS = 400  # more than a text of 10,000 characters has that somebody could answer for
TURNS = 64  # turns of loops that are walked one by one


class Where(Struct):
    """How a piece of script comes to run, and what it finds on its standard input."""

    reached: str = ""
    input: Input = NOTHING


TOP = Where()


class Budget:
    """What is left of the limits, for a text and everything within it."""

    __slots__ = ("code", "commands", "depth", "lost", "texts", "turns")

    def __init__(self) -> None:
        self.depth = DEPTH
        self.texts = TEXTS
        self.code = CODE
        self.commands = COMMANDS
        self.turns = TURNS
        self.lost = False  # whether a folder that cannot be told has been noted


class Walk:
    """One text being walked; a text within it gets a walk of its own that shares findings and limits."""

    __slots__ = ("at", "budget", "commands", "findings", "home", "shell", "start", "text")

    def __init__(
        self, text: str, shell: str, start: str, home: str | None, outer: "Walk | None" = None
    ) -> None:
        self.text = text
        self.shell = shell
        self.start = start  # the folder in which the whole text starts; "." where nobody said
        self.home = home
        self.at: Span | None = None  # of a text within an argument: where that argument stands
        self.commands: list[Command] = []
        self.findings: dict[tuple[str, Span], Finding] = {} if outer is None else outer.findings
        self.budget: Budget = Budget() if outer is None else outer.budget

    # What is found

    def find(self, risk: str, span: "Span", reason: str, *, exact: bool = False) -> None:
        """Note a finding; of several of one kind at one place the first stays."""
        where = self.at or span
        self.budget.lost = self.budget.lost or risk == "uncertain-folder"
        if (risk, where) not in self.findings:
            self.findings[risk, where] = Finding(risk=risk, span=where, reason=reason, exact=exact)

    def whole(self) -> "Span":
        """Return the place of the text as a whole."""
        return (0, len(self.text))

    def add(self, command: Command, at: int | None = None) -> None:
        """Note a command; with a place, before those that it holds."""
        self.budget.commands -= 1
        if at is None or at == len(self.commands):
            self.commands.append(command)
        else:
            self.commands.insert(at, command)

    def assigned(self, name: str, state: State, span: "Span") -> None:
        """Note that a variable is set: some choose what runs."""
        if not plain(name):
            self.find("evaluated-name", span, f"The shell evaluates {name!r}, where it expects a plain name.")
            return
        state.maybe(name)
        if dangerous(name):
            self.find("environment", span, f"{name} changes what the commands here run, load, read or ask.")

    def shown(self, state: State) -> tuple[tuple[str, Value], ...]:
        """Return the variables that a command carries along."""
        if not state.variables:
            return ()
        last = list(state.variables.items())[-SHOWN:]
        return tuple((name, _shown(variable)) for name, variable in last if name != "@")

    # Scripts

    def script(self, script: "Script | None", state: State, where: Where = TOP) -> None:
        """Walk a list of pipelines."""
        if script is None:
            return
        budget = self.budget
        if budget.depth <= 0 or budget.commands <= 0:
            self._stop(script)
            return
        budget.depth -= 1
        try:
            steps = script.steps
            first = 0
            for number, step in enumerate(steps):
                if step.operator in {"&&", "||"} and number + 1 < len(steps):
                    continue
                self._list(steps[first : number + 1], state, where)
                first = number + 1
        finally:
            budget.depth += 1

    def _list(self, steps: "tuple[Step, ...]", state: State, where: Where) -> None:
        """Walk pipelines that are joined by `&&` and `||`; with `&` behind them in a shell of their own."""
        state.settle()
        if steps[-1].operator == "&":
            state = state.copy()
        if len(steps) == 1:
            self.pipeline(steps[0].pipeline, state, where)
            return
        base: State | None = None
        operator = ""
        for step in steps:
            if base is None and operator:
                base = state.copy()
            if operator == "||":
                _soften(state, base or state)  # what failed may be any step before it
                self._either(step, state, where)
            else:
                failed = state.failed
                state.failed = state.folders
                self.pipeline(step.pipeline, state, where)
                state.failed = tuple(dict.fromkeys(failed + state.failed)) if operator else state.failed
            operator = step.operator
        if base is not None:
            _soften(state, base)

    def _either(self, step: "Step", state: State, where: Where) -> None:
        """Walk what runs only where the command before it failed."""
        other = state.copy()
        other.folders = other.failed = state.failed
        self.pipeline(step.pipeline, other, where)
        folders = tuple(dict.fromkeys(state.folders + other.folders))
        failed = other.failed
        state.join([other])
        state.folders, state.failed = folders, failed

    def pipeline(self, pipeline: "Pipeline", state: State, where: Where) -> None:
        """Walk the commands of a pipeline; each of several has a shell of its own (but zsh's last)."""
        commands = pipeline.commands
        if len(commands) == 1:
            self.command(commands[0], state, where)
            if pipeline.negated:
                state.folders, state.failed = state.failed, state.folders
            return
        stdin = where.input
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            own = state if last and self.shell == "zsh" else state.copy()
            before = len(self.commands)
            reached = where.reached if number == 0 else where.reached or "pipe"
            self.command(command, own, Where(reached=reached, input=stdin))
            stdin = Input(piped=True, text=printed(self.commands[before:]))

    def command(self, node: "Simple | Compound", state: State, where: Where) -> None:
        """Walk one command."""
        if self.budget.commands <= 0:
            self.find("size", self.whole(), "There are more commands than are looked at.")
            return
        if isinstance(node, Simple):
            simple(self, node, state, where)
        else:
            compound(self, node, state, where)

    def scan(self, word: "Word", scope: Scope) -> None:
        """Walk what a word runs."""
        scan(self, word, scope)

    def run(self, call: "Call") -> Command:
        """Work out what a command does, and what it starts."""
        return run(call)

    # Texts within a text

    def evaluated(self, text: str, span: "Span", state: State) -> None:
        """Walk what the shell would run if it expanded a text once more: for rules that deny."""
        if ("$(" not in text and "`" not in text) or '"' in text:
            return
        self.commands += self.code(known(f': "{text}"', span), "", state.copy())

    def code(self, text: Value, shell: str, state: State, stdin: Input = NOTHING) -> tuple[Command, ...]:
        """Return the commands of a text that an argument holds."""
        budget = self.budget
        if budget.texts <= 0 or budget.depth <= 0:
            self.find("size", text.span, "Texts within texts go deeper than is looked at.")
            return ()
        if budget.code < len(text.text):
            self.find("size", text.span, "The texts within this text are longer than is looked at.")
            return ()
        budget.code -= len(text.text)
        reading = read(text.text, shell or self.shell)
        inner = Walk(text.text, reading.shell, self.start, self.home, outer=self)
        inner.at = self.at or text.span
        for problem in reading.problems:
            inner.find(problem.risk, problem.span, problem.reason)
        budget.texts -= 1
        try:
            inner.script(reading.script, state, Where(reached="code", input=stdin))
        finally:
            budget.texts += 1
        return tuple(inner.commands)

    def _stop(self, script: "Script") -> None:
        """Note that a limit was reached."""
        if self.budget.depth <= 0:
            self.find("size", script.span, "Commands stand deeper within each other than is looked at.")
        else:
            self.find("size", script.span, "There are more commands than are looked at.")


def printed(commands: list[Command]) -> Value | None:
    """Return what a command surely prints, where that is plain text: `echo` or `printf` of known words."""
    if len(commands) != 1 or not commands[0].words or commands[0].runs or commands[0].accesses:
        return None
    words = commands[0].words
    if any(word.certainty != KNOWN for word in words):
        return None
    texts = [word.text for word in words[1:]]
    span = (words[0].span[0], words[-1].span[1])
    if words[0].text == "echo":
        while texts and texts[0] in {"-n", "-e", "-E", "-ne", "-en"}:
            del texts[0]
        return known(" ".join(texts), span)
    if words[0].text == "printf" and texts:
        if "%" not in texts[0]:
            return known(texts[0], span)
        return known(" ".join(texts[1:]), span)
    return None


def _shown(variable: Variable) -> Value:
    """Return a variable's value as a fact."""
    if variable.certain and variable.items is None and variable.values:
        return known(variable.values[0], (0, 0))
    return Value(text="", certainty="unknown", single=False, candidates=variable.values)


def _soften(state: State, base: State) -> None:
    """Make uncertain what was set only under a condition."""
    for name, variable in state.variables.items():
        old = base.variables.get(name)
        if old is not variable:
            state.variables[name] = variable.or_else(old)


__all__ = ["PIPED", "TOP", "Budget", "Walk", "Where", "printed"]
