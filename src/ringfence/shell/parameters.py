"""What `$name` and `${name…}` come to, as far as the text itself says.

Only plain references of variables that are certain are certain. What an operation cuts out of a value or puts
in its place is worked out where that is simple, as a candidate: good enough to deny, never to allow.
"""

from ringfence.shell.environment import COMPUTED
from ringfence.shell.state import CANDIDATES, Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.shell.state import State
    from ringfence.shell.syntax import Parameter, Word

UNKNOWN = Variable((), certain=False)
NUMBER = Variable((), certain=False, integer=True)
WHOLE = frozenset({"[@]", "[*]"})


def resolve(
    part: "Parameter", state: "State", home: str | None, text: "Callable[[Word], tuple[str, ...]]"
) -> Variable:
    """Return the values that a reference may have; `text` says what the words within it may come to."""
    if part.length:
        return NUMBER
    if part.indirect:
        return _pointed(part, state, home)
    base = lookup(part.name, state, home)
    operation = part.operation
    if not operation:
        return base
    inner = tuple(value for word in part.inner for value in text(word))[:CANDIDATES]
    return operated(base, operation, inner)


def lookup(name: str, state: "State", home: str | None) -> Variable:
    """Return what a name holds."""
    known = state.variables.get(name)
    if name in {"@", "*"}:
        return state.variables.get("@", UNKNOWN)
    if known is not None:
        return Variable(known.values, certain=False) if name in COMPUTED else known
    if name == "HOME":
        return Variable((home,), certain=True) if home else Variable(("~",), certain=False)
    if name == "PWD":
        return _folder(state)
    if name == "OLDPWD" and state.previous:
        return Variable((state.previous,), certain=False)
    if name in {"?", "#", "$", "!"}:
        return NUMBER
    if name.isdigit() and name != "0":
        return _positional(int(name[:4]), state)
    return UNKNOWN


def operated(base: Variable, operation: str, inner: tuple[str, ...]) -> Variable:
    """Return what `${name<operation>}` may come to."""
    bare = operation.removeprefix(":")
    if bare[:1] in {"-", "="}:
        if base.certain and base.values and base.values[0]:
            return base
        return Variable((base.values + inner)[:CANDIDATES], certain=False)
    if bare[:1] == "+":
        return Variable(inner, certain=False)
    if bare[:1] == "?":
        return base if base.certain and base.values[:1] != ("",) else Variable(base.values, certain=False)
    if operation.startswith("[") and operation.endswith("]"):
        return base if operation in WHOLE else _item(base, operation[1:-1])
    changed = tuple(_changed(value, operation, inner) for value in base.values)
    return Variable(changed, certain=False)


def _folder(state: "State") -> Variable:
    """Return $PWD: certain where the shell surely is in one absolute folder."""
    known = tuple(folder for folder in state.folders if folder is not None)
    certain = (
        len(state.folders) == 1 and state.folders == state.failed and known[:1] != () and known[0][:1] == "/"
    )
    return Variable(known, certain=certain)


def _positional(number: int, state: "State") -> Variable:
    """Return $1 and its kin, as `set --` left them."""
    known = state.variables.get("@")
    if known is None or known.items is None or number > len(known.items):
        return UNKNOWN
    return Variable((known.items[number - 1],), certain=known.certain)


def _item(base: Variable, index: str) -> Variable:
    """Return one item of an array."""
    if base.items is None:
        return Variable(base.values, certain=False)
    if index.isascii() and index.isdigit() and len(index) < 6 and int(index) < len(base.items):
        return Variable((base.items[int(index)],), certain=base.certain)
    return Variable(base.items[:CANDIDATES], certain=False)


def _pointed(part: "Parameter", state: "State", home: str | None) -> Variable:
    """Return what the variable may hold whose name this one holds."""
    names = lookup(part.name, state, home).values
    values = [value for name in names for value in lookup(name, state, home).values]
    return Variable(tuple(values[:CANDIDATES]), certain=False)


def _changed(value: str, operation: str, inner: tuple[str, ...]) -> str:
    """Work out a simple operation on a value; the value itself where it is not simple."""
    word = inner[0] if inner else ""
    if operation[0] == "#":
        return value.removeprefix(word or operation.lstrip("#"))
    if operation[0] == "%":
        return value.removesuffix(word or operation.lstrip("%"))
    if operation[0] == "/":
        return _replaced(value, operation)
    if operation[0] == ":":
        return _cut(value, operation[1:])
    if operation in {",", ",,", "^", "^^", "@L", "@U", "@u"}:
        return value.lower() if operation in {",", ",,", "@L"} else value.upper()
    return value


def _replaced(value: str, operation: str) -> str:
    """Work out `/a/b` and `//a/b` for plain text."""
    every = operation.startswith("//")
    old, _, new = operation[2 if every else 1 :].partition("/")
    return value.replace(old, new, -1 if every else 1) if old else value


def _cut(value: str, operation: str) -> str:
    """Work out `:2` and `:2:3` for plain numbers."""
    start, _, length = operation.partition(":")
    start, length = start.strip(), length.strip()
    if not start.isdigit() or len(start) > 6 or (length and (not length.isdigit() or len(length) > 6)):
        return value
    return value[int(start) :][: int(length)] if length else value[int(start) :]
