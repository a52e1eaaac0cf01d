"""Reading a command's options, without argparse: it costs the launcher 6 ms.

Options come first; the first word that is none, or what follows `--`, is the command to run.
"""

from ringfence.errors import UsageError
from ringfence.value import Struct


class Option(Struct):
    """One option."""

    name: str  # "--read"
    value: str = ""  # what its value is called in the help; empty: a switch
    help: str = ""
    many: bool = False


class Given(Struct):
    """What the command line said."""

    values: dict[str, list[str]]
    switches: frozenset[str]
    rest: tuple[str, ...]

    def one(self, name: str, default: str = "") -> str:
        """Return the value of an option that is given at most once."""
        return self.values.get(name, [default])[-1]

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of an option; each may list several, separated by commas."""
        return tuple(self.values.get(name, ()))


def read(arguments: list[str], options: tuple[Option, ...], usage: str) -> Given:
    """Split arguments into options and the rest. Raises UsageError; `--help` is the caller's business."""
    known = {option.name: option for option in options}
    values: dict[str, list[str]] = {}
    switches: set[str] = set()
    index = 0
    while index < len(arguments):
        word = arguments[index]
        index += 1
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            index -= 1
            break
        name, equals, inline = word.partition("=")
        option = known.get(name)
        if option is None:
            raise UsageError(f"unknown option `{name}`", hint=_nearest(name, known, usage))
        if not option.value:
            if equals:
                raise UsageError(f"`{name}` takes no value", hint=usage)
            switches.add(name)
            continue
        if not equals:
            if index >= len(arguments):
                raise UsageError(f"`{name}` needs a value: {name} {option.value}", hint=usage)
            inline = arguments[index]
            index += 1
        if name in values and not option.many:
            raise UsageError(f"`{name}` is given twice", hint=usage)
        values.setdefault(name, []).append(inline)
    return Given(values=values, switches=frozenset(switches), rest=tuple(arguments[index:]))


def help_text(usage: str, about: str, options: tuple[Option, ...]) -> str:
    """Return a command's help."""
    names = [f"{option.name} {option.value}".rstrip() for option in options]
    width = max(map(len, names), default=0)
    rows = "".join(f"  {name:<{width}}  {option.help}\n" for name, option in zip(names, options, strict=True))
    return f"usage: {usage}\n\n{about}\n\n{rows}"


def _nearest(name: str, known: dict[str, Option], usage: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1, 0.75)
    return f"did you mean `{close[0]}`?" if close else f"usage: {usage}"
