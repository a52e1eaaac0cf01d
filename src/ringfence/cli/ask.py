"""Asking about changes one by one: whole files and folders, or a text's hunks, as `git add -p` does.

    y  take this           n  leave it           q  leave it and all that follow
    a  take the rest of this file                d  leave the rest of this file
    s  take the hunk apart                       ?  say this

What is dangerous is shown with its reasons; a `y` to it is the approval that it needs.
"""

import sys

from ringfence.value import Struct
from ringfence.workspace import selection
from ringfence.workspace.content import Content, Contents
from ringfence.workspace.finding import Finding
from ringfence.workspace.layers import ADDED, CHANGED, DELETED, DIRECTORY, FILE, OTHER, Change
from ringfence.workspace.review import lines, text, unified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AROUND = lines.CONTEXT
HELP = (__doc__ or "").partition("\n\n")[2].partition("\n\nWhat")[0]


class Answers(Struct):
    """What a person said yes to."""

    picked: frozenset[bytes] = frozenset()
    contents: dict[bytes, bytes] = {}  # noqa: RUF012 - never changed; where only some hunks were taken
    folders: frozenset[bytes] = frozenset()  # above those: what was said of them was shown with the question


class Hunk(Struct):
    """Some of a text's edits, shown together."""

    units: tuple[lines.Hunk, ...]  # each without context


class Asker:
    """One round of questions."""

    def __init__(
        self, ask: "Callable[[str], str]", contents: Contents, findings: dict[bytes, tuple[Finding, ...]]
    ) -> None:
        self._ask, self._contents, self._findings = ask, contents, findings
        self._over = False
        self._picked: set[bytes] = set()
        self._partly: dict[bytes, bytes] = {}

    def about(self, changes: tuple[Change, ...]) -> Answers:
        """Ask about each change; return what is to be applied."""
        with_content = {one.path.rpartition(b"/")[0] for one in changes}
        folders = [one for one in changes if _follows(one, with_content)]
        for change in changes:
            if not self._over and change not in folders and not _is_never(change):
                self._one(change)
        for change in folders:  # goes with what was in it; `selection` keeps one in which something stays
            if not self._over and change.kind == DELETED:
                self._picked.add(change.path)
        above = frozenset(folder for path in self._picked for folder in selection.above(path))
        return Answers(picked=frozenset(self._picked), contents=self._partly, folders=above)

    def _one(self, change: Change) -> None:
        own = {finding.why for finding in self._findings.get(change.path, ())}
        for path in (*reversed(tuple(selection.above(change.path))), change.path):
            for finding in self._findings.get(path, ()):
                if path == change.path or finding.why not in own:
                    place = f" line {finding.line}" if finding.line else ""
                    print(f"! {text.shown_path(path)}{place}: {finding.why}")
        if change.conflict:
            print(f"! {text.shown_path(change.path)}: CONFLICT, cannot be applied: {change.conflict}")
            return
        content = self._contents.of(change)
        units = _units(change, content)
        if units:
            self._hunks(change, content, units)
        else:
            self._whole(change, content)

    def _whole(self, change: Change, content: Content) -> None:
        for _, line in unified.lines(change, content):
            print(line)
        answer = self._answer(f"apply this {_what(change)} [y,n,q,?]? ", "ynq")
        if answer == "y":
            self._picked.add(change.path)

    def _hunks(self, change: Change, content: Content, units: list[lines.Hunk]) -> None:
        before = lines.split(content.before or b"")
        todo, taken = _grouped(units), list[lines.Hunk]()
        while todo:
            hunk, *todo = todo
            self._show(change, before, hunk)
            more = "s," if len(hunk.units) > 1 else ""
            answer = self._answer(f"apply this hunk [y,n,q,a,d,{more}?]? ", "ynqad" + more[:1])
            if answer == "s":
                todo = [Hunk(units=(unit,)) for unit in hunk.units] + todo
            elif answer in {"y", "a"}:
                taken += hunk.units
                taken += [unit for other in todo for unit in other.units] if answer == "a" else []
            if answer in {"a", "d", "q"}:
                break
        self._take(change, content, units, taken)

    def _take(
        self, change: Change, content: Content, units: list[lines.Hunk], taken: list[lines.Hunk]
    ) -> None:
        if not taken:
            return
        self._picked.add(change.path)
        if len(taken) < len(units):
            self._partly[change.path] = lines.patched(content.before or b"", taken)

    def _show(self, change: Change, before: list[bytes], hunk: Hunk) -> None:
        print(f"--- {text.shown_path(change.path)}")
        for sign, line in _with_context(before, hunk):
            shown, kinds = text.shown(line.removesuffix(b"\n"))
            print(sign + shown)
            if kinds:
                print(f"# the line above is shown escaped: {', '.join(sorted(kinds))}")

    def _answer(self, question: str, allowed: str) -> str:
        while True:
            try:
                answer = self._ask(question).strip().lower()
            except EOFError:
                answer = "q"
            if len(answer) == 1 and answer in allowed:
                self._over = self._over or answer == "q"
                return answer
            print(HELP)


def person(question: str) -> str:
    """Ask whoever sits at the terminal."""
    sys.stdout.write(question)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _follows(change: Change, with_content: set[bytes]) -> bool:
    """Tell whether a folder is decided by what is in it: nothing to ask about."""
    sides = {side.kind for side in (change.before, change.after) if side is not None}
    if sides != {DIRECTORY}:
        return False
    return change.kind == DELETED or (change.kind == ADDED and change.path in with_content)


def _is_never(change: Change) -> bool:
    return change.after is not None and change.after.kind == OTHER


def _what(change: Change) -> str:
    side = change.after or change.before
    kind = "thing" if side is None else side.kind
    return f"deletion of a {kind}" if change.kind == DELETED else f"{kind} ({change.kind})"


def _units(change: Change, content: Content) -> list[lines.Hunk]:
    """Return the single edits of a text that can be taken one by one; none where it goes as a whole."""
    sides = (change.before, change.after)
    if change.kind != CHANGED or any(side is None or side.kind != FILE for side in sides):
        return []
    if content.before is None or content.after is None or unified.summed_up(content):
        return []
    return content.hunks(0)


def _removed(unit: lines.Hunk) -> int:
    return sum(sign == "-" for sign, _ in unit.lines)


def _grouped(units: list[lines.Hunk]) -> list[Hunk]:
    groups: list[list[lines.Hunk]] = []
    for unit in units:
        last = groups[-1][-1] if groups else None
        if last is not None and unit.old - (last.old + _removed(last)) <= 2 * _AROUND:
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return [Hunk(units=tuple(group)) for group in groups]


def _with_context(before: list[bytes], hunk: Hunk) -> "Iterator[tuple[str, bytes]]":
    at = max(0, hunk.units[0].old - _AROUND)
    for unit in hunk.units:
        for line in before[at : unit.old]:
            yield " ", line
        yield from unit.lines
        at = unit.old + _removed(unit)
    for line in before[at : at + _AROUND]:
        yield " ", line
