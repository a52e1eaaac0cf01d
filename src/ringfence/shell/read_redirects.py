"""Reads redirections: before, between and behind a command's words, and behind compound commands."""

from ringfence.shell import read_heredocs, read_words
from ringfence.shell.read_source import BREAK, DIALECT, NAME, NAME_START, Source
from ringfence.shell.syntax import Brace, Redirect, Text, Word
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Longest first
_OPERATORS = ("<<<", "<<-", "&>>", "<<", "<&", "<>", ">>", ">&", ">|", "&>", "<", ">")
_ZSH_OPERATORS = (">>!", ">>|", "&>!", "&>|", ">&!", ">&|", ">!")
_NOT_IN_SH = frozenset(["<<<", "&>", "&>>"])
_MOST_DIGITS = 3


def redirects(source: Source) -> tuple[Redirect, ...]:
    """Read those behind a compound command."""
    found = []
    while not source.stuck:
        source.blanks()
        one = redirect(source)
        if one is None:
            break
        found.append(one)
    return tuple(found)


def redirect(source: Source) -> Redirect | None:
    """Read the redirection that begins here, or return None."""
    text, start = source.text, source.at
    at = start
    char = text[at]
    if char.isdigit() and char.isascii():
        while text[at].isdigit() and text[at].isascii():
            at += 1
    elif char == "{":
        at = _named_end(text, at)
    if text[at] not in "<>" and (text[at] != "&" or at > start or text[at + 1] != ">"):
        return None
    if text[at] in "<>" and text[at + 1] == "(":
        if at > start:
            source.problem(start, at + 2, "a number or name right before a process substitution")
        return None
    return _redirect(source, start, at)


def _named_end(text: str, at: int) -> int:
    """Return where `{name}` ends that stands right before an operator, else where it begins."""
    end = at + 1
    if text[end] in NAME_START:
        while text[end] in NAME:
            end += 1
        if text[end] == "}" and text[end + 1] in "<>":
            return end + 1
        if text[end] == "[":  # `{name[0]}>`: bash takes it for a descriptor
            close = text.find("]}", end)
            if close > 0 and text[close + 2] in "<>" and not BREAK.intersection(text[end:close]):
                return close + 2
    return at


def _redirect(source: Source, start: int, at: int) -> Redirect | None:
    text = source.text
    descriptor = text[start:at]
    if len(descriptor) > (_MOST_DIGITS if source.shell == "bash" else 1) and descriptor[0] != "{":
        source.problem(start, at, "a descriptor of so many digits may be a word", DIALECT)
    if descriptor[:1] == "{":
        source.only("bash zsh", start, at, "a named descriptor")
    operator = _operator(source, at)
    if operator in _NOT_IN_SH:
        source.only("bash zsh", at, at + len(operator), f"`{operator}`")
    source.at = at + len(operator)
    source.blanks()
    if operator in ("<<", "<<-"):
        return _heredoc(source, start, operator, descriptor)
    target = _target(source, read_words.VALUE if operator == "<<<" else read_words.PLAIN)
    if target is None:
        return None
    if operator == ">&" and not _is_descriptor(target):
        source.only("bash zsh", at, at + 2, "`>&` before a name")
    return build(Redirect, _values(source, start, operator, target, descriptor))


def _operator(source: Source, at: int) -> str:
    text = source.text
    if source.shell == "zsh":
        for operator in _ZSH_OPERATORS:
            if text.startswith(operator, at):
                source.problem(
                    at,
                    at + len(operator),
                    f"`{operator}` overwrites in zsh, and is another thing elsewhere",
                    DIALECT,
                )
                return operator
    return next(one for one in _OPERATORS if text.startswith(one, at))


def _target(source: Source, kind: str) -> Word | None:
    start = source.at
    char = source.text[start]
    if (char in BREAK and (char not in "<>" or source.text[start + 1] != "(")) or char == "#":
        source.fail("a redirection without a target")
        return None
    target = read_words.word(source, kind)
    if source.text[source.at] in "<>" and source.original[target.span[0] : target.span[1]].isdigit():
        source.fail("a descriptor where a target should stand")
    if any(isinstance(part, Brace) for part in target.parts):
        source.problem(start, source.at, "braces as the target of a redirection", DIALECT)
    return target


def _is_descriptor(target: Word) -> bool:
    if len(target.parts) != 1 or not isinstance(target.parts[0], Text):
        return False
    value = target.parts[0].value.removesuffix("-")
    return value == "" or (value.isascii() and value.isdigit())


def _values(source: Source, start: int, operator: str, target: Word, descriptor: str) -> "dict[str, Any]":
    span = source.span(start, source.at)
    values = {"span": span, "operator": operator, "target": target, "descriptor": descriptor.strip("{}")}
    if descriptor[:1] == "{":
        values["descriptor"] = descriptor
    return {**values, "body": None}


def _heredoc(source: Source, start: int, operator: str, descriptor: str) -> Redirect | None:
    if source.text[source.at] in BREAK or source.text[source.at] == "#":
        source.fail("a here-document without a delimiter")
        return None
    target, end, is_quoted = read_heredocs.delimiter(source)
    values = _values(source, start, operator, target, descriptor)
    # Its lines come behind the end of this one: `bodies` puts them into this very dictionary.
    source.pending.append((values, is_quoted, end))
    return build(Redirect, values)
