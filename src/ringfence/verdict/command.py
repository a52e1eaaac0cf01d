r"""Rules about commands: which texts a pattern means, and by which texts a command is known.

A pattern is compared with the whole text of one simple command. `*` stands for any characters, blanks
included; it never reaches into another command, because another command is another text. ` *` at the end
stands for nothing as well, `:*` at the end is the same, `\*` is an asterisk. Without a wildcard the text
is exact.

Rules that allow see a command in one canonical spelling (quotes gone where they change nothing, one blank
between words) or as it is written. Rules that deny or ask see more: the program without its folder, words
without any quotes, what a word could come to, what only the second reading of the text found.
"""

from ringfence.shell.facts import KNOWN, PATTERN
from ringfence.verdict import globs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringfence.policy.toolrules import ToolRule
    from ringfence.shell.facts import Command, Value

_QUOTED = frozenset(" \t\n'\"\\")
MOST_TEXTS = 64  # spellings of one command that rules are asked about


class Pattern:
    """A rule's specifier, read once."""

    __slots__ = ("bounded", "exact", "number", "pieces", "program", "rule")

    def __init__(self, rule: "ToolRule", number: int) -> None:
        self.rule = rule
        self.number = number
        text = "*" if rule.specifier is None else rule.specifier
        if text.endswith(":*") and len(text) > 2:
            text = text[:-2] + " *"
        if "'" not in text and '"' not in text:
            text = " ".join(text.split())
        pieces = _pieces(text)
        self.exact = pieces[0] if len(pieces) == 1 else None
        self.pieces = pieces
        self.bounded = len(pieces) > 1 and not pieces[-1] and pieces[-2].endswith(" ")
        first, blank, _ = pieces[0].partition(" ")
        self.program = first if blank or self.exact is not None else ""

    def matches(self, text: str, *, widely: bool) -> bool:
        """Say whether a text is meant. Widely: ` *` may stand for nothing behind other wildcards too."""
        if self.exact is not None:
            return text == self.exact
        if glob(self.pieces, text):
            return True
        if not self.bounded:
            return False
        if len(self.pieces) == 2:
            return text == self.pieces[0][:-1]
        return widely and glob((*self.pieces[:-2], self.pieces[-2][:-1]), text)

    @property
    def words(self) -> int:
        """Return how many words the pattern spells out in full before its first wildcard."""
        if self.exact is not None:
            return len(self.exact.split())
        return len(self.pieces[0].split()) - (not self.pieces[0].endswith(" ") and bool(self.pieces[0]))


def _pieces(text: str) -> tuple[str, ...]:
    """Split at wildcards; a backslash takes away the meaning of `*` and of itself."""
    if "\\" not in text:
        return _merged(text.split("*"))
    pieces, current, at = [], "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in {"*", "\\"}:
            current += text[at + 1]
            at += 2
        elif text[at] == "*":
            pieces.append(current)
            current = ""
            at += 1
        else:
            current += text[at]
            at += 1
    return _merged([*pieces, current])


def _merged(pieces: list[str]) -> tuple[str, ...]:
    """Take `**` for `*`."""
    inner = [piece for piece in pieces[1:-1] if piece]
    return (pieces[0], *inner, pieces[-1]) if len(pieces) > 1 else tuple(pieces)


def glob(pieces: "Sequence[str]", text: str) -> bool:
    """Match literal pieces in their order, the first at the front, the last at the end."""
    if len(pieces) == 1:
        return text == pieces[0]
    if not text.startswith(pieces[0]):
        return False
    at = len(pieces[0])
    for piece in pieces[1:-1]:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    last = pieces[-1]
    return len(text) - len(last) >= at and text.endswith(last)


class CommandRules:
    """Rules of one effect about commands, found by the program that they name."""

    def __init__(self, rules: "Iterable[ToolRule]") -> None:
        self.patterns = tuple(Pattern(rule, number) for number, rule in enumerate(rules))
        self.by_program: dict[str, list[Pattern]] = {}
        self.others: list[Pattern] = []
        for one in self.patterns:
            (self.by_program.setdefault(one.program, []) if one.program else self.others).append(one)
        self.whole = next((one.rule for one in self.patterns if one.pieces == ("", "")), None)  # bare `Bash`

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def meant(self, texts: "Iterable[str]", *, widely: bool) -> "ToolRule | None":
        """Return the first rule that means one of these texts."""
        found: Pattern | None = None
        for text in texts:
            for one in (*self.by_program.get(text.partition(" ")[0], ()), *self.others):
                if (found is None or one.number < found.number) and one.matches(text, widely=widely):
                    found = one
        return None if found is None else found.rule

    def literal(self, texts: "Iterable[str]") -> "ToolRule | None":
        """Return the first rule without any wildcard that spells one of these texts."""
        for text in texts:
            for one in self.by_program.get(text.partition(" ")[0], ()):
                if one.exact is not None and one.exact == text:
                    return one.rule
        return None

    def spelling(self, texts: "Iterable[str]", words: int) -> "ToolRule | None":
        """Return the first rule that means a text and spells out at least so many of its words."""
        for text in texts:
            for one in self.by_program.get(text.partition(" ")[0], ()):
                if one.words >= words and one.matches(text, widely=False):
                    return one.rule
        return None

    def programs(self) -> "Iterable[str]":
        """Return the programs that rules name in full."""
        return self.by_program

    def could_be(self, value: "Value", rest: str) -> "ToolRule | None":
        """Return a rule about a program that an uncertain word could come to."""
        wild = globs.segment(value.text.rpartition("/")[2])
        for program in self.by_program:
            if not isinstance(wild, str) and globs.could_be(wild, program.rpartition("/")[2]):
                rule = self.meant((f"{program} {rest}".rstrip(),), widely=True)
                if rule is not None:
                    return rule
        return None


# --- the texts of a command


def quoted(text: str) -> str:
    """Return a word as rules spell it: in single quotes only where it holds blanks or quotes."""
    if text and _QUOTED.isdisjoint(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def narrow(command: "Command", source: str) -> tuple[str, ...]:
    """Return the spellings of a command for rules that allow."""
    texts = [" ".join([quoted(word.text) for word in command.words])]
    texts.append(_written(command.words, source))
    other = canonical(command)
    if other:
        texts.append(" ".join([quoted(word.text) for word in other]))
    return tuple(dict.fromkeys(text for text in texts if text))


def wide(command: "Command", source: str) -> tuple[str, ...]:
    """Return the spellings of a command for rules that deny or ask."""
    texts = [*narrow(command, source)]
    for words in (command.words, command.canonical) if command.canonical else (command.words,):
        for row in _rows(words):
            texts.append(" ".join(row))
            program = row[0].rpartition("/")[2]
            if program and program != row[0]:
                texts.append(" ".join((program, *row[1:])))
                texts.append(" ".join((program, *map(quoted, row[1:]))))
    texts.append(" ".join(command.source.split()))
    return tuple(dict.fromkeys(texts)) if texts[0] else tuple(dict.fromkeys(text for text in texts if text))


def canonical(command: "Command") -> "tuple[Value, ...]":
    """Return the words of a command without options that change nothing (`git --no-pager log`)."""
    return command.canonical


def _rows(words: "Sequence[Value]") -> "Iterable[list[str]]":
    """Yield the words as plain texts, once for each thing that an uncertain word is known to could be."""
    if not words:
        return
    rows = [[word.text for word in words]]
    for at, word in enumerate(words):
        for other in getattr(word, "candidates", ()):
            if len(rows) < MOST_TEXTS:
                rows.append([*rows[0][:at], other, *rows[0][at + 1 :]])
    yield from (split for row in rows if (split := " ".join(row).split()))


def _written(words: "Sequence[Value]", source: str) -> str:
    """Return the words as they stand in the text, where they do, one behind the other."""
    end = 0
    for word in words:
        if word.span[0] < end or word.span[1] <= word.span[0] or word.span[1] > len(source):
            return ""
        end = word.span[1]
    return " ".join([source[word.span[0] : word.span[1]] for word in words])


def certain(command: "Command") -> bool:
    """Say whether every word of a command is known."""
    return all(word.certainty == KNOWN for word in command.words)


def starts_plainly(value: "Value") -> bool:
    """Say whether what a pattern comes to cannot look like an option: it starts with a letter, or `./`."""
    return value.certainty == PATTERN and value.text[:1] not in set("*?[-\\@!+{")
