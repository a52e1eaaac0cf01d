"""What each program does with its arguments. One family of programs a module, imported when one is asked for.

`look` never raises and never guesses kindly: what a program's table does not have is not understood, and of
an unknown program every operand that looks like a path is taken for a file that it reads.
"""

from ringfence.shell.facts import KNOWN
from ringfence.shell.invocation import Effects, Invocation
from ringfence.shell.options import Table, part, read
from ringfence.shell.programs.draft import Draft
from ringfence.shell.programs.index import module_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Handler = Table | Callable[[Draft], None]

_modules: "dict[str, Mapping[str, Handler]]" = {}
_UNKNOWN = Table({}, risky=False)
_VERSIONED = "0123456789.-"


def look(invocation: Invocation) -> Effects:
    """Say what a program does with these arguments."""
    draft = Draft(invocation)
    handler = handler_of(invocation.program)
    if handler is None:
        _unknown(draft)
    elif type(handler) is Table:
        draft.apply(handler)
    else:
        handler(draft)  # type: ignore[operator]
    return draft.done()


def knows(program: str) -> bool:
    """Say whether a program is known."""
    return handler_of(program) is not None


def handler_of(program: str) -> "Handler | None":
    """Return what reads a program's arguments; `python3.12` and `gcc-13` are known by their plain names."""
    name = program
    family = module_of(name)
    if family is None:
        name = program.removesuffix(".exe").rstrip(_VERSIONED)
        family = module_of(name)
    if family is None:
        return None
    handlers = _modules.get(family)
    if handlers is None:
        handlers = _modules[family] = _load(family)
    return handlers[name]


def _load(family: str) -> "Mapping[str, Handler]":
    module = __import__(f"ringfence.shell.programs.{family}", fromlist=["PROGRAMS"])
    handlers: Mapping[str, Handler] = module.PROGRAMS
    return handlers


def _unknown(draft: Draft) -> None:
    """Take every operand and every option's value that looks like a path for a file that is read."""
    draft.complete = False
    parsed = read(_UNKNOWN, draft.arguments)
    for word in parsed.operands:
        if word.certainty != KNOWN or "://" not in word.text:
            draft.read(word)
        else:
            draft.endpoint(word)
    for word in parsed.strange:
        _, equals, value = word.text.partition("=")
        if equals and value:
            draft.read(part(word, len(word.text) - len(value)), "option")
        elif len(word.text) > 2 and ("/" in word.text or "." in word.text):
            draft.read(part(word, 2), "option")
    for word in parsed.unsure:
        draft.uncertain(word)
