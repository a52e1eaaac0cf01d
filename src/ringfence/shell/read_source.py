"""Where a reading stands in its text, and how it says what it cannot read.

Bash takes every backslash with a newline behind it out of the text before it looks for words (in
shell_getc), but for single quotes, comments and here-documents whose delimiter is quoted. So a source
holds the text without them, and remembers where they were: `cuts`. The few places that see the raw text
ask for it (`raw`). Offsets are led back to the text as written by `places`.

A reading never raises. What it cannot read is a problem; then the source stands at its end, all that is
under way comes home with what it has, and `read` goes on behind the place.
"""

from bisect import bisect_left, bisect_right

from ringfence.shell.syntax import Problem, Script, Step
from ringfence.value import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ringfence.shell.syntax import Span

_AHEAD = 100_000  # characters that may be looked at in advance, in all: keeps the reading linear
_ANEW_MOST = 100  # times that a reading begins anew behind what it cannot read
DEEPEST = 50  # nested structures of any kind; ten frames each stay far below Python's own limit
_END = "\0\0\0\0"  # behind the text, so that nobody has to look whether there is a next character

_ANEW = frozenset("\n;&|(){}`\"'")
_NOTHING: frozenset[str] = frozenset()

BLANK = frozenset(" \t")
BREAK = frozenset(" \t\n;&|<>()\0")  # ends a token; `<` and `>` do not where `(` follows

NAME_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
NAME = NAME_START | frozenset("0123456789")

SYNTAX, SIZE, DIALECT, CONTINUATION = "syntax", "size", "dialect", "continuation"


class Source:
    """A text, and where its reading stands."""

    def __init__(
        self,
        text: str,
        shell: str,
        problems: "list[Problem]",
        script: "Callable[[Source, frozenset[str]], Script]",
    ) -> None:
        self.original = text
        self.places: list[int] | None = None
        self.cuts: list[int] = []
        self.base = 0
        if "\0" in text:
            text = text.replace("\0", "\ufffd")
        if "\\\n" in text:
            text, self.places, self.cuts = _folded(text)
        self.joined = self._doubtful(text)
        self.end = len(text)
        self.text = text + _END
        self.at = 0
        self.shell = shell
        self.problems = problems
        self.script = script
        self.depth = 0
        self.ahead = [_AHEAD]
        self.no_bracket = 0  # before here no `]` closes a pattern
        self.stuck = False
        self.broke = 0  # where it got stuck
        self.unread: list[str] = []  # what was given up
        self.pending: list[tuple[dict[str, Any], bool, str]] = []  # here-documents whose text is to come

    def _doubtful(self, text: str) -> list[int]:
        """Return where a continued line joins what does not stand apart anyway."""
        places = self.places or []
        return [places[cut] for cut in self.cuts if not _apart(text[cut - 1 : cut], text[cut : cut + 1])]

    def child(self, start: int, end: int) -> "Source":
        """Return a source for a piece of this one, read by itself."""
        made = Source("", self.shell, self.problems, self.script)
        made.original = self.original
        made.text, made.end = self.text[start:end] + _END, end - start
        made.places = self.places[start : end + 1] if self.places else None
        made.base = self.base + start
        made.joined = self.joined
        made.ahead, made.unread = self.ahead, self.unread
        cuts = self.cuts[bisect_left(self.cuts, start) : bisect_right(self.cuts, end)]
        made.cuts = [cut - start for cut in cuts]
        made.depth = self.depth
        return made

    def unescaped(self, text: str, places: "list[int]") -> "Source":
        """Return a source for the content of backquotes, its own escapes removed."""
        made = Source(text, self.shell, self.problems, self.script)
        made.original = self.original
        if made.places is None:
            made.places = [self.place(one) for one in places]
        else:
            made.places = [self.place(places[one]) for one in made.places]
        made.ahead, made.unread = self.ahead, self.unread
        made.depth = self.depth
        return made

    def place(self, at: int) -> int:
        """Return where a character stands in the text as written."""
        return self.places[at] if self.places else self.base + at

    def span(self, start: int, end: int) -> "Span":
        """Return a span of the text as written."""
        start, end = min(start, self.end), min(end, self.end)
        if not self.places:
            return (self.base + start, self.base + end)
        return (self.places[start], self.places[end - 1] + 1 if end > start else self.places[start])

    def raw(self, start: int, end: int) -> str:
        """Return what a context sees that keeps a backslash and a newline as they are."""
        cuts = self.cuts[bisect_left(self.cuts, start) : bisect_right(self.cuts, end)]
        if not cuts:
            return self.text[start:end]
        pieces = []
        for cut in cuts:
            if self.joined and self.place(cut) in self.joined:  # nothing is joined where it stays as it is
                self.joined.remove(self.place(cut))
            pieces += [self.text[start:cut], "\\\n"]
            start = cut
        return "".join([*pieces, self.text[start:end]])

    def cut_within(self, start: int, end: int) -> int | None:
        """Return the first place where a continued line was joined, or None."""
        found = bisect_right(self.cuts, start)
        return self.cuts[found] if found < len(self.cuts) and self.cuts[found] <= end else None

    def problem(self, start: int, end: int, reason: str, risk: str = SYNTAX) -> None:
        """Note why a piece is not certain, and read on."""
        if not self.stuck and len(self.problems) < 200:
            given = {"span": self.span(start, max(start, min(end, self.end))), "reason": reason, "risk": risk}
            self.problems.append(build(Problem, given))

    def fail(self, reason: str, risk: str = SYNTAX, at: int | None = None) -> None:
        """Note why nothing can be read from here on, and stand at the end."""
        if self.stuck:
            return
        place = self.at if at is None else at
        self.problem(min(place, self.end), place + 1, reason, risk)
        self.stuck, self.broke = True, place
        self.at = self.end

    def only(self, shells: str, start: int, end: int, what: str) -> None:
        """Note what other shells than these read in another way."""
        if self.shell not in shells.split():
            self.problem(start, end, f"{what} is not the same in every {self.shell}", DIALECT)

    def may_look(self, at: int) -> bool:
        """Say whether more may be looked at in advance."""
        if self.ahead[0] > 0:
            return True
        self.problem(at, at + 1, "so tangled that it takes too long to read", SIZE)
        return False

    def looked(self, start: int, end: int) -> None:
        """Count what was looked at in advance."""
        self.ahead[0] -= end - start

    def deeper(self) -> bool:
        """Enter a nested structure, or say that there are too many."""
        self.depth += 1
        if self.depth <= DEEPEST:
            return True
        self.fail(f"nested more than {DEEPEST} deep", SIZE)
        return False

    def blanks(self) -> str:
        """Go to the next character that is no blank, and return it."""
        text, at = self.text, self.at
        while text[at] in BLANK:
            at += 1
        self.at = at
        return text[at]

    def whole(self) -> Script:
        """Read all of it. Behind what cannot be read the reading begins anew, so that nothing goes unseen."""
        steps: list[Step] = []
        begun = self.depth
        for _ in range(_ANEW_MOST):
            steps += self.script(self, _NOTHING).steps
            if not self.stuck:
                if self.pending:
                    self.problem(self.end - 1, self.end, "a here-document without its lines")
                break
            at = self.broke + 1
            while at < self.end and self.text[at] not in _ANEW:
                at += 1
            if at >= self.end:
                break
            self.at, self.stuck, self.depth, self.pending = at + 1, False, begun, []
        else:
            self.unread.append(self.text[self.at : self.end])
        return build(Script, {"span": self.span(0, self.end), "steps": tuple(steps)})

    def comment(self) -> None:
        """Go to the end of a comment. A backslash does not continue it."""
        start = self.at
        end = self.text.find("\n", start)
        end = self.end if end < 0 else end
        cut = self.cut_within(start, end)
        self.at = end if cut is None else cut
        if cut is not None:
            reason = "a comment ends with its line, whatever stands at the end of that"
            self.problem(start, cut, reason, CONTINUATION)
        self.only("bash sh", start, self.at, "a comment")

    def peek(self) -> str:
        """Return the unquoted word at this place, if it is one of plain letters; `at` stays."""
        text, at = self.text, self.at
        end = at
        while text[end] not in _NOT_RESERVED:
            end += 1
        return text[at:end] if text[end] in BREAK else ""


_NOT_RESERVED = frozenset(" \t\n;&|<>()\0'\"`$\\*?~#/-=:.,+@")


def _apart(before: str, behind: str) -> bool:
    """Say whether two characters would be two tokens anyway."""
    if before in " \t\n" or behind in " \t\n":  # or there is none
        return True
    return (before in ";|&({" and behind not in ";|&<>(") or (behind in ";|&)" and before not in ";|&<>$(")


def _folded(text: str) -> tuple[str, list[int], list[int]]:
    """Take continued lines out: the text, where its characters were, and where something is gone."""
    kept: list[str] = []
    places: list[int] = []
    cuts: list[int] = []
    start = length = 0
    at = text.find("\\\n")
    while at >= 0:
        first = at
        while first > start and text[first - 1] == "\\":
            first -= 1
        if (at - first) % 2:  # an escaped backslash, and a newline of its own
            at = text.find("\\\n", at + 1)
            continue
        kept.append(text[start:at])
        places.extend(range(start, at))
        length += at - start
        cuts.append(length)
        start = at + 2
        at = text.find("\\\n", start)
    kept.append(text[start:])
    places.extend(range(start, len(text) + 1))
    return "".join(kept), places, cuts
