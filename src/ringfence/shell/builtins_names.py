"""Builtins that set, read or evaluate variables: where they take a name, only a plain one is harmless."""

from ringfence.shell.arithmetic import expression, harmless, whole
from ringfence.shell.environment import dangerous, plain, safe
from ringfence.shell.facts import KNOWN, UNKNOWN, Value
from ringfence.shell.state import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.call import Call

READ_VALUES = frozenset("adeinNptu")  # of `read`: a takes a name
ARITHMETIC = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
DATA = frozenset("sqb%")  # conversions of printf that take their argument as text


def shift(call: "Call") -> None:
    """`shift`: the positional parameters move."""
    call.state.maybe("@")


def printf(call: "Call") -> None:
    """`printf [-v name] format …`: zsh takes the arguments of `%d` for arithmetic."""
    arguments = call.arguments()
    if arguments and arguments[0].text[:2] == "-v" and call.walk.shell != "sh":
        name = arguments[0].text[2:] or (arguments[1].text if len(arguments) > 1 else "")
        known = arguments[0].certainty == KNOWN and all(value.certainty == KNOWN for value in arguments[1:2])
        _set(
            call,
            name if known else "",
            arguments[1] if len(arguments[0].text) == 2 and name else arguments[0],
        )
        return
    if arguments and arguments[0].certainty == UNKNOWN and not arguments[0].start:
        call.find(
            "uncertain-argument",
            "What is not known may be the option -v, which sets a variable.",
            arguments[0],
        )
    if call.walk.shell == "zsh" and not _textual(arguments):
        call.find(
            "evaluated-name", "zsh takes numbers that it prints for arithmetic, which can run commands."
        )


def _textual(arguments: tuple[Value, ...]) -> bool:
    """Say whether a format takes its arguments as text only, or they are plain integers."""
    if not arguments or arguments[0].certainty != KNOWN:
        return False
    after = arguments[0].text.split("%")[1:]
    if all(piece[:1] in DATA or not piece for piece in after):
        return True
    return all(value.certainty == KNOWN and whole(value.text) for value in arguments[1:])


def read(call: "Call") -> None:
    """`read [options] [name…]`: what is read is not known."""
    names, waiting = [], ""
    for value in call.arguments():
        text = value.text
        if waiting:
            if waiting == "a":
                names.append(value)
            waiting = ""
        elif text.startswith("-") and len(text) > 1 and value.certainty == KNOWN and not names:
            at = next((at for at, letter in enumerate(text[1:], 1) if letter in READ_VALUES), 0)
            attached = at and text[at + 1 :]
            if at and text[at] == "a" and attached:
                _set(call, str(attached), value)
            elif at and not attached and text[at] != "e":
                waiting = text[at]
        else:
            names.append(value)
    for value in names:
        _set(call, value.text if value.certainty == KNOWN else "", value)


def mapfile(call: "Call") -> None:
    """`mapfile [-C callback] … [array]`: the callback is code."""
    arguments = call.arguments()
    number = 0
    while number < len(arguments):
        value = arguments[number]
        text = value.text
        if text.startswith("-C") and value.certainty == KNOWN:
            call.find("evaluation", "mapfile -C runs its argument as code.", value)
            for code in arguments[number + 1 : number + 2]:
                call.code(code)
            number += 2
        elif text in {"-d", "-n", "-O", "-s", "-u", "-c"} and value.certainty == KNOWN:
            number += 2
        else:
            if not text.startswith("-") or value.certainty != KNOWN:
                _set(call, text if value.certainty == KNOWN else "", value)
            number += 1


def getopts(call: "Call") -> None:
    """`getopts options name …`."""
    for value in call.arguments()[1:2]:
        _set(call, value.text if value.certainty == KNOWN else "", value)


def unset(call: "Call") -> None:
    """`unset [-f|-v|-n] name…`."""
    for value in call.arguments():
        if value.certainty == KNOWN and value.text in {"-f", "-v", "-n", "--"}:
            continue
        _set(call, value.text if value.certainty == KNOWN else "", value)


def wait(call: "Call") -> None:
    """`wait [-p name] …`."""
    arguments = call.arguments()
    for number, value in enumerate(arguments):
        if value.text.startswith("-p") and value.certainty == KNOWN:
            target = value.text[2:] or "".join(each.text for each in arguments[number + 1 : number + 2])
            _set(call, target, value)


def test(call: "Call") -> None:
    """`test` and `[`: -v and -R evaluate a name; zsh takes numbers that are compared for arithmetic."""
    arguments = call.arguments()
    unknown = [value for value in arguments if value.certainty != KNOWN]
    for number, value in enumerate(arguments):
        if value.certainty == KNOWN and value.text in {"-v", "-R"}:
            for name in arguments[number + 1 : number + 2]:
                if name.certainty != KNOWN or not plain(name.text):
                    call.find("evaluated-name", f"{value.text} evaluates the name that it is given.", name)
                    call.walk.evaluated(name.text, name.span, call.state)
    if call.walk.shell == "zsh" and any(value.text in ARITHMETIC for value in arguments):
        numbers = [value for value in arguments if not value.text.startswith("-") and value.text != "]"]
        if unknown or not all(whole(value.text) for value in numbers):
            call.find("evaluated-name", "zsh takes what it compares as numbers for arithmetic.")
    operands = arguments[:-1] if call.name == "[" else arguments
    loose = any(not value.single for value in unknown)
    if loose or (len(operands) == 2 and operands[0].certainty != KNOWN):
        call.find("evaluated-name", "What is not known may be the operator -v, which evaluates a name.")


def let(call: "Call") -> None:
    """`let expression…`."""
    for value in call.arguments():
        arithmetic(call, value)


def arithmetic(call: "Call", value: Value) -> None:
    """Note what one arithmetic argument sets, and whether it may run something."""
    if value.certainty != KNOWN or not harmless(value.text, call.state.integer):
        call.find("arithmetic", "Arithmetic evaluates what its names hold, which can run commands.", value)
        call.walk.evaluated(value.text, value.span, call.state)
        return
    for name in expression(value.text).sets:
        call.walk.assigned(name, call.state, value.span)
        call.state.set(name, Variable((), certain=False, integer=True))


def declare(call: "Call") -> None:
    """`export`, `declare`, `typeset`, `local`, `readonly`: attributes and values of variables."""
    flags = ""
    for value in call.arguments():
        text = value.text
        if text[:1] in {"-", "+"} and value.certainty == KNOWN:
            flags += text[1:] if text != "--" else ""
            if text[:1] == "-" and "n" in text and call.name != "export":
                call.find("indirect", "A name that stands for another variable is not followed.", value)
            continue
        _declared(call, value, flags)


def _declared(call: "Call", value: Value, flags: str) -> None:
    """Note one variable that is declared."""
    known = value.certainty == KNOWN
    name, equals, text = (value.text if known else value.start).partition("=")
    appended, name = name.endswith("+"), name.removesuffix("+")
    if not plain(name) or (not known and not equals):
        if "f" not in flags and "F" not in flags and "p" not in flags:
            call.find("evaluated-name", f"{call.name} evaluates the name that it is given.", value)
            call.walk.evaluated(value.text, value.span, call.state)
        return
    if "f" in flags or "F" in flags:
        return
    if "i" in flags or call.name in {"integer", "float"}:
        call.find("arithmetic", f"What {name} is given from here on is evaluated as arithmetic.", value)
        call.walk.evaluated(text, value.span, call.state)
    exported = call.name == "export" or "x" in flags
    if equals or exported:
        call.walk.assigned(name, call.state, value.span)
    if equals and exported and not safe(name) and not dangerous(name):
        call.find("environment", f"{name} is set for every program that follows.", value)
    if equals:
        plainly = known and not appended and not flags.strip("xrg") and call.name != "local"
        call.state.set(name, _variable(value, text, certain=plainly))
    if flags.strip("xgaAp") or call.name == "readonly":
        call.state.shaped |= {name}


def _variable(value: Value, text: str, *, certain: bool) -> Variable:
    """Return the variable that `name=value` makes."""
    if value.certainty == KNOWN:
        return Variable((text,), certain=certain, integer=whole(text))
    values = tuple(candidate.partition("=")[2] for candidate in value.candidates)
    return Variable(values, certain=False)


def _set(call: "Call", name: str, value: Value) -> None:
    """Note that a variable gets a value that is not known."""
    if not plain(name):
        call.find("evaluated-name", f"{call.name} evaluates the name that it is given.", value)
        call.walk.evaluated(value.text, value.span, call.state)
        return
    call.walk.assigned(name, call.state, value.span)
    call.state.set(name, Variable((), certain=False))
