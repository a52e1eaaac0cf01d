"""What tests of programs look with: a command line in shell words, and its effects in short.

`«x»` stands for one word that is not known, `«x*»` for any number of them, `⟪*.c⟫` for a pattern; what stands
before `«` in a word is known. Words are split as a shell does, so quotes may be used.
"""

import shlex

from ringfence.shell.facts import KNOWN, PATTERN, UNKNOWN, Value
from ringfence.shell.invocation import Effects, Invocation
from ringfence.shell.programs import look


def word(text: str) -> Value:
    front, mark, inner = text.partition("«")
    if mark:
        return Value(text=text, certainty=UNKNOWN, start=front, single=not inner.endswith("*»"))
    if text.startswith("⟪"):
        return Value(text=text.strip("⟪⟫"), certainty=PATTERN)
    return Value(text=text, certainty=KNOWN)


def look_at(
    line: str, *, folder: str | None = "/w", home: str | None = "/home/u", given: str | None = None
) -> Effects:
    words = shlex.split(line)
    return look(
        Invocation(
            program=words[0],
            arguments=tuple(map(word, words[1:])),
            folder=folder,
            home=home,
            input=None if given is None else Value(text=given),
        )
    )


def risks(line: str, **rest: object) -> list[str]:
    return [finding.risk for finding in look_at(line, **rest).findings]


def files(line: str, *kinds: str) -> list[str]:
    """Return the paths of some kinds; a tree ends in `/**`."""
    accesses = look_at(line).accesses
    return [one.path.text + ("/**" if one.tree else "") for one in accesses if one.kind in kinds]


def reads(line: str) -> list[str]:
    return files(line, "read")


def writes(line: str) -> list[str]:
    return files(line, "write")


def runs(line: str) -> list[str]:
    effects = look_at(line)
    started = [" ".join(value.text for value in words) for words in effects.runs]
    return [*started, *(value.text for value in effects.scripts)]


def hosts(line: str) -> list[str]:
    return [one.value.text for one in look_at(line).endpoints]
