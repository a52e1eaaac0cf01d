"""Arithmetic that cannot run anything, told from arithmetic that may.

In `$((x))`, `[[ x -eq y ]]`, `${a[x]}` and `let x` the shell takes the *value* of `x` for an expression
again, and an expression may hold `a[$(command)]`. So a name is harmless only where every value that it
can have is known to be an integer; text that comes out of a substitution or a positional parameter never
is.
"""

from ringfence.value import Struct

INTEGERS = frozenset({  # the shell keeps these integers itself
    "RANDOM", "SRANDOM", "SECONDS", "LINENO", "EPOCHSECONDS", "UID", "EUID", "PPID", "BASHPID", "OPTIND",
    "GID", "EGID",
})  # fmt: skip
OPERATORS = frozenset("+-*/%<>=!&|^~?:,;() \t\n")

NEAR = 40  # blanks and operators around a name that are looked at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Expression(Struct):
    """What an arithmetic text reads and sets; `plain` where nothing but numbers and names stands in it."""

    plain: bool = True
    reads: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


def expression(text: str) -> Expression:
    """Take an arithmetic text apart."""
    reads: list[str] = []
    sets: list[str] = []
    at, end = 0, len(text)
    while at < end:
        character = text[at]
        if character in OPERATORS:
            at += 1
        elif character.isdigit() and character.isascii():
            at = _word(text, at, also="#@_")
        elif character == "$":
            at = _dollar(text, at, reads)
        elif character.isascii() and (character.isalpha() or character == "_"):
            stop = _word(text, at)
            _name(text, at, stop, reads, sets)
            at = stop
        else:
            return Expression(plain=False)
        if at < 0:
            return Expression(plain=False)
    return Expression(reads=tuple(reads), sets=tuple(sets))


def harmless(text: str, integer: "Callable[[str], bool]") -> bool:
    """Say whether evaluating this text cannot run anything; `integer` says which names are integers."""
    found = expression(text)
    return found.plain and all(name in INTEGERS or integer(name) for name in found.reads)


def whole(text: str) -> bool:
    """Say whether this is a plain integer."""
    digits = text[1:] if text[:1] in {"-", "+"} else text
    return digits.isascii() and digits.isdigit()


def _word(text: str, at: int, also: str = "_") -> int:
    """Return where the letters and digits from here on end."""
    end = len(text)
    while at < end and text[at].isascii() and (text[at].isalnum() or text[at] in also):
        at += 1
    return at


def _dollar(text: str, at: int, reads: list[str]) -> int:
    """Step over `$name`, `${name}`, `${#…}`, `$#` and the like or `$((`; -1 where it is something else."""
    rest = text[at + 1 : at + 3]
    if rest[:1] in {"#", "?", "$", "!"} and rest[:1]:
        return at + 2
    if rest == "((":
        return at + 3
    if rest[:1] == "{":
        close = text.find("}", at)
        name = text[at + 2 : close]
        if close < 0:
            return -1
        counted = name.startswith("#") and name[1:].removesuffix("[@]").removesuffix("[*]").isidentifier()
        if not counted and not (name.isascii() and name.isidentifier()):
            return -1
        if not counted:
            reads.append(name)
        return close + 1
    stop = _word(text, at + 1)
    name = text[at + 1 : stop]
    if not name.isidentifier():
        return -1
    reads.append(name)
    return stop


def _name(text: str, at: int, stop: int, reads: list[str], sets: list[str]) -> None:
    """Note whether the name that stands here is read, set or both."""
    before, after = text[max(0, at - NEAR) : at].rstrip()[-2:], text[stop : stop + NEAR].lstrip()[:3]
    assigned = after[:1] == "=" and after[:2] != "=="
    stepped = before in {"++", "--"} or after[:2] in {"++", "--"}
    combined = (after[:1] in set("*/%+-&^|") and after[1:2] == "=") or after[:3] in {"<<=", ">>="}
    if assigned or stepped or combined:
        sets.append(text[at:stop])
    if not assigned:
        reads.append(text[at:stop])
