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
    from collections.abc import Iterable, Iterator

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


class ProgramRules:
    """The rules, read once."""

    def __init__(self, rules: tuple[ProgramRule, ...]) -> None:
        from ringfence.policy.toolrules import DENY, ToolRule  # the launcher has no need of them
        from ringfence.shell.programs import knows
        from ringfence.verdict.command import Pattern

        self._patterns = tuple(
            Pattern(ToolRule(effect=DENY, text=one.text, tool="Bash", specifier=one.pattern), number)
            for number, one in enumerate(rules)
        )
        self._programs = frozenset(one.program for one in rules)
        for program in self._programs:
            knows(program)  # reads its family now: later the files may be out of reach

    def refused(self, started: Started) -> str:
        """Return the rule that a program falls under, as written; or nothing."""
        texts = dict.fromkeys(" ".join(words) for words in self._spellings(started))
        for pattern in self._patterns:
            if any(pattern.matches(text, widely=True) for text in texts):
                return pattern.rule.text
        return ""

    def _spellings(self, started: Started) -> "Iterator[tuple[str, ...]]":
        """Yield the words of every command that this start could be called."""
        for asked in _commands(started):
            yield asked
            words = asked
            if asked[0].startswith("git-"):
                words = ("git", asked[0][4:], *asked[1:])
                yield words
            if words[0] in self._programs and words[1:] and words[1].startswith("-"):
                yield from _without_options(words)


def _commands(started: Started) -> "Iterator[tuple[str, ...]]":
    names = [name for name in dict.fromkeys(started.names) if name]
    for name in names:
        yield name, *started.arguments
    if any(name.rpartition("/")[2].startswith(LOADERS) for name in names):
        yield from _loaded(started.arguments)


def _loaded(arguments: tuple[str, ...]) -> "Iterator[tuple[str, ...]]":
    """Yield what a dynamic loader may be asked to run: its options take values, so each word could be it."""
    for at, word in enumerate(arguments[:_MOST_LOADER_ARGUMENTS]):
        if not word.startswith("-"):
            yield word, *arguments[at + 1 :]
            yield word.rpartition("/")[2], *arguments[at + 1 :]


def _without_options(words: tuple[str, ...]) -> "Iterator[tuple[str, ...]]":
    """Yield the words without the options before the verb: `git push` for `git -C . push`."""
    from ringfence.shell.facts import Value
    from ringfence.shell.invocation import Invocation
    from ringfence.shell.programs import look

    program, *arguments = words
    values = tuple(Value(text=word) for word in arguments)
    found = look(Invocation(program=program, arguments=values)).canonical
    if found:
        yield tuple(value.text for value in found)
