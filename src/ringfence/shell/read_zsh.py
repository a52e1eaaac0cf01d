"""Finds in a tree what zsh takes in another way than the shells whose grammar it was read by.

What has a syntax of its own fails the strict reader. Left are words: `=name` is the path of a program,
`~name` may be a folder that somebody named, `-` and `repeat` before a command are no commands, `}` closes
a group wherever it stands, a redirection without a command runs `cat`.
"""

from ringfence.shell.read_source import DIALECT
from ringfence.shell.syntax import Brace, Problem, Script, Simple, Text, Tilde, Word
from ringfence.value import Struct

_RESERVED = frozenset(["-", "repeat", "foreach", "end", "always"])
_FOLDERS = frozenset(["", "+", "-"])  # tildes that mean the same everywhere


def problems(script: Script) -> list[Problem]:
    """Return what is doubtful anywhere in a tree."""
    found: list[Problem] = []
    left: list[object] = [script]
    while left:
        one = left.pop()
        if isinstance(one, tuple):
            left.extend(one)
        elif isinstance(one, Struct):
            left.extend(value for value in one.__dict__.values() if value.__class__ not in (str, bool))
            reason = _doubt(one)
            if reason:
                found.append(Problem(span=one.span, reason=reason, risk=DIALECT))  # type: ignore[attr-defined] # all nodes have one
    return found[:50]


def _doubt(node: Struct) -> str:
    if isinstance(node, Word):
        text = _front(node)
        if text.startswith("="):
            return "`=name` is the path of a program to zsh"
        return "`}` closes a group in zsh, wherever it stands" if _closes(node) else ""
    if isinstance(node, Brace):
        return "an empty word of braces stays in zsh" if any(not one.parts for one in node.inner) else ""
    if isinstance(node, Tilde) and node.user not in _FOLDERS:
        return "`~name` may be a folder that has this name in zsh"
    if isinstance(node, Simple) and not node.words:
        return "zsh runs `cat` or a pager here" if node.redirects else ""
    if isinstance(node, Simple) and len(node.words[0].parts) == 1:
        text = _front(node.words[0])
        return f"`{text}` is a word of zsh's own where a command begins" if text in _RESERVED else ""
    return ""


def _closes(word: Word) -> bool:
    """Say whether a word has a `}` that it did not open."""
    texts = (part.value for part in word.parts if isinstance(part, Text) and not part.quoted)
    open_ones = 0
    for char in "".join(texts):
        open_ones += (char == "{") - (char == "}")
        if open_ones < 0:
            return True
    return False


def _front(word: Word) -> str:
    part = word.parts[0] if word.parts else None
    return part.value if isinstance(part, Text) and not part.quoted else ""
