"""Builtins that go somewhere or write the history: where the shell is decides what a path means."""

from ringfence.shell.facts import KNOWN, LIST, READ, UNKNOWN, WRITE, Value
from ringfence.shell.state import inside, joined, union

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.call import Call
    from ringfence.shell.state import Folders

PHYSICAL = frozenset("Ps")  # options that resolve links on the way, or refuse them


def cd(call: "Call") -> None:
    """`cd [-L|-P|-e|-@] [folder]`: a folder, `-` for the last one, nothing for home."""
    flags, operands = _options(call)
    if len(operands) > 1:
        _lost(call, "cd with two operands")
        return
    _go(call, operands[0] if operands else None, physical=not PHYSICAL.isdisjoint(flags))


def pushd(call: "Call") -> None:
    """`pushd [folder]`: as cd; with `+N` or nothing it turns the stack, which is not followed."""
    _, operands = _options(call)
    if len(operands) != 1 or operands[0].text[:1] in {"+", "-"}:
        _lost(call, "pushd without a folder")
        return
    _go(call, operands[0])


def popd(call: "Call") -> None:
    """`popd`: back to a folder of the stack, which is not followed."""
    _lost(call, "popd")


def history(call: "Call") -> None:
    """`history`: with -a, -w, -r or -n it writes or reads a file, with -p it expands its arguments."""
    arguments = call.arguments()
    flags = "".join(value.text[1:] for value in arguments if value.text.startswith("-"))
    if not flags and all(value.certainty == KNOWN for value in arguments):
        return
    if set(flags) <= {"c"}:
        return
    call.find("builtin-writes", "history writes, reads or expands what a file or its arguments say.")
    for value in arguments:
        if not value.text.startswith("-"):
            call.access(WRITE, value)
            call.access(READ, value)


def _options(call: "Call") -> tuple[str, list[Value]]:
    """Split the arguments of cd into option letters and operands."""
    flags, operands = "", []
    ended = False
    for value in call.arguments():
        text = value.text
        if not ended and value.certainty == KNOWN and text == "--":
            ended = True
        elif (
            not ended and value.certainty == KNOWN and len(text) > 1 and text[0] == "-" and text[1:].isalpha()
        ):
            flags += text[1:]
        else:
            operands.append(value)
    return flags, operands


def _go(call: "Call", target: Value | None, *, physical: bool = False) -> None:
    """Change the folder: to the new one where it works, and where it fails stay."""
    state = call.state
    before = union(state.folders, state.failed)
    after: Folders
    if target is None:
        home = call.walk.home if "HOME" not in state.variables else None
        after = (home,)
    elif target.certainty == KNOWN and target.text == "-":
        after = (state.previous,)
    elif target.certainty == KNOWN and not (physical and ".." in target.text):
        call.access(LIST, target)
        after = union(*((joined(folder, target.text),) for folder in before))
    else:
        call.access(LIST, target)
        after = (None,)
    if None in after:
        _lost(call, call.name)
        _guess(call, target)
        return
    state.previous = before[0] if len(before) == 1 else None
    state.folders, state.failed = after, before


def _guess(call: "Call", target: Value | None) -> None:
    """Keep the folders that an unknown target may be, for rules that deny."""
    if target is None or target.certainty != UNKNOWN:
        return
    state = call.state
    found = [joined(folder, each) for folder in state.failed for each in target.candidates if each]
    state.folders = union(tuple(found), (None,)) if found else (None,)
    state.failed = union(state.folders, state.failed)


def _lost(call: "Call", what: str) -> None:
    """Note that nothing relative is certain from here on."""
    state = call.state
    before = union(state.folders, state.failed)
    state.folders, state.failed = (None,), before
    call.find("uncertain-folder", f"Where {what} leads is known only when it runs.")


def elsewhere(call: "Call") -> bool:
    """Say whether a command may run in another folder than the text started in."""
    start = call.walk.start
    return any(folder != start for folder in union(call.state.folders, call.state.failed))


def outside(call: "Call") -> bool:
    """Say whether a command may run outside of the folder that the text started in, and below."""
    start = call.walk.start
    return not all(inside(folder, start) for folder in union(call.state.folders, call.state.failed))
