"""Collects the parts of a word while it is read."""

from ringfence.shell.read_source import Source
from ringfence.shell.syntax import Parameter, Text, Word
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.syntax import Part


class Pieces:
    """The parts of a word under way. Characters next to each other become one part."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.parts: list[Part] = []
        self._text: list[str] = []
        self._start = self._end = 0
        self._quoted = False

    def text(self, start: int, end: int, value: str, *, quoted: bool) -> None:
        """Add characters that stand for themselves."""
        if self._text and (self._quoted != quoted or (not quoted and start != self._end)):
            self._flush()
        if not self._text:
            self._start, self._quoted = start, quoted
        self._text.append(value)
        self._end = end

    def add(self, part: "Part") -> None:
        """Add any other part."""
        self._flush()
        self.parts.append(part)

    def _flush(self) -> None:
        if self._text:
            value = "".join(self._text)
            self._text = []
            if value or self._quoted:
                self.parts.append(text_part(self.source.span(self._start, self._end), value, self._quoted))

    def word(self, start: int, end: int) -> Word:
        """Return the word."""
        self._flush()
        parts = self.parts
        if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].value:
            parts = []
        return build(Word, {"span": self.source.span(start, end), "parts": tuple(parts)})


def text_part(span: tuple[int, int], value: str, quoted: bool) -> Text:  # noqa: FBT001 - called for every word
    """Return a part of characters that stand for themselves."""
    return build(Text, {"span": span, "value": value, "quoted": quoted})


def parameter(span: tuple[int, int], name: str, operation: str = "", *, quoted: bool) -> Parameter:
    """Return a reference with no words in it."""
    given = {"span": span, "name": name, "operation": operation, "inner": (), "quoted": quoted}
    return build(Parameter, {**given, "indirect": False, "length": False})
