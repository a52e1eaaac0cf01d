"""One command about to run: its words, the shell that it runs in, and what is found out about it."""

from ringfence.shell.facts import KNOWN, UNKNOWN, Access, Command, Endpoint, Value
from ringfence.shell.redirects import NOTHING, Input, placed
from ringfence.shell.words import known
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.shell.state import State
    from ringfence.shell.syntax import Span
    from ringfence.shell.walk import Walk

FIELDS = len(Command.__fields__)


class Call:
    """What is known of one command, filled in as it is understood."""

    __slots__ = (
        "accesses", "assignments", "canonical", "depth", "doubtful", "endpoints", "folder", "input",
        "literal", "name", "reached", "runner", "runs", "span", "state", "transparent", "variables",
        "walk", "words",
    )  # fmt: skip

    def __init__(
        self, walk: "Walk", words: tuple[Value, ...], state: "State", *, span: "Span", reached: str = "",
        depth: int = 0, input: Input = NOTHING, assignments: tuple[tuple[str, Value], ...] = (),  # noqa: A002
    ) -> None:  # fmt: skip
        self.walk = walk
        self.words = words
        self.state = state
        self.span = span
        self.reached = reached
        self.depth = depth  # of wrappers around it
        self.input = input
        self.assignments = assignments
        self.folder = state.folder()
        self.variables = walk.shown(state)
        self.name = words[0].text if words and words[0].certainty == KNOWN else ""
        self.accesses: list[Access] = []
        self.endpoints: list[Endpoint] = []
        self.runs: list[Command] = []
        self.canonical: tuple[Value, ...] = ()
        self.doubtful = False  # something was found here
        self.transparent = False
        self.runner = False
        self.literal = 0

    def arguments(self) -> tuple[Value, ...]:
        """Return the words behind the program."""
        return self.words[1:]

    def find(self, risk: str, reason: str, value: Value | None = None, *, exact: bool = False) -> None:
        """Note a finding at this command, or at one of its words."""
        self.doubtful = True
        self.walk.find(risk, value.span if value else self.span, reason, exact=exact)

    def access(self, kind: str, value: Value, *, tree: bool = False) -> None:
        """Note a file that the command touches."""
        self.accesses += placed(kind, value, self.state, "operand", tree=tree)

    def start(self, words: tuple[Value, ...], reached: str, state: "State | None" = None) -> None:
        """Note a command that this one starts by its arguments."""
        if not words:
            return
        span = (words[0].span[0], max(words[-1].span[1], words[0].span[1]))
        inner = Call(
            self.walk, words, self.state if state is None else state, span=span, reached=reached,
            depth=self.depth + 1, input=self.input, assignments=self.assignments,
        )  # fmt: skip
        self.runs.append(self.walk.run(inner))

    def code(self, text: Value, shell: str = "", state: "State | None" = None) -> None:
        """Note a text that this command gives to a shell; without a state, to this one."""
        for each in texts(text):
            self.runs += self.walk.code(each, shell, self.state if state is None else state, self.input)

    def command(self, source: str) -> Command:
        """Return the facts."""
        made: dict[str, Any] = {
            "words": self.words,
            "source": source,
            "span": self.span,
            "assignments": self.assignments,
            "accesses": tuple(self.accesses),
            "endpoints": tuple(self.endpoints),
            "folder": self.folder,
            "reached": self.reached,
            "runs": tuple(self.runs),
            "transparent": self.transparent,
            "runner": self.runner,
            "variables": self.variables,
            "canonical": self.canonical,
            "literal": self.literal,
        }
        # A field that is new to facts.Command and missing here must not be missing there.
        return build(Command, made) if len(made) == FIELDS else Command(**made)


def texts(value: Value) -> list[Value]:
    """Return what a word is or, where it is not known, may be."""
    if value.certainty != UNKNOWN:
        return [value]
    return [known(candidate, value.span) for candidate in value.candidates if candidate]
