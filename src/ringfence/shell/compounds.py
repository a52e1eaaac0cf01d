"""Compound commands: branches, loops, functions, tests; how their bodies run and what that changes."""

from ringfence.shell.arithmetic import harmless, whole
from ringfence.shell.environment import plain
from ringfence.shell.facts import KNOWN, PATTERN, Command, Value
from ringfence.shell.redirects import Files, files
from ringfence.shell.state import CANDIDATES, Variable
from ringfence.shell.syntax import Compound
from ringfence.shell.within import numbers
from ringfence.shell.words import Scope, could_be, expand, one
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.shell.state import State
    from ringfence.shell.syntax import Span, Word
    from ringfence.shell.walk import Walk, Where

UNROLLED = 8  # turns of a `for` loop over known words that are walked one by one
COMPARISONS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
NAMED = frozenset({"-v", "-R"})


def compound(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """Walk a compound command: its redirections, then its bodies."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    if node.redirects:
        found = files(walk, node.redirects, scope)
        if found.accesses or found.endpoints:
            walk.add(_redirected(walk, node, found, state, where))
        if found.input is not None:
            where = replace(where, input=found.input)
    for word in node.words:
        walk.scan(word, scope)
    KINDS.get(node.kind, _other)(walk, node, state, where)


def _redirected(walk: "Walk", node: Compound, found: Files, state: "State", where: "Where") -> Command:
    """Return a command that is nothing but the redirections of a compound."""
    first, last = node.redirects[0].span[0], node.redirects[-1].span[1]
    return Command(
        words=(),
        source=walk.text[first:last],
        span=walk.at or (first, last),
        accesses=found.accesses,
        endpoints=found.endpoints,
        folder=state.folder(),
        reached=where.reached,
    )


def _subshell(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`( … )`: in a shell of its own."""
    own = state.copy()
    for body in node.bodies:
        walk.script(body, own, where)


def _group(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`{ …; }`."""
    for body in node.bodies:
        walk.script(body, state, where)


def _if(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`if`: conditions in turn, each with its body, and perhaps one more body."""
    branches = []
    current = state
    bodies = node.bodies
    for number in range(0, len(bodies) - 1, 2):
        if number:
            current = current.copy()
        current.settle()
        walk.script(bodies[number], current, where)
        branch = current.copy()
        branch.failed = branch.folders
        walk.script(bodies[number + 1], branch, where)
        branches.append(branch)
        current = current.copy()
        current.folders = current.failed
    if len(bodies) % 2:
        walk.script(bodies[-1], current, where)
    state.folders = state.failed = branches[0].folders if branches else state.folders
    state.join([*branches, current])


def _while(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`while` and `until`: any number of times."""
    _loop(walk, node, state, lambda inner: _in_turn(walk, node, inner, where))


def _for(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`for name in words`, `select`: over known words turn by turn, so that what each turn does is known."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    values = [value for word in node.words for value in expand(word, scope)]
    span = scope.span(node.span)
    walk.assigned(node.name, state, span)
    used = f"${node.name}" in walk.text or f"${{{node.name}" in walk.text
    plainly = all(value.certainty == KNOWN for value in values)
    few = 0 < len(values) <= min(UNROLLED, walk.budget.turns) and bool(node.words)
    if node.kind == "for" and used and plainly and few:
        walk.budget.turns -= len(values)
        _loop(walk, node, state, lambda inner: _turns(walk, node, inner, where, values))
        return
    variable = _any_of(values)
    _loop(walk, node, state, lambda inner: _with(walk, node, inner, where, variable))


def _turns(walk: "Walk", node: Compound, state: "State", where: "Where", values: list[Value]) -> None:
    """Walk a body once for each word."""
    for value in values:
        state.set(node.name, Variable((value.text,), certain=True, integer=whole(value.text)))
        _in_turn(walk, node, state, where)


def _with(walk: "Walk", node: Compound, state: "State", where: "Where", variable: Variable) -> None:
    """Walk a body once, for any of the words."""
    state.set(node.name, variable)
    _in_turn(walk, node, state, where)


def _any_of(values: list[Value]) -> Variable:
    """Return a variable that holds any of these."""
    if len(values) == 1 and values[0].certainty == PATTERN:
        return Variable((), certain=False, pattern=values[0].text)
    texts = [
        text for value in values for text in ((value.text,) if value.certainty == KNOWN else value.candidates)
    ]
    integers = bool(values) and all(value.certainty == KNOWN and whole(value.text) for value in values)
    return Variable(tuple(texts[:CANDIDATES]), certain=False, integer=integers)


def _loop(walk: "Walk", node: Compound, state: "State", body: "Callable[[State], None]") -> None:
    """Walk a loop's body: what a turn changes, the next one starts with."""
    state.settle()
    inner = state.copy()
    inner.forget(_touched(walk, node, state), integers=True)
    entry = dict(inner.variables)
    body(inner)
    inner.settle()
    if set(inner.folders) - set(state.folders):
        walk.find("uncertain-folder", node.span, "Each turn of this loop may start in another folder.")
        inner.move((None, *inner.folders[:3]))
    for name, variable in entry.items():
        if variable.certain and inner.variables.get(name) is not variable and name != node.name:
            walk.find(
                "uncertain-argument", node.span, f"A turn of this loop changes {name} for the next one."
            )
    # Invariant: what was an integer before a turn is one after it; else arithmetic in the loop was misjudged.
    for name, variable in entry.items():
        if variable.integer and not inner.integer(name):
            walk.find(
                "arithmetic", node.span, f"A turn of this loop may make {name} something else than a number."
            )
    state.join([inner])


def _touched(walk: "Walk", node: Compound, state: "State") -> list[str]:
    """Return the variables whose names stand in a loop other than to be read."""
    if not state.variables:
        return []
    text = walk.text[node.span[0] : node.span[1]]
    return [name for name in state.variables if name == "@" or _named(text, name)]


def _named(text: str, name: str) -> bool:
    """Say whether a name stands in a text other than as `$name`."""
    at = text.find(name)
    while at >= 0:
        before = text[max(0, at - 2) : at]
        read = before.endswith("$") or before == "${"
        if not read or text[at + len(name) : at + len(name) + 2].lstrip(":")[:1] == "=":
            return True
        at = text.find(name, at + 1)
    return False


def _in_turn(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """Walk bodies one after the other."""
    for body in node.bodies:
        state.settle()
        walk.script(body, state, where)


def _arithmetic_for(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`for ((…; …; …))`."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    numbers(walk, node.text, scope, node.span)
    _loop(walk, node, state, lambda inner: _in_turn(walk, node, inner, where))


def _case(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`case`: at most one of the bodies, or with `;&` several."""
    state.settle()
    branches = []
    for body in node.bodies:
        branch = state.copy()
        walk.script(body, branch, where)
        branches.append(branch)
    state.join(branches)


def _function(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """Walk a function where it is defined, called or not, with nothing certain."""
    from ringfence.shell.functions import defined

    defined(walk, node, state, where)


def _coproc(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """`coproc`: in a shell of its own, fed through a pipe."""
    if node.name and plain(node.name):
        walk.assigned(node.name, state, node.span)
    _subshell(walk, node, state, where)


def _test(walk: "Walk", node: Compound, state: "State", _where: "Where") -> None:
    """`[[ … ]]`: comparisons of numbers are arithmetic, -v evaluates a name."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    for word in node.words:
        before, after = _neighbours(walk.text, word.span)
        if before[-2:] in NAMED:
            certain = _named_plainly(word, scope)
        elif before not in COMPARISONS and after not in COMPARISONS:
            continue
        else:
            certain = _number(word, scope)
        if not certain:
            walk.find("evaluated-name", node.span, "What is compared as a number, or named, is evaluated.")
            for text in could_be(word, scope):
                walk.evaluated(text, node.span, scope.state)


def _neighbours(text: str, span: "Span") -> tuple[str, str]:
    """Return the three characters before and behind an operand, blanks and continued lines left out."""
    start, end = span
    while start > 0 and (text[start - 1] in " \t\n" or text[start - 1 : start + 1] == "\\\n"):
        start -= 1
    while end < len(text) and (text[end] in " \t\n" or text[end : end + 2] == "\\\n"):
        end += 1
    return text[max(0, start - 3) : start], text[end : end + 3]


def _named_plainly(word: "Word", scope: Scope) -> bool:
    """Say whether an operand of -v is a plain name."""
    value = one(word, scope)
    return value.certainty == KNOWN and plain(value.text)


def _number(word: "Word", scope: Scope) -> bool:
    """Say whether an operand is a number whatever it holds."""
    value = one(word, scope)
    written = scope.text[word.span[0] : word.span[1]].strip('"')
    if value.certainty == KNOWN and harmless(value.text, scope.state.integer):
        return True
    return written.startswith("$") and harmless(written, scope.state.integer)


def _arithmetic(walk: "Walk", node: Compound, state: "State", _where: "Where") -> None:
    """`(( … ))`."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    numbers(walk, node.text, scope, node.span)


def _other(walk: "Walk", node: Compound, state: "State", where: "Where") -> None:
    """Walk all of a kind that is not followed; nothing of it is certain."""
    walk.find("syntax", node.span, f"A command of the kind {node.kind!r} is not followed.")
    _loop(walk, node, state, lambda inner: _in_turn(walk, node, inner, where))


KINDS: "dict[str, Callable[[Walk, Compound, State, Where], None]]" = {
    "subshell": _subshell,
    "group": _group,
    "if": _if,
    "while": _while,
    "until": _while,
    "for": _for,
    "select": _for,
    "arithmetic-for": _arithmetic_for,
    "case": _case,
    "function": _function,
    "coproc": _coproc,
    "test": _test,
    "arithmetic": _arithmetic,
    "anonymous": _group,
    "repeat": _while,
}
