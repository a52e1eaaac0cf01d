"""Reads a program of `awk` for what it does besides printing: commands, files, the environment, extensions.

The reader knows tokens, not the grammar, and what a piece could be otherwise counts against the program:
where `/` may be a division or the start of an expression and the program holds anything dangerous at all,
it is not certain. `>` is a redirection in a print statement, outside parentheses, and a comparison elsewhere.
"""

import re

from ringfence.shell.programs.draft import NOWHERE

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\\\r?\n) | (?P<end>[\n;{}]) | (?P<comment>\#[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\.|\\\n)*")
    | (?P<number>0[xX][0-9a-fA-F]+ | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)?)
    | (?P<operator>\|&|\|\||&&|>>|>=|<=|==|!=|!~|\+\+|--|\*\*=?|[-+*/%^]=|[-+*%^!<>|?:~$=,()\[\]@&])
    | (?P<slash>/)""",
    re.VERBOSE | re.DOTALL,
)
_EXPRESSION = re.compile(r"/(?:[^\\/\n\[]|\\.|\[\^?\]?(?:[^\]\\\n]|\\.)*\])*/", re.DOTALL)
_PLAIN_EXPRESSION = re.compile(r"/(?:[^\\/\n]|\\.)*/", re.DOTALL)
_DANGER = re.compile(r"\bsystem\b|\bgetline\b|\|(?!\|)|@|>|\bENVIRON\b|/inet")
_PRINTS = frozenset({"print", "printf"})
_WORDS = frozenset("print printf return in case getline else do".split())  # behind which a value begins
_STRANGE = frozenset("@ |& ".split())
_OPEN, _CLOSE = frozenset("(["), frozenset(")]")


class Program:
    """What a program does besides printing."""

    __slots__ = ("reads", "reasons", "runs", "writes")

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.writes: list[str] = []
        self.runs: list[str] = []
        self.reasons: list[str] = []  # why it is a risk

    def reason(self, text: str) -> None:
        """Note a reason, once."""
        if text not in self.reasons:
            self.reasons.append(text)


def read(text: str) -> Program:
    """Read a program."""
    program = Program()
    tokens, doubtful = _tokens(text)
    if tokens is None:
        program.reason("is not understood")
        tokens = []
        doubtful = True
    if doubtful and _DANGER.search(text):
        program.reason("may start programs or write files, as far as it can be read")
    _statements(tokens, program)
    return program


def _tokens(text: str) -> "tuple[list[tuple[str, str]] | None, bool]":
    """Split a program into tokens; say whether a `/` could be read in two ways."""
    found: list[tuple[str, str]] = []
    doubtful = False
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None, True
        kind, piece = match.lastgroup or "", match.group()
        if kind == "slash" or piece == "/=":
            expression = None if _ends_value(found) else _EXPRESSION.match(text, at)
            if expression is None:
                doubtful = True
                found.append(("operator", "/"))
                at += 1
                continue
            plain = _PLAIN_EXPRESSION.match(text, at)
            doubtful = doubtful or plain is None or plain.end() != expression.end()
            found.append(("expression", expression.group()))
            at = expression.end()
            continue
        if kind not in {"space", "comment"}:
            found.append((kind, piece))
        at = match.end()
    return found, doubtful


def _ends_value(found: "list[tuple[str, str]]") -> bool:
    """Say whether a value may just have ended, so that `/` divides."""
    if not found:
        return False
    kind, piece = found[-1]
    if kind == "name":
        return piece not in _WORDS
    return kind in {"string", "number", "expression"} or piece in {")", "]", "$", "++", "--"}


def _statements(tokens: "list[tuple[str, str]]", program: Program) -> None:
    printing = False
    depth = 0
    for at, (kind, piece) in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
        if kind == "end":
            printing, depth = False, 0
        elif kind == "name":
            if piece in _PRINTS:
                printing, depth = True, 0
            _name(piece, tokens, at, program)
        elif piece in _OPEN:
            depth += 1
        elif piece in _CLOSE:
            depth -= 1
        elif piece in {"|", "|&"}:
            _pipe(tokens, at, program)
        elif piece in {">", ">>"} and printing and depth <= 0:
            _output(tokens, at, program)
        elif piece == "@":
            program.reason("loads or calls something by name")
        elif kind == "string" and after[1] not in {"", ")"} and "/inet" in piece:
            program.reason("opens a network connection")
        if kind == "string" and piece.startswith(('"/inet', '"/inet4', '"/inet6')):
            program.reason("opens a network connection")


def _name(piece: str, tokens: "list[tuple[str, str]]", at: int, program: Program) -> None:
    after = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
    if piece == "system":
        program.reason("runs a command (`system`)")
        argument = tokens[at + 2 : at + 4]
        if after[1] == "(" and len(argument) == 2 and argument[0][0] == "string" and argument[1][1] == ")":
            program.runs.append(_string(argument[0][1]))
    elif piece == "getline":
        _getline(tokens, at, program)
    elif piece in {"ENVIRON", "PROCINFO", "SYMTAB", "FUNCTAB"}:
        program.reason(f"uses {piece}")
    elif piece in {"ARGV", "ARGC"} and _assigned(tokens, at):
        program.reason(f"changes what it reads ({piece})")


def _assigned(tokens: "list[tuple[str, str]]", at: int) -> bool:
    """Say whether a variable, or an element of it, is changed somewhere behind its name."""
    rest = [piece for _, piece in tokens[at + 1 : at + 12]]
    return any(piece in {"=", "++", "--", "+=", "-="} for piece in rest) or tokens[at - 1][1] in {
        "++",
        "--",
        "delete",
    }


def _pipe(tokens: "list[tuple[str, str]]", at: int, program: Program) -> None:
    program.reason("runs a command (`|`)")
    before, after = tokens[at - 1], tokens[at + 1] if at + 1 < len(tokens) else ("", "")
    side = before if after[1] == "getline" else after
    if side[0] == "string":
        program.runs.append(_string(side[1]))


def _getline(tokens: "list[tuple[str, str]]", at: int, program: Program) -> None:
    for ahead in range(at + 1, min(at + 4, len(tokens))):
        if tokens[ahead][1] == "<":
            value = tokens[ahead + 1] if ahead + 1 < len(tokens) else ("", "")
            then = tokens[ahead + 2] if ahead + 2 < len(tokens) else ("end", "")
            if value[0] == "string" and (then[0] == "end" or then[1] in {")", "&&", "||", ">", "<", "=="}):
                program.reads.append(_string(value[1]))
            else:
                program.reason("reads a file whose name it makes up")
            return


def _output(tokens: "list[tuple[str, str]]", at: int, program: Program) -> None:
    value = tokens[at + 1] if at + 1 < len(tokens) else ("", "")
    then = tokens[at + 2] if at + 2 < len(tokens) else ("end", "")
    if value[0] == "string" and then[0] == "end":
        name = _string(value[1])
        if name in NOWHERE:
            return
        program.writes.append(name)
    program.reason("writes a file")


def _string(piece: str) -> str:
    return re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.DOTALL)
