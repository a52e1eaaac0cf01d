"""Brace expansion: one word that becomes several, before anything else is expanded.

Because it comes first and works on text, it can make things that nobody wrote: `{$,}HOME` is `$HOME`,
`$x{a,b}` asks for the variables `xa` and `xb`, `{~,}/f` starts with a home folder. Such words are not
certain.
"""

from ringfence.shell.syntax import Brace, Parameter, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.syntax import Part

WORDS = 64  # that one word may become
NUMBERS = 10**9


def alternatives(parts: "tuple[Part, ...]") -> "tuple[list[list[Part]] | None, bool]":
    """Return the rows of parts that a word becomes, None where too many, and whether that is certain."""
    rows = _expanded(parts)
    if rows is None:
        return None, False
    return rows, all(_certain(row) for row in rows) and not _meets(parts)


def _expanded(parts: "tuple[Part, ...]") -> "list[list[Part]] | None":
    """Multiply the alternatives of every brace out."""
    rows: list[list[Part]] = [[]]
    for part in parts:
        if not isinstance(part, Brace):
            for row in rows:
                row.append(part)
            continue
        options = _options(part)
        if options is None or len(rows) * len(options) > WORDS:
            return None
        rows = [[*row, *option] for row in rows for option in options]
    return rows


def _options(brace: Brace) -> "list[list[Part]] | None":
    """Return what may stand in the place of a brace."""
    if not brace.inner:
        texts = _range(brace.text)
        return None if texts is None else [[Text(span=brace.span, value=text)] for text in texts]
    options: list[list[Part]] = []
    for word in brace.inner:
        rows = _expanded(word.parts)
        if rows is None or len(options) + len(rows) > WORDS:
            return None
        options += rows
    return options


def _range(text: str) -> list[str] | None:
    """Return the items of `{1..9}`, `{01..10..3}` or `{a..e}`; None where they are too many or not plain."""
    ends = text.removeprefix("{").removesuffix("}").split("..")
    if len(ends) not in {2, 3}:
        return None
    step = _integer(ends[2]) if len(ends) == 3 else 1
    first, last = _integer(ends[0]), _integer(ends[1])
    if step is None:
        return None
    if first is not None and last is not None:
        return _numbers(first, last, abs(step) or 1, ends)
    one, other = ends[0], ends[1]
    letters = all(len(end) == 1 and end.isascii() and end.isalpha() for end in (one, other))
    if not letters or one.islower() != other.islower():
        return None
    return [chr(code) for code in _steps(ord(one), ord(other), abs(step) or 1)]


def _numbers(first: int, last: int, step: int, ends: list[str]) -> list[str] | None:
    """Return a range of numbers, padded as the shell pads them."""
    if abs(last - first) // step >= WORDS:
        return None
    padded = any(len(end.lstrip("-+")) > 1 and end.lstrip("-+")[0] == "0" for end in ends[:2])
    width = max(len(end) for end in ends[:2]) if padded else 0
    return [f"{number:0{width}d}" if width else str(number) for number in _steps(first, last, step)]


def _steps(first: int, last: int, step: int) -> range:
    """Return the numbers from one end to the other, both included."""
    return range(first, last + 1, step) if first <= last else range(first, last - 1, -step)


def _integer(text: str) -> int | None:
    """Read a small integer."""
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        return None
    number = int(text)
    return number if abs(number) <= NUMBERS else None


def _certain(row: "list[Part]") -> bool:
    """Say whether nothing in a row could be read anew once its parts stand side by side."""
    for number, part in enumerate(row):
        if isinstance(part, Text) and not part.quoted:
            if number == 0 and part.value.startswith("~"):
                return False
            if "$" in part.value or "`" in part.value:
                return False
    return True


def _meets(parts: "tuple[Part, ...]") -> bool:
    """Say whether a reference without braces of its own may run into what a brace puts behind it."""
    for part in parts:
        if isinstance(part, Parameter) and _bare(part):
            return True
        if isinstance(part, Brace) and any(_meets(word.parts) for word in part.inner):
            return True
    return False


def _bare(part: Parameter) -> bool:
    """Say whether a reference is written `$name`."""
    return not part.operation and part.span[1] - part.span[0] <= len(part.name) + 1
