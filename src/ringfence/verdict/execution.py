"""Decides on programs as they start: what a deny rule for Bash names does not run, whoever starts it.

At this place there is no shell text, only what the kernel is about to execute: a file, the name under
which it was asked for, and the argument list. A rule holds when it matches under any of the names that
the program goes by: the base name of the path, of the file behind it, of argv[0]; its full path; and the
names of denied programs of which it is a link or an unchanged copy.

Only rules that name a program can be held here. `Bash`, `Bash(*)` and patterns that begin with a wildcard
are about the tool, not about a program; they are left to the agent's permission layer.
"""

from ringfence.policy.model import Policy
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LOADERS = ("ld-linux", "ld-musl", "ld64.so", "ld.so")  # run a program that is named as an argument
_MOST_LOADER_ARGUMENTS = 16


class Started(Struct):
    """One program that wants to start."""

    names: tuple[str, ...]  # every name and path that it goes by
    arguments: tuple[str, ...]  # behind argv[0]


class ProgramRule(Struct):
    """A deny rule that can be held when programs start."""

    text: str  # as written: "Bash(git push *)"
    pattern: str  # "git push *"
    program: str  # its first word, without a folder: "git"


def denied(policy: Policy) -> tuple[ProgramRule, ...]:
    """Return the deny rules of a policy that can be held when programs start."""
    return enforceable(one.text for one in (*policy.commands.deny, *policy.tools.deny))


def enforceable(rules: "Iterable[str]") -> tuple[ProgramRule, ...]:
    """Return the deny rules, as written, that name a program."""
    found = []
    for text in rules:
        if not (text.startswith("Bash(") and text.endswith(")")):
            continue
        pattern = text[5:-1].strip()
        if pattern.endswith(":*"):
            pattern = pattern[:-2] + " *"
        first = pattern.partition(" ")[0]
        if first.partition("*")[0]:
            found.append(ProgramRule(text=text, pattern=pattern, program=first.rpartition("/")[2]))
    return tuple(found)


def refused(rules: tuple[ProgramRule, ...], started: Started) -> str:
    """Return the rule that a program falls under, as written; or nothing."""
    names = [name for name in dict.fromkeys(started.names) if name]
    commands = [_joined(name, started.arguments) for name in names]
    commands += ["git " + command[4:] for command in commands if command.startswith("git-")]
    for name in names:
        if name.rpartition("/")[2].startswith(LOADERS):
            commands += _loaded(started.arguments)
            break
    for rule in rules:
        for command in commands:
            if _matches(rule.pattern, command):
                return rule.text
    return ""


def _loaded(arguments: tuple[str, ...]) -> list[str]:
    """Return what a dynamic loader may be asked to run: its options take values, so each word could be it."""
    found = []
    for at, word in enumerate(arguments[:_MOST_LOADER_ARGUMENTS]):
        if not word.startswith("-"):
            found += [_joined(name, arguments[at + 1 :]) for name in (word, word.rpartition("/")[2])]
    return found


def _joined(name: str, arguments: tuple[str, ...]) -> str:
    return " ".join((name, *arguments))


def _matches(pattern: str, command: str) -> bool:
    """Say whether a pattern covers a command. `*` is any text; a last ` *` also none at all."""
    if pattern.endswith(" *") and command == pattern[:-2]:
        return True
    first, *middle = pattern.split("*")
    if not middle:
        return command == pattern
    last = middle.pop()
    if not command.startswith(first) or len(command) < len(first) + len(last) or not command.endswith(last):
        return False
    at, end = len(first), len(command) - len(last)
    for piece in middle:
        at = command.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
