"""What a word comes to: known text, a pattern of file names, or something that is not known before it runs.

Order as in the shell: braces first, into several words; then everything else. A word is **known** where every
part of it is: quoted or not, text stands for itself; `~` where the home folder is known; a variable where one
straight line leads from its assignment to here and, outside of quotes, nothing in it could be split or match
file names. A glob makes a **pattern**. All else is **unknown**: it keeps its text as written, what it surely
starts with, whether it stays one word, and candidates that only rules that deny look at.
"""

from ringfence.shell.braces import alternatives
from ringfence.shell.facts import KNOWN, PATTERN, UNKNOWN, Value
from ringfence.shell.parameters import WHOLE, resolve
from ringfence.shell.state import CANDIDATES, Variable
from ringfence.shell.syntax import Arithmetic, Brace, Glob, Parameter, Substitution, Text, Tilde
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.state import State
    from ringfence.shell.syntax import Part, Span, Word

SPECIAL = frozenset("\\*?[]")
UNSPLIT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:@%+=")
PIPE = "/dev/fd/63"  # what `<(…)` hands over: a file that nothing else names


class Scope:
    """Where words stand: the text they were written in, and what the shell knows there."""

    __slots__ = ("at", "home", "outputs", "shell", "state", "text")

    def __init__(
        self, text: str, state: "State", home: str | None, shell: str, at: "Span | None" = None
    ) -> None:
        self.text = text
        self.state = state
        self.home = home
        self.shell = shell
        self.at = at  # of a text within an argument: where that argument stands
        self.outputs: dict[Span, str] = {}  # what substitutions surely print, as far as that was worked out

    def span(self, span: "Span") -> "Span":
        """Return where something stands in the text that a person sees."""
        return self.at or span


def known(text: str, span: "Span") -> Value:
    """Make a known value."""
    return build(
        Value,
        {"text": text, "certainty": KNOWN, "span": span, "start": "", "single": True, "candidates": ()},
    )


def fixed(word: "Word") -> bool:
    """Say whether nothing in a word is expanded but a home folder."""
    return all(type(part) is Text or (type(part) is Tilde and not part.user) for part in word.parts)


def expand(word: "Word", scope: Scope) -> list[Value]:
    """Return the words that one word becomes. Empty where it surely becomes none (`"$@"` without any)."""
    parts = word.parts
    if len(parts) == 1:
        only = parts[0]
        if type(only) is Text and (scope.shell != "zsh" or only.quoted or only.value[:1] != "="):
            return [known(only.value, scope.at or word.span)]
        if type(only) is Parameter:
            several = _several(only, scope, word.span)
            if several is not None:
                return several
    if scope.shell == "zsh" and parts:
        program = _looked_up(parts[0])
        if program:
            return [_unknown(word, scope, "", (program,), single=True)]
    if not any(type(part) is Brace for part in parts):
        return [_value(parts, word, scope)]
    found, certain = alternatives(parts)
    if found is None:
        return [_unknown(word, scope, "", ())]
    values = [_value(tuple(each), word, scope) for each in found]
    if certain:
        return values
    return [_unknown(word, scope, "", (value.text, *value.candidates)) for value in values]


def _looked_up(part: "Part") -> str:
    """Return the program that zsh's `=name` stands for."""
    return "" if not isinstance(part, Text) or part.quoted or part.value[:1] != "=" else part.value[1:]


def one(word: "Word", scope: Scope) -> Value:
    """Return the value of a word that is neither split nor matched: of an assignment, of a here-document."""
    parts = word.parts
    if len(parts) == 1 and type(parts[0]) is Text:
        return known(parts[0].value, scope.at or word.span)
    return _value(parts, word, scope, split=False)


def could_be(word: "Word", scope: Scope) -> tuple[str, ...]:
    """Return texts that a word may come to, known ones first."""
    value = one(word, scope)
    return (value.text,) if value.certainty != UNKNOWN else value.candidates


def escaped(text: str) -> str:
    """Return text as a pattern that matches nothing else."""
    if SPECIAL.isdisjoint(text):
        return text
    return "".join(f"\\{character}" if character in SPECIAL else character for character in text)


class _Sum:
    """The parts of a word, put together one by one."""

    __slots__ = ("candidates", "glob", "pattern", "single", "start", "sure")

    def __init__(self) -> None:
        self.sure = True  # everything so far is known
        self.glob = False
        self.single = True
        self.start = ""
        self.pattern = ""
        self.candidates = [""]

    def literal(self, text: str) -> None:
        """Add text that stands for itself."""
        if self.sure and not self.glob:
            self.start += text
        self.pattern += escaped(text)
        self.candidates = [each + text for each in self.candidates]

    def match(self, pattern: str) -> None:
        """Add a part that stands for file names."""
        self.glob = True
        self.pattern += pattern
        self.candidates = [each + pattern for each in self.candidates]

    def doubt(self, values: tuple[str, ...], *, single: bool) -> None:
        """Add a part that is not known but may be one of these."""
        self.sure = False
        self.single = self.single and single
        options = values or ("",)
        self.candidates = [each + value for each in self.candidates for value in options][:CANDIDATES]


def _value(parts: "tuple[Part, ...]", word: "Word", scope: Scope, *, split: bool = True) -> Value:
    """Put the parts of one word together."""
    total = _Sum()
    for part in parts:
        if isinstance(part, Text):
            total.literal(part.value)
        elif isinstance(part, Glob) and split:
            total.match(part.text)
        elif isinstance(part, Parameter):
            _parameter(part, total, scope, split)
        else:
            _other(part, total, scope, split)
    if not total.sure:
        return _unknown(word, scope, total.start, tuple(dict.fromkeys(total.candidates)), single=total.single)
    if total.glob:
        return Value(text=total.pattern, certainty=PATTERN, span=scope.at or word.span, start=total.start)
    return known(total.start, scope.at or word.span)


def _unknown(
    word: "Word", scope: Scope, start: str, candidates: tuple[str, ...], *, single: bool = False
) -> Value:
    """Make an unknown value."""
    return Value(
        text=scope.text[word.span[0] : word.span[1]],
        certainty=UNKNOWN,
        span=scope.at or word.span,
        start=start,
        single=single,
        candidates=candidates[:CANDIDATES],
    )


def _parameter(part: Parameter, total: _Sum, scope: Scope, split: bool) -> None:  # noqa: FBT001 - hot and private
    """Add what a reference comes to."""
    found = resolve(part, scope.state, scope.home, lambda word: could_be(word, scope))
    quoted = part.quoted or not split
    several = part.name in {"@", "*"} or part.operation in WHOLE or found.items is not None
    if found.certain and found.values and not several and (quoted or _unsplit(found.values[0], scope)):
        total.literal(found.values[0])
    elif found.pattern and quoted and not part.operation:
        total.match(found.pattern)
    elif several:
        total.doubt((" ".join(found.items), "") if found.items else (), single=False)
    else:
        whole = found.integer and "IFS" not in scope.state.variables
        total.doubt(found.values or ("",), single=quoted or whole)


def _other(part: "Part", total: _Sum, scope: Scope, split: bool) -> None:  # noqa: FBT001 - private
    """Add a part that is neither text nor a reference."""
    if isinstance(part, Tilde):
        folder = _tilde(part, scope)
        if folder is None:
            total.doubt((f"~{part.user}",), single=True)
        else:
            total.literal(folder)
    elif isinstance(part, Substitution):
        if part.kind in {"input", "output"}:
            total.literal(PIPE)
        else:
            output = scope.outputs.get(part.span)
            total.doubt((output,) if output is not None else (), single=part.quoted or not split)
    elif isinstance(part, Arithmetic):
        total.doubt((), single=part.quoted or not split)
    elif isinstance(part, Glob):
        total.literal(part.text)
    else:
        total.doubt((), single=False)


def _tilde(part: Tilde, scope: Scope) -> str | None:
    """Return the folder that a tilde stands for, where it is known."""
    if part.user == "":
        return scope.home if "HOME" not in scope.state.variables else None
    if part.user == "+":
        folders = scope.state.folders
        if len(folders) == 1 and scope.state.failed == folders and folders[0] and folders[0][:1] == "/":
            return folders[0]
    return None


def _unsplit(text: str, scope: Scope) -> bool:
    """Say whether text stays one word outside of quotes."""
    return bool(text) and UNSPLIT.issuperset(text) and "IFS" not in scope.state.variables


def _several(part: Parameter, scope: Scope, span: "Span") -> list[Value] | None:
    """Return the words of `"$@"` or `"${name[@]}"` where the text says what they are; None elsewhere."""
    if part.indirect or part.length or not (
        (part.name in {"@", "*"} and not part.operation) or part.operation in WHOLE
    ):  # fmt: skip
        return None
    found: Variable | None = scope.state.variables.get("@" if part.name == "*" else part.name)
    if found is None or found.items is None:
        return None
    star = part.name == "*" or part.operation == "[*]"
    certain = found.certain and not (part.quoted and star)
    at = scope.at or span
    if certain and (part.quoted or all(_unsplit(item, scope) for item in found.items)):
        return [known(item, at) for item in found.items]
    written = scope.text[span[0] : span[1]]
    return [
        Value(text=written, certainty=UNKNOWN, span=at, single=False, candidates=(item,))
        for item in found.items
    ] or None
