"""Reads what stands within `[[ … ]]`, by bash's grammar for it.

A term is a word, an operator and a word, or a word, an operator and another; terms are joined by `&&`, `||`,
`!` and parentheses. Neither word splitting nor pathnames happen here; `<` and `>` compare.
"""

from ringfence.shell import read_expansions, read_words
from ringfence.shell.read_pieces import Pieces
from ringfence.shell.read_source import BREAK, DIALECT, Source
from ringfence.shell.syntax import Text, Word

_BINARY = frozenset(
    ["=", "==", "!=", "=~", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "<", ">"]
)
_UNARY = frozenset("-" + letter for letter in "abcdefghkprstuwxzGLNORSnov")
_REGEX_STOP = frozenset("'\"`$\\ \t\n()[;&<>\0")


def operands(source: Source) -> tuple[Word, ...]:
    """Read up to `]]`: every operand and operator, in order."""
    words: list[Word] = []
    depth = 0
    while not source.stuck:
        depth = _openings(source, depth)
        _term(source, words)
        depth = _closings(source, depth)
        if source.stuck or source.peek() == "]]":
            break
        if not source.text.startswith(("&&", "||"), source.at):
            source.fail("an operator is missing within `[[ … ]]`")
            break
        source.at += 2
    if depth and not source.stuck:
        source.fail("a parenthesis is not closed within `[[ … ]]`")
    return tuple(words)


def _openings(source: Source, depth: int) -> int:
    """Go over what may stand before a term."""
    while True:
        char = source.blanks()
        if char == "(":
            depth += 1
            source.at += 1
        elif char == "\n" or (char == "!" and source.text[source.at + 1] in " \t\n("):
            source.at += 1
        else:
            return depth


def _closings(source: Source, depth: int) -> int:
    while source.blanks() == ")" and depth:
        depth -= 1
        source.at += 1
    return depth


def _term(source: Source, words: list[Word]) -> None:
    first = _operand(source, words)
    if source.stuck or _ended(source):
        return
    unary = _literal(first) in _UNARY
    operator = _operator(source)
    if operator:
        if unary:
            source.problem(source.at, source.at + 1, "an operator where an operand is expected", DIALECT)
        _operand(source, words) if operator not in "<>" else _comparison(source, words)
        source.blanks()
        if operator == "=~":
            _regex(source, words)
        else:
            _operand(source, words, read_words.PATTERN)
    elif unary:
        _operand(source, words)
    else:
        source.fail("an operator is missing within `[[ … ]]`")


def _ended(source: Source) -> bool:
    char = source.blanks()
    return char == ")" or source.text.startswith(("&&", "||"), source.at) or source.peek() == "]]"


def _operator(source: Source) -> str:
    text, at = source.text, source.at
    if text[at] in "<>":
        return text[at] if text[at + 1] != "(" else ""
    end = at
    while text[end] not in BREAK:
        end += 1
    return text[at:end] if text[at:end] in _BINARY else ""


def _comparison(source: Source, words: list[Word]) -> None:
    from ringfence.shell.read_pieces import text_part
    from ringfence.value import build

    at = source.at
    span = source.span(at, at + 1)
    source.at = at + 1
    words.append(build(Word, {"span": span, "parts": (text_part(span, source.text[at], False),)}))


def _operand(source: Source, words: list[Word], kind: str = read_words.VALUE) -> Word:
    source.blanks()
    at = source.at
    if source.peek() == "]]":
        source.fail("an operand is missing within `[[ … ]]`")
    found = read_words.word(source, kind)
    if source.at == at and not source.stuck:
        source.fail("an operand is missing within `[[ … ]]`")
    words.append(found)
    return found


def _literal(word: Word) -> str:
    part = word.parts[0] if len(word.parts) == 1 else None
    return part.value if isinstance(part, Text) and not part.quoted else ""


def _regex(source: Source, words: list[Word]) -> None:
    """Read a regular expression: parentheses in it may hold blanks and operators."""
    start, depth, text = source.at, 0, source.text
    pieces = Pieces(source)
    while not source.stuck:
        run = at = source.at
        while text[at] not in _REGEX_STOP:
            at += 1
        if at > run:
            pieces.text(run, at, text[run:at], quoted=False)
        source.at = at
        char = text[at]
        if char == "\0" or (not depth and char in " \t\n;&)"):
            break
        depth += (char == "(") - (char == ")")
        _regex_piece(source, pieces, char)
    if source.at == start or depth:
        source.fail("a regular expression that does not end")
    words.append(pieces.word(start, source.at))


def _regex_piece(source: Source, pieces: Pieces, char: str) -> None:
    if read_expansions.quoting(source, pieces, char):
        return
    at = source.at
    source.at = at + 1
    if char in "<>;&":
        source.problem(at, at + 1, "an operator within a regular expression", DIALECT)
    pieces.text(at, at + 1, char, quoted=False)
