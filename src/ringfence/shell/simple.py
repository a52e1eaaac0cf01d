"""Simple commands: what is assigned, what is run, and what that starts in turn."""

from ringfence.shell.arithmetic import harmless, whole
from ringfence.shell.builtins import builtin
from ringfence.shell.builtins_places import elsewhere, outside
from ringfence.shell.call import Call
from ringfence.shell.environment import dangerous, plain
from ringfence.shell.facts import DELETE, KNOWN, UNKNOWN, WRITE, Command, Value
from ringfence.shell.functions import called
from ringfence.shell.interpreters import interprets, shell_of
from ringfence.shell.invocation import Invocation
from ringfence.shell.redirects import UNTOUCHED, files, placed, relative
from ringfence.shell.state import Variable
from ringfence.shell.syntax import Text
from ringfence.shell.words import PIPE, Scope, expand, fixed, known, one
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.invocation import Effects
    from ringfence.shell.state import State
    from ringfence.shell.syntax import Assignment, Simple, Word
    from ringfence.shell.walk import Walk, Where

WRAPPERS = 32  # programs that start each other by their arguments
GUESSES = 4  # ways in which words that are not known are filled in, for rules that deny


def simple(walk: "Walk", node: "Simple", state: "State", where: "Where") -> None:
    """Walk a simple command."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    at = len(walk.commands)
    assignments = tuple(_assignment(walk, each, scope) for each in node.assignments)
    values: list[Value] = []
    for word in node.words:
        parts = word.parts
        if len(parts) == 1 and type(parts[0]) is Text and walk.shell != "zsh":
            values.append(known(parts[0].value, walk.at or word.span))
            continue
        walk.scan(word, scope)
        values += expand(word, scope)
    found = files(walk, node.redirects, scope) if node.redirects else UNTOUCHED
    if not node.words:
        _alone(walk, node, state, assignments)
    call = Call(
        walk, tuple(values), state, span=walk.at or node.span, reached=where.reached, assignments=assignments,
        input=found.input or where.input,
    )  # fmt: skip
    call.accesses += found.accesses
    call.endpoints += found.endpoints
    if node.words and not fixed(node.words[0]):
        call.find("uncertain-command", "Which program this is depends on what the shell puts in its place.")
    for name, _ in assignments if node.words else ():
        if dangerous(name):
            call.find("environment", f"{name} changes what this command runs, loads, reads or asks.")
    walk.add(run(call, _source(walk, node)), at)


def _source(walk: "Walk", node: "Simple") -> str:
    """Return the words and redirections of a command as written."""
    start = node.assignments[-1].span[1] if node.assignments else node.span[0]
    return walk.text[start : node.span[1]].strip()


def _assignment(walk: "Walk", node: "Assignment", scope: Scope) -> tuple[str, Value]:
    """Walk one assignment and return what it assigns."""
    span = scope.span(node.span)
    if not plain(node.name):
        walk.find("evaluated-name", span, "The shell evaluates this name.")
    if node.index is not None:
        walk.scan(node.index, scope)
        index = one(node.index, scope)
        if index.certainty != KNOWN or not harmless(index.text, scope.state.integer):
            walk.find("evaluated-name", span, "A subscript is evaluated, which can run commands.")
    for item in node.items:
        walk.scan(item, scope)
        _indexed(walk, item, scope)
    if node.value is None:
        return node.name, Value(text=walk.text[node.span[0] : node.span[1]], certainty=UNKNOWN, span=span)
    walk.scan(node.value, scope)
    return node.name, one(node.value, scope)


def _indexed(walk: "Walk", item: "Word", scope: Scope) -> None:
    """Look at an array's item that is written with its subscript: `[index]=value`."""
    written = walk.text[item.span[0] : item.span[1]]
    index, found, _ = written[1:].partition("]")
    if written.startswith("[") and found and not harmless(index, scope.state.integer):
        walk.find("evaluated-name", item.span, "A subscript is evaluated, which can run commands.")


def _alone(walk: "Walk", node: "Simple", state: "State", assignments: tuple[tuple[str, Value], ...]) -> None:
    """Note what assignments set that stand without a command: they stay."""
    scope = Scope(walk.text, state, walk.home, walk.shell, walk.at)
    for each, (name, value) in zip(node.assignments, assignments, strict=True):
        old = state.variables.get(name)
        number = _counted(each, state)
        walk.assigned(name, state, each.span)
        if each.index is not None or each.append or not plain(name):
            state.maybe(name, (value.text,) if value.certainty == KNOWN else value.candidates)
        elif each.value is None:
            items = [item for word in each.items for item in expand(word, scope)]
            state.set(name, _array(items))
        elif value.certainty == KNOWN:
            state.set(name, Variable((value.text,), certain=True, integer=whole(value.text)))
        else:
            kept = old.values if old is not None else ()
            state.set(name, Variable(value.candidates or kept, certain=False, integer=number))


def _array(items: list[Value]) -> Variable:
    """Return the variable that `name=(…)` makes."""
    texts = tuple((item.candidates or ("",))[0] if item.certainty == UNKNOWN else item.text for item in items)
    return Variable(texts[:1], certain=all(item.certainty == KNOWN for item in items), items=texts)


def _counted(node: "Assignment", state: "State") -> bool:
    """Say whether an assigned value is a number: arithmetic that is harmless, `$?`, `${#x}`."""
    from ringfence.shell.syntax import Arithmetic, Parameter

    parts = node.value.parts if node.value is not None else ()
    if len(parts) != 1:
        return False
    only = parts[0]
    if isinstance(only, Arithmetic):
        return harmless(only.text, state.integer)
    return isinstance(only, Parameter) and (
        only.length or (only.name in {"?", "#", "$", "!"} and not only.operation)
    )


def run(call: Call, source: str = "") -> Command:
    """Work out what a command does and return the facts."""
    if call.depth > WRAPPERS or call.walk.budget.commands <= 0:
        call.find("size", "Programs that start programs go deeper than is looked at.")
        return call.command(source)
    if not call.words:
        return call.command(source)
    first = call.words[0]
    if first.certainty != KNOWN:
        call.find("uncertain-command", "Which program this is is known only when it runs.", first)
    elif called(call) or ("/" not in first.text and builtin(call)):
        pass
    else:
        _program(call)
    _folders(call)
    if call.doubtful and any(value.certainty == UNKNOWN for value in call.words):
        _guess(call)
    return call.command(source or " ".join(value.text for value in call.words))


def _program(call: Call) -> None:
    """Ask what a program does with its arguments."""
    from ringfence.shell.programs import look

    name = call.name.rsplit("/", 1)[-1]
    invocation = Invocation(
        program=name,
        arguments=call.arguments(),
        folder=call.folder,
        input=call.input.text,
        span=call.span,
        assignments=call.assignments,
        home=call.walk.home,
    )
    effects = look(invocation)
    for access in effects.accesses:
        if access.folder == call.folder and relative(access.path):
            call.accesses += placed(access.kind, access.path, call.state, access.origin, tree=access.tree)
        else:
            call.accesses.append(access)
    call.endpoints += effects.endpoints
    call.transparent, call.runner = effects.transparent, effects.runner
    call.canonical, call.literal = effects.canonical, effects.literal
    for finding in effects.findings:
        span = call.span if finding.span == (0, 0) else finding.span
        call.walk.find(finding.risk, span, finding.reason, exact=finding.exact)
        call.doubtful = True
    _started(call, effects, name)
    fed = call.input.piped or any(value.text == PIPE for value in call.arguments())
    if fed and interprets(name, call.arguments()):
        call.find("piped-code", f"{name} runs what it reads as code.")
        if call.input.text is not None and not effects.scripts:
            call.code(call.input.text, shell_of(name), call.state.fresh())
    if not effects.complete and any(value.certainty == UNKNOWN for value in call.arguments()):
        call.find("uncertain-argument", f"What {name} is given is known only when it runs.")


def _started(call: Call, effects: "Effects", name: str) -> None:
    """Follow what a program starts."""
    if not effects.runs and not effects.scripts:
        return
    state = call.state
    if effects.folder is not None:
        state = state.copy()
        state.move((effects.folder,))
    for variable, value in effects.assignments:
        if dangerous(variable):
            call.find(
                "environment",
                f"{variable} changes what {name} starts.",
                value if value.span != (0, 0) else None,
            )
    call.assignments += effects.assignments
    for words in effects.runs:
        call.start(words, "wrapper", state.copy())
    for text in effects.scripts:
        call.code(text, shell_of(name), state.fresh())


def _folders(call: Call) -> None:
    """Look at what a command does in a folder that is not the one the text started in."""
    if not elsewhere(call):
        return
    unknown = None in call.state.folders or None in call.state.failed
    if unknown and not call.walk.budget.lost:
        # Invariant: where a folder cannot be told, somebody is asked, however it got lost.
        call.walk.find("uncertain-folder", call.walk.whole(), "The folder of a command here cannot be told.")
    if call.name.rsplit("/", 1)[-1] == "git":
        call.find(
            "cd-git", "git obeys the settings of the repository it runs in, and this is another folder."
        )
    if not outside(call):
        return
    if any(access.kind in {WRITE, DELETE} and relative(access.path) for access in call.accesses):
        call.find("cd-write", "What this writes lies in a folder that is not below the working directory.")


def _guess(call: Call) -> None:
    """Fill in what the unknown words may be, so that rules that deny see it."""
    width = max(len(value.candidates) for value in call.words if value.certainty == UNKNOWN)
    seen = {call.words}
    for turn in range(min(GUESSES, max(1, width))):
        words = _filled(call.words, turn)
        if not words or words in seen or (words == call.words[:1] and not call.input.piped):
            continue
        seen.add(words)
        inner = call.state.copy()
        call.start(words, "guess", inner)
        call.state.folders = tuple(dict.fromkeys(call.state.folders + inner.folders))[:8]


def _filled(words: tuple[Value, ...], turn: int) -> tuple[Value, ...]:
    """Return words with one candidate in the place of each unknown one."""
    filled: list[Value] = []
    for value in words:
        if value.certainty != UNKNOWN or not value.candidates:
            filled.append(value)
            continue
        text = value.candidates[min(turn, len(value.candidates) - 1)]
        if value.single:
            filled.append(known(text, value.span))
        else:
            filled += [known(each, value.span) for each in text.split()]
    return tuple(filled)


__all__ = ["replace", "run", "simple"]
