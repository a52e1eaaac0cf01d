"""Notes which expansions not every shell, or not every version of one, takes in the same way."""

from ringfence.shell.read_source import DIALECT, NAME, Source

_TRANSFORMS = frozenset("UuLQEPAKak")


def check_operation(source: Source, start: int, operation: str, *, bare: bool) -> None:
    """Note operations that not every shell of this name knows, or that are none."""
    if not operation:
        if not bare:
            source.only("bash zsh", start, source.at, "what `${…}` does here")
        return
    kind = operation[operation.index("]") + 1 :] if operation[0] == "[" and "]" in operation else operation
    known = kind == "" or kind[0] in "-+=?#%" or (kind[0] == ":" and kind[1:2] in tuple("-+=?"))
    if operation[0] == "[" or not known or not bare:
        source.only("bash", start, source.at, "what `${…}` does here")
    if known or kind[0] in ":/^,":
        return
    transform = kind[0] == "@" and len(kind) == 2 and kind[1] in _TRANSFORMS
    prefix = not bare and kind in ("*", "@")
    if not (transform or prefix):
        source.problem(start, source.at, f"no operation that is known: `{kind[:20]}`")


def check_special(source: Source, at: int, char: str) -> None:
    """Note what stands behind a one-character name."""
    behind = source.text[at + 2]
    if behind.isdigit() and char.isdigit():
        source.problem(
            at, at + 3, f"`${char}` ends before the next digit in one shell and not in another", DIALECT
        )
    elif source.shell == "zsh":
        if char == "#" and behind in NAME:
            source.problem(at, at + 3, "`$#` with a name behind it", DIALECT)
        check_behind(source, at, at + 2)


def check_behind(source: Source, start: int, at: int) -> None:
    """Note what zsh takes for more of a reference: a subscript, a modifier, letters beyond ASCII."""
    char, second = source.text[at], source.text[at + 1]
    if char == "[" or char >= "\x80" or (char == ":" and (second.isalpha() or second == "&")):
        source.problem(start, at + 1, "a subscript, a modifier or more of the name behind it", DIALECT)
