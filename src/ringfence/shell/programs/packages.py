"""Package managers, task runners and build tools.

Installing a package or running a task of the project runs code that the arguments do not show. Rules such
as `npm run *` say just that, so it is no finding; what is one is an option that brings another program,
another folder or another configuration into it, and a runner such as `npx` that a rule has to spell.
"""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.programs.draft import OPTION, Draft
from ringfence.shell.programs.packagedata import BUILDERS, MANAGERS, Manager
from ringfence.shell.programs.wrappers import INPUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def _look(manager: Manager) -> "object":
    def look(draft: Draft) -> None:
        _manager(draft, manager)

    return look


def _manager(draft: Draft, manager: Manager) -> None:
    """Read a program whose first operand is a verb, with options anywhere."""
    words = draft.arguments
    verb, at = _verb(words, manager)
    end = _options(draft, words, manager, runs=verb is not None and verb.text in manager.runs)
    if verb is None:
        return
    if at > 0:
        draft.canonical = (Value(text=draft.program, span=draft.invocation.span), *words[at:])
    if verb.certainty != KNOWN:
        draft.uncertain(verb)
        return
    if verb.text in manager.findings:
        risk, reason = manager.findings[verb.text]
        draft.finding(risk, reason, verb)
    if verb.text in manager.runs:
        _runs(draft, words, at, manager)
    elif verb.text in manager.reads:
        draft.each([word for word in words[at + 1 : end] if not word.text.startswith("-")], "read")
    elif verb.text in manager.writes:
        draft.each([word for word in words[at + 1 : end] if not word.text.startswith("-")], "out")
    for word in words[at + 1 : end]:
        if word.certainty == KNOWN and "://" in word.text and not word.text.startswith("-"):
            draft.endpoint(word)


def _verb(words: "Sequence[Value]", manager: Manager) -> tuple[Value | None, int]:
    at = 0
    while at < len(words):
        text = words[at].text
        if not text.startswith(("-", "+")) or words[at].certainty != KNOWN:
            return words[at], at
        at += 2 if text in manager.values else 1
    return None, at


def _options(draft: Draft, words: "Sequence[Value]", manager: Manager, *, runs: bool) -> int:
    """Note options that matter, wherever they stand before `--`; return where they end."""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word.certainty != KNOWN:
            if word.text != INPUT:  # what `xargs` adds are names, for a script that a rule has named
                draft.uncertain(word)
            continue
        text = word.text
        if text == "--" and not runs:
            return at - 1
        if text == "--":
            return at - 1
        name, equals, _ = text.partition("=")
        reason = manager.risky.get(name)
        if reason is None and not equals and len(text) > 2 and text[0] == "-" and text[1] != "-":
            reason = manager.risky.get(text[:2]) if text[:2] in manager.clusters else None
        if reason is not None:
            draft.finding(manager.risk, reason, word)
        if text in manager.values:
            at += 1
        if name in manager.files and at <= len(words):
            value = Value(text=text[len(name) + 1 :], span=word.span) if equals else words[at - 1]
            draft.read(value, OPTION)
    return len(words)


def _runs(draft: Draft, words: "Sequence[Value]", at: int, manager: Manager) -> None:
    """Note what a runner runs: its first operand and all that follows; `-c` is a text for a shell."""
    verb = words[at]
    place = at + 1
    if verb.text in manager.direct:  # the verb itself is the command: `npx tsc`
        place = at
    while place < len(words) and words[place].text.startswith("-") and words[place].certainty == KNOWN:
        text = words[place].text
        name, equals, _ = text.partition("=")
        if name in manager.scripts:
            value = Value(text=text[len(name) + 1 :], span=words[place].span) if equals else None
            if value is None and place + 1 < len(words):
                value = words[place + 1]
            if value is not None:
                draft.script(value)
            draft.runner = True
            return
        place += 2 if text in manager.values else 1
        if text == "--":
            break
    draft.runner = True
    if place < len(words):
        draft.literal = place + 2
        draft.run(words[place:])


def _direct(manager: Manager) -> "object":
    """Return what reads `npx`, `uvx`, `bunx`: no verb, the command stands behind the options."""

    def look(draft: Draft) -> None:
        words = draft.arguments
        _options(draft, words[: _first(words, manager) + 1], manager, runs=True)
        place = _first(words, manager)
        for at, word in enumerate(words[:place]):
            name, equals, _ = word.text.partition("=")
            if name in manager.scripts:
                value = Value(text=word.text[len(name) + 1 :], span=word.span) if equals else None
                value = value or (words[at + 1] if at + 1 < len(words) else None)
                if value is not None:
                    draft.script(value)
        if place < len(words):
            draft.runner = True
            draft.literal = place + 2
            draft.run(words[place:])

    return look


def _first(words: "Sequence[Value]", manager: Manager) -> int:
    at = 0
    while at < len(words) and words[at].text.startswith("-") and words[at].certainty == KNOWN:
        if words[at].text == "--":
            return at + 1
        at += 2 if words[at].text in manager.values else 1
    return at


PROGRAMS = {name: (_direct(one) if one.alone else _look(one)) for names, one in (*MANAGERS, *BUILDERS) for name in names.split()}
