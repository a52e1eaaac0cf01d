"""Functions: their bodies are walked where they are defined; a call may change what they change.

A body runs with the state of its call, which may be any: in it nothing is certain but what it sets itself. A
call of one function may reach every other, so each call counts as a call of all that are defined by then.
"""

from ringfence.shell.state import Variable
from ringfence.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.call import Call
    from ringfence.shell.state import State
    from ringfence.shell.syntax import Compound
    from ringfence.shell.walk import Walk, Where

# Names that a function must not take: what a rule says of them would be about something else.
SHADOWED = frozenset({
    "git", "ls", "cat", "grep", "find", "sed", "awk", "sort", "head", "tail", "wc", "cp", "mv", "rm",
    "mkdir", "npm", "npx", "node", "yarn", "pnpm", "python", "python3", "pip", "make", "cargo", "go",
    "docker", "curl", "wget", "ssh",
})  # fmt: skip


class Function:
    """What a call may change."""

    __slots__ = ("folders", "moves", "variables")

    def __init__(
        self, folders: tuple[str | None, ...], variables: dict[str, Variable], *, moves: bool
    ) -> None:
        self.folders = folders  # where the shell was when it was defined
        self.variables = variables
        self.moves = moves  # it leaves the shell in another folder


def defined(walk: "Walk", node: "Compound", state: "State", where: "Where") -> None:
    """Walk a function's body and remember what a call may change."""
    state.settle()
    name = node.name
    if _shadows(name):
        walk.find("function-shadow", node.span, f"{name} is a function from here on, not the program.")
    inner = state.copy()
    inner.variables.pop("@", None)
    inner.forget(inner.variables)
    before = dict(inner.variables)
    for body in node.bodies:
        walk.script(body, inner, replace(where, reached="function"))
    inner.settle()
    changed = {
        each: variable for each, variable in inner.variables.items() if before.get(each) is not variable
    }
    moves = set(inner.folders) != set(state.folders)
    state.functions = {**state.functions, name: Function(state.folders, changed, moves=moves)}


def called(call: "Call") -> bool:
    """Note what a call of a function of this text may change; False where it is none."""
    state = call.state
    if call.name not in state.functions:
        return False
    for function in state.functions.values():
        for name, variable in function.variables.items():
            state.maybe(name, variable.values)
        here = set(state.folders) | set(state.failed)
        if function.moves or here != set(function.folders):
            call.find(
                "uncertain-folder", "The function runs in another folder than the one it was defined in."
            )
            state.move((None, *state.folders[:3]))
    return True


def _shadows(name: str) -> bool:
    """Say whether a function's name is a program's or a builtin's."""
    from ringfence.shell.builtins import HANDLERS, HARMLESS, OPAQUE

    return "/" in name or name in SHADOWED or name in HARMLESS or name in HANDLERS or name in OPAQUE
