"""Finds brace expansion in a word: `{a,b}` and `{1..9}`, by the very rules of bash's braces.c.

The first `{` for which a `}` is found begins a group; a `}` counts once a comma or `..` stood before it on
the group's own level. What is no group is left as it is: `{}`, `{a}`, `{a,b`. Quoted characters and
expansions take no part.
"""

from ringfence.shell.read_pieces import text_part
from ringfence.shell.read_source import DIALECT, SIZE, SYNTAX, Source
from ringfence.shell.syntax import Brace, Part, Problem, Text, Tilde, Word
from ringfence.value import Struct, build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.syntax import Span

    Parts = tuple[list[Part], int]  # the parts, and how many words they make

MOST_WORDS = 1000  # that one word may become
_MOST_OPEN = 40  # braces in one word


class _Item(Struct):
    """A word's smallest piece: one unquoted character, or a part with which braces have nothing to do."""

    span: tuple[int, int]
    char: str = ""
    part: Part | None = None


def expanded(source: Source, word: Word) -> Word:
    """Return a word with its braces found."""
    items = _items(word)
    found = _Braces(source, word.span)
    if sum(item.char == "{" for item in items) > _MOST_OPEN:
        found.problem(f"more than {_MOST_OPEN} braces in a word", SIZE)
        return word
    parts, count = found.parts(items)
    if count > MOST_WORDS:
        found.problem(f"braces that make more than {MOST_WORDS} words", SIZE)
    if not any(isinstance(part, Brace) for part in parts):
        return word
    if any(isinstance(part, Tilde) for part in parts[1:]):
        found.problem("a tilde behind `=` or `:` in a word with braces", DIALECT)
    if source.shell == "sh":
        found.problem("braces are not expanded by every sh", DIALECT)
    return build(Word, {"span": word.span, "parts": tuple(parts)})


def _items(word: Word) -> list[_Item]:
    items = []
    for part in word.parts:
        if isinstance(part, Text) and not part.quoted:
            start = part.span[0]
            for at, char in enumerate(part.value, start):
                items.append(build(_Item, {"span": (at, at + 1), "char": char, "part": None}))
        else:
            items.append(build(_Item, {"span": part.span, "char": "", "part": part}))
    return items


def _text(items: list[_Item]) -> str:
    return "".join(item.char or "\0" for item in items)


class _Braces:
    """One word's braces under way."""

    def __init__(self, source: Source, span: "Span") -> None:
        self._source = source
        self._span = span

    def problem(self, reason: str, risk: str = SYNTAX) -> None:
        self._source.problems.append(build(Problem, {"span": self._span, "reason": reason, "risk": risk}))

    def parts(self, items: list[_Item]) -> "Parts":
        """Return the parts that a row of items makes."""
        text = _text(items)
        parts: list[Part] = []
        count, plain, at = 1, 0, 0
        while at < len(items):
            end = _close(text, at + 1) if text[at] == "{" and not _ignored(text, at) else 0
            group = self._group(items[at : end + 1], text[at + 1 : end]) if end else None
            if group is not None:
                parts += _joined(items[plain:at])
                parts.append(group[0])
                count = min(count * group[1], MOST_WORDS + 1)
            if end:
                plain = plain if group is None else end + 1
                at = end
            at += 1
        return parts + _joined(items[plain:]), count

    def _group(self, items: list[_Item], inside: str) -> "tuple[Brace, int] | None":
        """Return the expansion, or None where the group stands for itself."""
        span = (items[0].span[0], items[-1].span[1])
        if "," not in inside:
            length = _range(inside)
            if not length:
                self.problem("braces with a range in them that is none")
                return None
            return build(Brace, {"span": span, "text": "{" + inside + "}", "inner": ()}), length
        words, count, begin = [], 0, 1
        for comma in [*_commas(inside), len(inside)]:
            choice = items[begin : comma + 1]
            parts, number = self.parts(choice)
            where = (choice[0].span[0], choice[-1].span[1]) if choice else (items[comma + 1].span[0],) * 2
            words.append(build(Word, {"span": where, "parts": tuple(parts)}))
            count, begin = count + number, comma + 2
        if len(words) == 1:
            self.problem("braces within braces that hold a range")
        text = self._source.original[span[0] : span[1]]
        return build(Brace, {"span": span, "text": text, "inner": tuple(words)}), count


def _close(text: str, at: int) -> int:
    """Return where the brace closes whose content begins here, or 0."""
    level = choices = 0
    while at < len(text):
        char = text[at]
        if char == "}" and not level and choices:
            return at
        if char == "{":
            level += 1
        elif char == "}" and level:
            level -= 1
        elif not level and (char == "," or (text.startswith("..", at) and text[at + 2 : at + 3] != "}")):
            choices += 1
        at += 1
    return 0


def _ignored(text: str, at: int) -> bool:
    return at == 0 and text[1:2] == "}"


def _commas(inside: str) -> list[int]:
    level, found = 0, []
    for at, char in enumerate(inside):
        if char == "{":
            level += 1
        elif char == "}" and level:
            level -= 1
        elif char == "," and not level:
            found.append(at)
    return found


def _range(inside: str) -> int:
    """Return how many words a range makes, or 0 where it is none."""
    ends = inside.split("..")
    if len(ends) not in (2, 3) or not all(ends):
        return 0
    step = 1
    if len(ends) == 3:
        if not _number(ends[2]):
            return 0
        step = abs(int(ends[2])) or 1
    if _number(ends[0]) and _number(ends[1]):
        return abs(int(ends[1]) - int(ends[0])) // step + 1
    if all(len(end) == 1 and end.isascii() and end.isalpha() for end in ends[:2]):
        return abs(ord(ends[1]) - ord(ends[0])) // step + 1
    return 0


def _number(text: str) -> bool:
    digits = text[1:] if text[0] in "+-" else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 12


def _joined(items: list[_Item]) -> "list[Part]":
    """Return items as parts again."""
    parts: list[Part] = []
    begin = 0
    for at, item in enumerate([*items, None]):
        if item is not None and item.char:
            continue
        if at > begin:
            span = (items[begin].span[0], items[at - 1].span[1])
            parts.append(text_part(span, "".join(one.char for one in items[begin:at]), False))
        if item is not None and item.part is not None:
            parts.append(item.part)
        begin = at + 1
    return parts
