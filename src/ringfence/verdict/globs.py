r"""Path patterns of rules, and shell patterns of commands: what could match what.

A rule's pattern is gitignore's: `*` and `?` and `[…]` stay within a segment, `**` crosses them, `\` takes
away a character's meaning, and what lies in a matching folder matches too. Every pattern is made absolute
when it is read, so that matching is comparing rows of segments.

A shell pattern in a command (`cat .e?v`) stands for names that are not known. Against it the question is
whether some name could be meant by both; where that cannot be told, it could.

Matching remembers the last `**` and the last `*` only, so its cost is bounded by the product of the lengths.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEEP = None  # `**`: any number of segments
STAR, ONE = 1, 2  # tokens of a segment beside single characters and classes
LONGEST_SEGMENT = 4096


class Class:
    """`[…]`: some characters, or all but some."""

    __slots__ = ("negated", "ranges")

    def __init__(self, ranges: tuple[tuple[str, str], ...], *, negated: bool) -> None:
        self.ranges = ranges
        self.negated = negated

    def holds(self, char: str) -> bool:
        """Say whether a character belongs to it."""
        return any(low <= char <= high for low, high in self.ranges) != self.negated


class Wild:
    """A segment with wildcards."""

    __slots__ = ("dotted", "text", "tokens")

    def __init__(self, text: str, tokens: tuple[object, ...]) -> None:
        self.text = text
        self.tokens = tokens
        self.dotted = bool(tokens) and tokens[0] == "."  # only then the shell lets it match a hidden name


if TYPE_CHECKING:
    Segment = str | Wild | None


def segment(text: str) -> "Segment":
    """Read one segment: a literal name, or one with wildcards."""
    if text == "**":
        return DEEP
    if not any(char in text for char in "*?[\\"):
        return text
    tokens = _tokens(text)
    if all(isinstance(token, str) for token in tokens):
        return "".join(str(token) for token in tokens)
    return Wild(text, tokens)


def split(text: str) -> "tuple[Segment, ...]":
    """Read a pattern's segments; empty ones and `.` say nothing."""
    return tuple([segment(part) for part in text.split("/") if part not in {"", "."}])


def _tokens(text: str) -> tuple[object, ...]:
    found: list[object] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            at += 1
            found.append(text[at])
        elif char == "*":
            if not found or found[-1] != STAR:
                found.append(STAR)
        elif char == "?":
            found.append(ONE)
        elif char == "[":
            made, at = _class(text, at)
            found.append(made)
            continue
        else:
            found.append(char)
        at += 1
    return tuple(found)


def _class(text: str, start: int) -> "tuple[object, int]":
    """Read `[…]`; one that is never closed is a bracket."""
    if text.find("]", start + 2) < 0:
        return "[", start + 1
    at = start + 1
    negated = text[at : at + 1] in {"!", "^"}
    at += negated
    ranges: list[tuple[str, str]] = []
    first = True
    while at < len(text) and (text[at] != "]" or first):
        first = False
        if text[at : at + 2] == "[:":  # a class by name: whatever it could be
            end = text.find(":]", at)
            ranges.append(("\0", "\U0010ffff"))
            at = end + 2 if end >= 0 else at + 1
            continue
        at += text[at] == "\\" and at + 1 < len(text)
        low = text[at]
        at += 1
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in {"", "]"}:
            ranges.append((low, text[at + 1]))
            at += 2
        else:
            ranges.append((low, low))
    if at >= len(text):
        return "[", start + 1
    return Class(tuple(ranges), negated=negated), at + 1


def same(pattern: "Segment", name: object) -> bool:
    """Say whether a segment of a rule means this name; a name may itself be a shell pattern."""
    if isinstance(pattern, str):
        return pattern == name if isinstance(name, str) else could_be(name, pattern)
    if pattern is None:
        return True
    if isinstance(name, str):
        return _tokens_match(pattern.tokens, name)
    return overlap(name, pattern)


def could_be(wild: object, name: str) -> bool:
    """Say whether the shell could make this name of a pattern: hidden names only of a written dot."""
    if wild is None:
        return not name.startswith(".")
    if not isinstance(wild, Wild):
        return wild == name
    if name.startswith(".") and not wild.dotted and wild.tokens[0] in (STAR, ONE):
        return False
    return _tokens_match(wild.tokens, name)


def overlap(shell: object, rule: Wild) -> bool:
    """Say whether a shell's pattern and a rule's could mean the same name; in doubt they could."""
    if not isinstance(shell, Wild):
        return True
    if rule.dotted and shell.tokens[0] in (STAR, ONE):
        return False
    for left, right in ((shell.tokens, rule.tokens), (shell.tokens[::-1], rule.tokens[::-1])):
        for one, other in zip(left, right, strict=False):
            if not (isinstance(one, str) and isinstance(other, str)):
                break
            if one != other:
                return False
    return True


def _tokens_match(tokens: tuple[object, ...], text: str) -> bool:
    if len(text) > LONGEST_SEGMENT:
        return True  # no file has such a name
    at = here = 0
    star, resume = -1, 0
    while here < len(text):
        token = tokens[at] if at < len(tokens) else ""
        if token == STAR:
            star, resume = at, here
            at += 1
        elif token == ONE or token == text[here] or (isinstance(token, Class) and token.holds(text[here])):
            at += 1
            here += 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return all(token == STAR for token in tokens[at:])


def matches(
    pattern: "Sequence[Segment]",
    parts: "Sequence[object]",
    alike: "Callable[[Segment, object], bool]" = same,
) -> bool:
    """Say whether a path, or a folder that it lies in, is meant by a pattern."""
    at = here = 0
    star, resume = -1, 0
    last, size = len(pattern), len(parts)
    while at < last:
        one = pattern[at]
        if one is DEEP:
            if at == last - 1:
                return here < size
            star, resume = at, here
            at += 1
        elif here < size and alike(one, parts[here]):
            at += 1
            here += 1
        elif star >= 0 and resume < size:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return True


def folded(text: str) -> str:
    """Return a name as file systems without case find it."""
    if text.isascii():
        return text.lower()
    import unicodedata  # rare

    return unicodedata.normalize("NFC", text).casefold()


def fold(pattern: "Sequence[Segment]") -> "tuple[Segment, ...]":
    """Return a pattern for folded names."""
    return tuple(
        [
            folded(one) if isinstance(one, str) else one if one is None else segment(folded(one.text))
            for one in pattern
        ]
    )
