"""Looks ahead for what ends an expression, before it is known what it is. What is looked at is counted."""

from ringfence.shell.read_source import Source


def arithmetic_end(source: Source, at: int) -> int:
    """Return where the `))` stands that ends arithmetic, or 0 where it does not pair."""
    if not source.may_look(at):
        return 0
    found, seen = _pairs_up(source, at)
    source.looked(at, seen)
    return found


def _pairs_up(source: Source, at: int) -> tuple[int, int]:
    """Return the place or 0, and how far the search went."""
    text = source.text
    depth = 0
    while True:
        char = text[at]
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                return (at if text[at + 1] == ")" else 0), at
        elif char == "\\":
            at += 1
        elif char in "'\"":
            at = text.find(char, at + 1)
            if at < 0:
                return 0, source.end
        if at >= source.end:
            return 0, source.end
        at += 1


def closing_bracket(source: Source, start: int) -> int:
    """Return where the bracket closes that opens here, or 0."""
    if not source.may_look(start):
        return 0
    text, at, depth = source.text, start, 0
    while at < source.end:
        char = text[at]
        if char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if not depth:
                break
        elif char == "\\":
            at += 1
        elif char in "'\"":
            at = text.find(char, at + 1)
            if at < 0:
                at = source.end
        at += 1
    source.looked(start, at)
    return at if at < source.end else 0
