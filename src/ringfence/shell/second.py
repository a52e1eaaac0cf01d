"""Reads a text a second time, with tree-sitter's grammar of bash, and compares what the two readings found.

Our own reader and that grammar were written by different people in different ways, so where both find the
same commands, words, substitutions and redirections at the same places, neither is likely to have been led
astray. Compared are places, not meanings: the beginnings of commands, the extent of every word and
assignment, where substitutions and redirections begin. What the grammar is known to see in another shape
(`_words_of`: targets that swallow arguments, `time` as a command) is brought into ours first. Anything else
that differs is a problem, and the words that only the second reading takes for commands are given to the
rules that deny.
"""

import time

from ringfence.shell.syntax import (
    Arithmetic,
    Assignment,
    Brace,
    Compound,
    Parameter,
    Pipeline,
    Problem,
    Redirect,
    Script,
    Simple,
    Step,
    Substitution,
    Text,
    Word,
)
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tree_sitter import Language, Node

    from ringfence.shell.syntax import Span

RISK = "disagreement"
LONGEST = 10_000  # of what is read a second time: what is longer is asked about anyway
_LONGEST_DOUBTFUL = 2_000  # where the first reading has problems: so will this one, and errors take it long
_SHORT = 500  # characters that take no time whatever they are
_PATIENCE = 0.03  # seconds of this thread's own time: the grammar's parser is slow where it finds errors

_SUBSTITUTIONS = frozenset(["command_substitution", "process_substitution"])
_COMMANDS = frozenset(["command", "declaration_command", "unset_command"])
_REDIRECTS = frozenset(["file_redirect", "herestring_redirect", "heredoc_redirect"])
_NO_WORDS = _REDIRECTS | {"variable_assignment", "comment", "subshell"}
_LITERALS = frozenset(
    [
        *("word", "number", "string", "raw_string", "ansi_c_string", "translated_string", "concatenation"),
        *("simple_expansion", "expansion", "command_substitution", "process_substitution"),
        *("arithmetic_expansion", "brace_expression", "extglob_pattern"),
    ]
)
_INSIDE: dict[type, tuple[str, ...]] = {
    Script: ("steps",),
    Step: ("pipeline",),
    Pipeline: ("commands",),
    Simple: ("assignments", "words", "redirects"),
    Compound: ("bodies", "words", "redirects"),
    Assignment: ("value", "items", "index"),
    Redirect: ("target", "body"),
    Word: ("parts",),
    Parameter: ("inner",),
    Arithmetic: ("inner",),
    Brace: ("inner",),
    Substitution: ("script",),
}


class Skeleton:
    """Where things stand in a text."""

    def __init__(self) -> None:
        self.commands: set[int] = set()
        self.words: set[Span] = set()
        self.assignments: set[int] = set()
        self.substitutions: set[int] = set()
        self.redirects: set[int] = set()


class Second(Struct):
    """What came of the second reading."""

    problems: tuple[Problem, ...] = ()
    seen: tuple[str, ...] = ()


def compare(text: str, script: Script, *, certain: bool) -> Second:
    """Read a text again; where the first reading is not certain, to see what it may have missed."""
    if len(text) > (LONGEST if certain else _LONGEST_DOUBTFUL):
        return _none(text, "too long for a second reading")
    try:
        root = _parsed(text)
    except ImportError:
        return _none(text, "tree-sitter and tree-sitter-bash are not installed: there is no second reading")
    except ValueError:  # what the parser says when it is stopped
        return _none(text, "the second reading takes too long")
    theirs = _Theirs(text)
    theirs.walk(root)
    ours = Skeleton()
    _ours(script, ours)
    found = _problems(text, root, ours, theirs) if certain else ()
    return Second(problems=found, seen=_unseen(text, ours, theirs) if found or not certain else ())


def _none(text: str, reason: str) -> Second:
    return Second(problems=(Problem(span=(0, len(text)), reason=reason, risk=RISK),))


def _parsed(text: str) -> "Node":
    import tree_sitter
    import tree_sitter_bash

    if not _language:
        _language.append(tree_sitter.Language(tree_sitter_bash.language()))
    source = _source(text)
    parser = tree_sitter.Parser(_language[0])
    if len(source) <= _SHORT:
        return parser.parse(source).root_node
    end = time.thread_time() + _PATIENCE
    tree = parser.parse(lambda at, _: source[at:], progress_callback=lambda *_: time.thread_time() > end)
    return tree.root_node


_language: "list[Language]" = []


# --- our own reading


def _ours(script: Script, found: Skeleton) -> None:
    left: list[object] = [script]
    while left:
        one = left.pop()
        if isinstance(one, tuple):
            left.extend(one)
            continue
        kind = type(one)
        if kind is Simple:
            _simple(one, found)  # type: ignore[arg-type] # it is one
        elif kind is Assignment:
            found.assignments.add(one.span[0])  # type: ignore[attr-defined] # it has one
        elif kind is Substitution:
            found.substitutions.add(one.span[0])  # type: ignore[attr-defined] # it has one
        elif kind is Redirect:
            found.redirects.add(one.span[0])  # type: ignore[attr-defined] # it has one
        for name in _INSIDE.get(kind, ()):
            value = one.__dict__[name]
            if value:
                left.append(value)


def _simple(one: Simple, found: Skeleton) -> None:
    if not one.words:
        return
    found.commands.add(one.words[0].span[0])
    first = one.words[0].parts
    if len(first) == 1 and isinstance(first[0], Text) and first[0].value == "[":
        return  # a test to the grammar, which takes its words for an expression
    found.words.update(word.span for word in one.words)


# --- the grammar's reading


class _Theirs(Skeleton):
    """What the grammar found, brought into the shape of ours."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._source = _source(text)

    def _span(self, node: "Node") -> "Span":
        """Return where a node stands; the grammar has blanks at the front of some."""
        start, end = node.start_byte, node.end_byte
        while start < end and self._source[start] in b" \t\n":
            start += 1
        return start, end

    def walk(self, root: "Node") -> None:
        """Note everything below a node."""
        left = [root]
        while left:
            node = left.pop()
            children = node.children
            if not children:
                continue
            left.extend(children)
            kind = node.type
            if kind in _COMMANDS:
                self._command(node, children)
            elif kind in _REDIRECTS:
                self._redirect(node, children)
            elif kind in _SUBSTITUTIONS:
                self.substitutions.add(self._span(node)[0])
            elif kind == "test_command" and children[0].type == "[":
                self.commands.add(self._span(node)[0])
            elif kind == "variable_assignment":
                parent = node.parent
                if parent is None or parent.type != "declaration_command":
                    self.assignments.add(self._span(node)[0])

    def _command(self, node: "Node", children: "list[Node]") -> None:
        words = [self._span(one) for one in children if one.type not in _NO_WORDS]
        if node.type == "declaration_command":
            words += [self._span(one) for one in children if one.type == "variable_assignment"]
        if not words:
            return
        words = sorted(words)
        if self._text[words[0][0] : words[0][1]] == "time":  # a reserved word, to a shell
            words = words[1:]
            if words and self._text[words[0][0] : words[0][1]] == "-p":
                words = words[1:]
        if words:
            self.commands.add(words[0][0])
            self.words.update(words)

    def _redirect(self, node: "Node", children: "list[Node]") -> None:
        self.redirects.add(self._span(node)[0])
        literals = [one for one in children if one.type in _LITERALS]
        if node.type != "heredoc_redirect":
            literals = literals[1:]  # the target; the grammar takes all that follows for more of them
        self.words.update(self._span(one) for one in literals)


def _source(text: str) -> bytes:
    """Return the text with a letter for each character beyond ASCII, so that bytes count as characters.

    To a shell they are the same: characters of words. The grammar's C code, though, damages memory where it
    meets some beyond U+FFFF (tree-sitter-bash 0.25.1: the interpreter crashes some thousand texts later).
    """
    if text.isascii():
        return text.encode()
    return "".join([char if char < "\x80" else "x" for char in text]).encode()


# --- the difference


def _problems(text: str, root: "Node", ours: Skeleton, theirs: Skeleton) -> tuple[Problem, ...]:
    if root.has_error:
        reason = "the second reading finds no sense in it"
        return (Problem(span=(0, len(text)), reason=reason, risk=RISK),)
    found = []
    for name in ("commands", "assignments", "substitutions", "redirects"):
        differ = getattr(ours, name) ^ getattr(theirs, name)
        found += [_problem((at, at + 1), name) for at in sorted(differ)[:3]]
    differ = {span for span in ours.words ^ theirs.words if not _lost_dash(text, span)}
    return tuple(found + [_problem(span, "words") for span in sorted(differ)[:3]])


def _lost_dash(text: str, span: "Span") -> bool:
    """Say whether a word is a `-` before a here-document, which the grammar leaves out of its tree."""
    start, end = span
    return text[start:end] == "-" and text[end : end + 8].lstrip(" \t").startswith("<<")


def _problem(span: "Span", what: str) -> Problem:
    return Problem(span=span, reason=f"two readings find different {what} here", risk=RISK)


FRONT = 1000  # characters of a word that may name a program; what is nested in it stands by itself
_BARE = dict.fromkeys(map(ord, "'\"\\\n"))


def _unseen(text: str, ours: Skeleton, theirs: Skeleton) -> tuple[str, ...]:
    """Return the words that only the second reading found, bare of quotes and backslashes."""
    words = (text[start : min(end, start + FRONT)] for start, end in sorted(theirs.words - ours.words))
    return tuple(dict.fromkeys(word.translate(_BARE) for word in words))
