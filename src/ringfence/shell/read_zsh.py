"""Finds in a tree what zsh takes in another way than the shells whose grammar it was read by.

What has a syntax of its own fails the strict reader. Left are words: `=name` is the path of a program,
`~name` may be a folder that somebody named, `-` and `repeat` before a command are no commands, `}` closes
a group wherever it stands.
"""

from ringfence.shell.read_source import DIALECT
from ringfence.shell.syntax import Problem, Script, Simple, Text, Tilde, Word
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
        return "`}` closes a group in zsh, wherever it stands" if text == "}" and len(node.parts) == 1 else ""
    if isinstance(node, Tilde) and node.user not in _FOLDERS:
        return "`~name` may be a folder that has this name in zsh"
    if isinstance(node, Simple) and node.words and len(node.words[0].parts) == 1:
        text = _front(node.words[0])
        return f"`{text}` is a word of zsh's own where a command begins" if text in _RESERVED else ""
    return ""


def _front(word: Word) -> str:
    part = word.parts[0] if word.parts else None
    return part.value if isinstance(part, Text) and not part.quoted else ""
