"""What `ringfence check` shows to people: the verdict, the text with its risky parts underlined, the parse.

Everything of the command is shown escaped: control characters, bidirectional and invisible ones by their
code, so that the terminal shows what the shell would get. Carets stand under the characters they mean,
however wide those are.
"""

from ringfence.shell.facts import KNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ringfence.shell.facts import Command, Value
    from ringfence.verdict.ruling import Ruling, ToolCall

WIDTH = 100  # columns of the command on one line
MOST_COMMANDS = 60
Mark = tuple[int, int, str]  # from, to, reason
_WIDE = ("W", "F")
_VERB = {"read": "reads", "write": "writes", "delete": "deletes", "list": "lists"}


def text(call: "ToolCall", ruling: "Ruling") -> str:
    """Return the whole answer."""
    lines = [f"verdict  {ruling.effect}", f"because  {visible(ruling.reason)}"]
    if ruling.rule is not None:
        lines.append(f"rule     {visible(ruling.rule.text)}  ({ruling.rule.origin or ruling.rule.scope})")
    command = call.input.get("command")
    if ruling.analysis is not None and isinstance(command, str):
        lines += ["", *_marked(command, _marks(ruling))]
        lines += ["", "understood as", *_tree(ruling.analysis.commands)]
    if ruling.unmatched and ruling.effect == "ask":
        lines += ["", "no rule allows", *(f"  {visible(one)}" for one in ruling.unmatched)]
    if ruling.suggestion:
        lines += ["", "these rules would allow it", *(f"  {visible(one)}" for one in ruling.suggestion)]
    return "\n".join(lines) + "\n"


def visible(value: str) -> str:
    """Return a text with everything that a terminal would not show as it is, escaped."""
    return "".join(map(_shown, value))


def _shown(char: str) -> str:
    return char if char.isprintable() else ascii(char)[1:-1]


def _columns(shown: str) -> int:
    if shown.isascii():
        return len(shown)
    import unicodedata  # rare

    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in _WIDE else 1
        for char in shown
    )


def _marks(ruling: "Ruling") -> list[Mark]:
    analysis = ruling.analysis
    problems = analysis.reading.problems if analysis is not None else ()
    found = [(*one.span, one.reason) for one in problems]
    found += [(*one.span, f"{one.reason} [{one.risk}]") for one in ruling.findings]
    return sorted(set(found))


def _marked(command: str, marks: list[Mark]) -> "Iterator[str]":
    """Yield the command's lines, those with something risky underlined, with the reason."""
    start = 0
    for line in command.split("\n"):
        yield from _line(command, start, start + len(line), marks)
        start += len(line) + 1


def _line(command: str, start: int, end: int, marks: list[Mark]) -> "Iterator[str]":
    shown, at, first = "", start, start
    rows: list[tuple[int, int, str]] = []
    while at < end:
        piece = _shown(command[at])
        if _columns(shown + piece) > WIDTH:
            rows.append((first, at, shown))
            shown, first = "", at
        shown += piece
        at += 1
    rows.append((first, end, shown))
    for low, high, row in rows:
        yield f"  {row}"
        for left, right, reason in marks:
            under = _carets(command, low, high, left, max(right, left + 1))
            if under:
                yield f"  {under}" + (f" {visible(reason)}" if left >= low or low == 0 else "")


def _carets(command: str, low: int, high: int, left: int, right: int) -> str:
    left, right = max(left, low), min(right, max(high, low + 1))
    if left >= right or left > high:
        return ""
    before = _columns(visible(command[low:left]))
    width = _columns(visible(command[left:right]))
    return " " * before + "^" * max(1, width)


def _tree(row: "tuple[Command, ...]") -> "Iterator[str]":
    todo = [(command, 1) for command in row[::-1]]
    for count in range(MOST_COMMANDS + 1):
        if not todo:
            break
        if count == MOST_COMMANDS:
            yield f"  … and {len(todo)} more"
            break
        command, depth = todo.pop()
        yield from _command(command, "  " * depth)
        todo += [(inner, depth + 2) for inner in command.runs[::-1]]
    if not row:
        yield "  nothing that runs"


def _command(command: "Command", indent: str) -> "Iterator[str]":
    words = " ".join(map(_word, command.words)) or "no program"
    how = f"  ({command.reached})" if command.reached else ""
    yield f"{indent}{words}{how}"
    for name, value in command.assignments:
        yield f"{indent}  sets      {visible(name)}={_word(value)}"
    for one in command.accesses:
        below = ", and what is below" if one.tree else ""
        by = f" by {one.origin}" if one.origin == "redirection" else ""
        yield f"{indent}  {_VERB.get(one.kind, one.kind):<9} {_word(one.path)}{below}{by}"
    for end in command.endpoints:
        yield f"{indent}  contacts  {_word(end.value)}"
    if command.runs:
        yield f"{indent}  runs"


def _word(value: "Value") -> str:
    shown = visible(value.text)
    if value.certainty != KNOWN:
        return f"⟨{shown}: {value.certainty}⟩"
    plain = bool(shown) and all(char.isalnum() or char in "-_./=:,@%+~^" for char in value.text)
    return shown if plain else "'" + shown.replace("'", "'\\''") + "'"


def shown_words(words: "Iterable[Value]") -> str:
    """Return words on one line."""
    return " ".join(map(_word, words))
