"""Reads argument lists as `getopt_long` and its kin do, and never more kindly than they.

A table says which options a program has and what becomes of their values. The reader knows clusters of
short options, values attached and separate, `--name=value`, abbreviations, `--`, options behind operands.
An abbreviation that fits several options is a mistake that GNU programs refuse; another version may have
fewer options and accept it, so it is read as the most dangerous of them.

A word whose text is not known before it runs may be anything: an option, a value, several of either. It is
certain only as far as the shell's own rules go: `--author="$x"` is one option with one value, and so is
`-m "$x"`; `$x` may be any number of words.
"""

from ringfence.shell.facts import KNOWN, PATTERN, UNKNOWN, Value
from ringfence.value import build, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NONE, REQUIRED, OPTIONAL = 0, 1, 2

# Roles that every table may use; any other word is for the program's own module. A role that is spelled
# `role=` takes a value, `role?=` may have one attached, `role` alone takes none.
FLAG, DATA, TREE = "", "data", "tree"
HARMLESS = frozenset({FLAG, DATA, TREE})
READS = frozenset({"read", "list"})  # a deny rule cares, an allow rule sees it as an access

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,+%@^-={}")
_GLOBS = "*?[({"


class Option:
    """One option: its name as the table has it, what becomes of it, and whether it takes a value."""

    __slots__ = ("arity", "name", "role")

    def __init__(self, name: str, role: str, arity: int) -> None:
        self.name = name
        self.role = role
        self.arity = arity


class Given:
    """An option that was given, with its value."""

    __slots__ = ("name", "role", "value", "word")

    def __init__(self, option: Option, word: Value, value: Value | None) -> None:
        self.name = option.name
        self.role = option.role
        self.word = word
        self.value = value


class Table:
    """The options of one program. It is compiled when it is first asked."""

    __slots__ = (
        "_long", "_roles", "_short", "closed", "numbers", "operands", "permute", "risky", "single", "tree",
    )  # fmt: skip

    def __init__(
        self,
        roles: "Mapping[str, str] | None" = None,
        *,
        operands: str = "",
        permute: bool = True,
        single: bool = False,
        numbers: bool = False,
        closed: bool = False,
        tree: bool = False,
        risky: bool | None = None,
    ) -> None:
        """Take words for each role; one letter is a short option.

        `operands`: what becomes of operands ("": the module says); `permute`: options may follow operands;
        `single`: long names have one dash; `numbers`: `-5` is a flag; `closed`: the table has all options;
        `tree`: it goes through whole trees unasked; `risky`: what a word may turn into matters.
        """
        self._roles = roles or {}
        self._short: dict[str, Option] = {}
        self._long: dict[str, Option] | None = None
        self.operands = operands
        self.permute = permute
        self.single = single
        self.numbers = numbers
        self.closed = closed
        self.tree = tree
        self.risky = bool(risky)
        if risky is None:
            self.risky = any(name.rstrip("=?") not in HARMLESS | READS for name in self._roles)

    def names(self) -> "dict[str, Option]":
        """Return the long options by name; compile the table."""
        if self._long is None:
            self._long = {}
            for spelled, words in self._roles.items():
                arity = OPTIONAL if spelled.endswith("?=") else REQUIRED if spelled.endswith("=") else NONE
                role = spelled.rstrip("?=")
                for word in words.split():
                    option = Option(word, role, arity)
                    (self._short if len(word) == 1 else self._long)[word] = option
        return self._long

    def letters(self) -> "dict[str, Option]":
        """Return the short options by letter."""
        self.names()
        return self._short

    def long(self, name: str) -> Option | None:
        """Return the option of a long name or of an abbreviation of one, the most dangerous that fits."""
        names = self.names()
        found = names.get(name)
        if found is not None or not name:
            return found
        fits = [option for known, option in names.items() if known.startswith(name)]
        return max(fits, key=_danger, default=None)


def _danger(option: Option) -> int:
    if option.role in HARMLESS:
        return 1 if option.arity == REQUIRED else 0
    return 2 if option.role in READS else 3


class Parsed:
    """What an argument list came to."""

    __slots__ = ("ended", "given", "globbed", "operands", "strange", "unsure")

    def __init__(self) -> None:
        self.given: list[Given] = []
        self.operands: list[Value] = []
        self.strange: list[Value] = []  # options that the table does not have
        self.unsure: list[Value] = []  # words that may be options for all that is known
        self.globbed: list[Value] = []  # patterns that a file named like an option may meet
        self.ended = -1  # how many operands stood before `--`; -1: there is none

    def has(self, *names: str) -> bool:
        """Say whether one of these options was given."""
        return any(one.name in names for one in self.given)

    def values(self, *roles: str) -> list[Value]:
        """Return the values of the options of some roles."""
        return [one.value for one in self.given if one.role in roles and one.value is not None]

    def roles(self) -> set[str]:
        """Return the roles of all options given."""
        return {one.role for one in self.given}

    def behind(self) -> list[Value]:
        """Return the operands behind `--`."""
        return self.operands[self.ended :] if self.ended >= 0 else []


def value_of(text: str, span: "tuple[int, int]", certainty: str = KNOWN) -> Value:
    """Return a value; faster than `Value(…)`."""
    fields = {
        "text": text,
        "certainty": certainty,
        "span": span,
        "start": "",
        "single": True,
        "candidates": (),
    }
    return build(Value, fields)


def known(text: str, like: Value) -> Value:
    """Return a known value that stands where another does."""
    return value_of(text, like.span)


def part(value: Value, start: int) -> Value:
    """Return what follows in a word, no more certain than the word."""
    if value.certainty == KNOWN:
        return value_of(value.text[start:], value.span)
    return replace(
        value,
        text=value.text[start:],
        start=value.start[start:],
        candidates=tuple(text[start:] for text in value.candidates),
    )


def prefix(value: Value) -> str:
    """Return the characters that a word surely begins with."""
    if value.certainty == KNOWN:
        return value.text
    if value.certainty == UNKNOWN:
        return value.start
    text = value.text
    for at, char in enumerate(text):
        if char not in _PLAIN:
            return text[:at]
    return text


def single(value: Value) -> bool:
    """Say whether a word is surely one word."""
    return value.certainty == KNOWN or (value.certainty == UNKNOWN and value.single)


def read(table: Table, arguments: "Sequence[Value]", start: int = 0) -> Parsed:
    """Read an argument list by a table."""
    parsed = Parsed()
    at = start
    count = len(arguments)
    while at < count:
        word = arguments[at]
        at += 1
        text = word.text
        if word.certainty != KNOWN:
            at = _uncertain(table, parsed, arguments, at)
        elif len(text) < 2 or text[0] != "-":
            parsed.operands.append(word)
            if not table.permute:
                parsed.operands.extend(arguments[at:])
                return parsed
        elif text == "--":
            parsed.ended = len(parsed.operands)
            parsed.operands.extend(arguments[at:])
            return parsed
        elif text[1] == "-" or table.single:
            at = _long(table, parsed, arguments, at)
        else:
            at = _cluster(table, parsed, arguments, at)
    return parsed


def _long(table: Table, parsed: Parsed, arguments: "Sequence[Value]", at: int) -> int:
    word = arguments[at - 1]
    dashes = 2 if word.text.startswith("--") else 1
    name, equals, _ = word.text[dashes:].partition("=")
    if table.single and not equals and ":" in name:  # `-javaagent:x`
        name, equals, _ = name.partition(":")
    option = table.long(name) or (table.letters().get(name) if table.single else None)
    if option is None and table.single and dashes == 1:
        return _cluster(table, parsed, arguments, at)
    if option is None:
        parsed.strange.append(word)
        return at
    if equals:
        parsed.given.append(Given(option, word, part(word, dashes + len(name) + 1)))
        return at
    return (
        _separate(option, parsed, arguments, at)
        if option.arity == REQUIRED
        else _bare(option, parsed, word, at)
    )


def _bare(option: Option, parsed: Parsed, word: Value, at: int) -> int:
    parsed.given.append(Given(option, word, None))
    return at


def _separate(option: Option, parsed: Parsed, arguments: "Sequence[Value]", at: int) -> int:
    """Take the next word as the value of the option before it."""
    if at >= len(arguments):
        parsed.given.append(Given(option, arguments[at - 1], None))
        return at
    value = arguments[at]
    if not single(value):
        parsed.unsure.append(value)
    parsed.given.append(Given(option, arguments[at - 1], value))
    return at + 1


def _cluster(table: Table, parsed: Parsed, arguments: "Sequence[Value]", at: int) -> int:
    word = arguments[at - 1]
    text = word.text
    letters = table.letters()
    for index in range(1, len(text)):
        letter = text[index]
        option = letters.get(letter)
        if option is None:
            if table.numbers and letter.isdigit():
                continue
            parsed.strange.append(word)
            return at
        if option.arity == NONE:
            parsed.given.append(Given(option, word, None))
            continue
        if index + 1 < len(text):
            parsed.given.append(Given(option, word, part(word, index + 1)))
            return at
        return (
            _separate(option, parsed, arguments, at)
            if option.arity == REQUIRED
            else _bare(option, parsed, word, at)
        )
    return at


def _uncertain(table: Table, parsed: Parsed, arguments: "Sequence[Value]", at: int) -> int:
    """Take a word that is not known: an option where its front says so, an operand and a doubt elsewhere."""
    word = arguments[at - 1]
    front = prefix(word)
    if word.certainty == PATTERN:
        if front[:1] == "-":
            parsed.unsure.append(word)
        elif word.text[:1] in _GLOBS:
            parsed.globbed.append(word)
        parsed.operands.append(word)
        return at
    if not single(word):
        parsed.unsure.append(word)
    if front[:1] == "-":
        return _uncertain_option(table, parsed, word, at)
    if not front and single(word):
        parsed.unsure.append(word)
    parsed.operands.append(word)
    return at


def _uncertain_option(table: Table, parsed: Parsed, word: Value, at: int) -> int:
    front = prefix(word)
    name, equals, _ = front.lstrip("-").partition("=")
    dashes = len(front) - len(front.lstrip("-"))
    option = None
    start = 0
    if equals and (dashes == 2 or table.single):
        option, start = table.long(name), dashes + len(name) + 1
    elif dashes == 1 and len(front) >= 2 and not table.single:
        option, start = table.letters().get(front[1]), 2
    if option is None or option.arity == NONE:
        parsed.unsure.append(word)
        return at
    parsed.given.append(Given(option, word, part(word, start)))
    return at
