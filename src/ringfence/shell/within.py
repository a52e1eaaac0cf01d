"""What stands within a word: scripts that it runs, and operations that evaluate what they are given."""

from ringfence.shell.arithmetic import expression, harmless
from ringfence.shell.environment import dangerous
from ringfence.shell.facts import KNOWN
from ringfence.shell.parameters import lookup
from ringfence.shell.redirects import NOTHING, PIPED
from ringfence.shell.state import Variable
from ringfence.shell.syntax import Arithmetic, Brace, Parameter, Substitution, Text
from ringfence.shell.words import could_be

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.syntax import Part, Span, Word
    from ringfence.shell.walk import Walk
    from ringfence.shell.words import Scope

KEYS = frozenset({"[@]", "[*]", "*", "@"})  # `${!name[@]}`, `${!name*}`: keys and names, nothing is followed
WHOLE = frozenset({"[@]", "[*]"})
SAFE_TRANSFORMS = frozenset({"@Q", "@E", "@A", "@K", "@k", "@a", "@u", "@U", "@L"})
SPECIAL = frozenset("@*#?-$!0123456789")


def scan(walk: "Walk", word: "Word", scope: "Scope") -> None:
    """Walk everything that a word runs."""
    for part in word.parts:
        if type(part) is not Text:
            _part(walk, part, scope)


def numbers(walk: "Walk", text: str, scope: "Scope", span: "Span", risk: str = "arithmetic") -> None:
    """Look at an arithmetic text: what it sets, and whether evaluating it may run something."""
    if not harmless(text, scope.state.integer):
        walk.find(risk, span, "Arithmetic evaluates what its names hold, which can run commands.")
        for name in expression(text).reads:
            _again(walk, name, scope, span)
        for name in expression(text).sets:
            walk.assigned(name, scope.state, span)
        return
    for name in expression(text).sets:
        walk.assigned(name, scope.state, span)
        scope.state.set(name, Variable((), certain=False, integer=True))


def _part(walk: "Walk", part: "Part", scope: "Scope") -> None:
    """Walk one part of a word."""
    if isinstance(part, Substitution):
        _substitution(walk, part, scope)
    elif isinstance(part, Parameter):
        _parameter(walk, part, scope)
    elif isinstance(part, Arithmetic):
        for word in part.inner:
            scan(walk, word, scope)
        numbers(walk, part.text, scope, part.span)
    elif isinstance(part, Brace):
        for word in part.inner:
            scan(walk, word, scope)
        if not part.inner and _long(part.text):
            walk.find("size", part.span, "This range makes more words than are looked at.")


def _substitution(walk: "Walk", part: Substitution, scope: "Scope") -> None:
    """Walk the script of a substitution, in a shell of its own."""
    from ringfence.shell.walk import Where, printed

    state = scope.state.copy()
    state.settle()
    piped = part.kind == "output"
    before = len(walk.commands)
    reached = "substitution" if part.kind in {"command", "backquote"} else "process substitution"
    walk.script(part.script, state, Where(reached=reached, input=PIPED if piped else NOTHING))
    output = printed(walk.commands[before:])
    if output is not None:
        scope.outputs[part.span] = output.text.rstrip("\n")


def _parameter(walk: "Walk", part: Parameter, scope: "Scope") -> None:
    """Look at a reference: some operations assign, some evaluate."""
    operation = part.operation
    for word in part.inner:
        scan(walk, word, scope)
    if not part.name:
        walk.find("indirect", part.span, "What this reference stands for is not known.")
        return
    if part.indirect and operation not in KEYS:
        walk.find("indirect", part.span, f"The value of {part.name} names the variable that is meant.")
    if not operation or operation in WHOLE:
        return
    if operation[0] == "[":
        operation = _subscript(walk, part, operation, scope)
    if "@" in operation and operation[operation.rindex("@") :] not in SAFE_TRANSFORMS and operation[0] == "@":
        walk.find("transform", part.span, "The value is expanded again, as a prompt: it can run commands.")
        _again(walk, part.name, scope, part.span)
    bare = operation.removeprefix(":")
    if bare[:1] == "=":
        _default(walk, part, scope)
    elif operation[:1] == ":" and bare[:1] not in {"-", "+", "?"}:
        for text in bare.split(":"):
            numbers(walk, text, scope, part.span)


def _subscript(walk: "Walk", part: Parameter, operation: str, scope: "Scope") -> str:
    """Look at a subscript, which is arithmetic; return the operation behind it."""
    close = operation.find("]")
    index, rest = operation[1:close], operation[close + 1 :]
    if close < 0 or "[" in index or (index not in {"@", "*"} and not harmless(index, scope.state.integer)):
        walk.find("evaluated-name", part.span, "A subscript is evaluated, which can run commands.")
    return rest


def _again(walk: "Walk", name: str, scope: "Scope", span: "Span") -> None:
    """Walk what a variable's value would run if it were expanded."""
    for value in lookup(name, scope.state, scope.home).values:
        walk.evaluated(value, span, scope.state)


def _default(walk: "Walk", part: Parameter, scope: "Scope") -> None:
    """`${name:=word}` sets the variable."""
    values = tuple(value for word in part.inner for value in could_be(word, scope))
    if part.name[:1] in SPECIAL:
        return
    scope.state.maybe(part.name, values)
    if dangerous(part.name):
        walk.find("environment", part.span, f"{part.name} changes what the commands here run, load or read.")


def _long(text: str) -> bool:
    """Say whether a range has more items than are looked at, or is not plain."""
    from ringfence.shell.braces import _range

    return _range(text) is None


__all__ = ["KNOWN", "numbers", "scan"]
