"""Package managers, task runners and build tools.

Installing a package or running a task of the project runs code that the arguments do not show. Rules such
as `npm run *` say just that, so it is no finding; what is one is an option that brings another program,
another folder or another configuration into it, and a runner such as `npx` that a rule has to spell.
"""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import part
from ringfence.shell.programs.draft import OPTION, Draft
from ringfence.shell.programs.managers import Manager
from ringfence.shell.programs.packagedata import MANAGERS
from ringfence.shell.programs.tooldata import TOOLS
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
    end = _options(draft, words, manager)
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
    for word in words[at:end] if manager.assigns else ():
        _assigned(draft, word)
    for word in words[at + 1 : end]:
        if word.certainty == KNOWN and "://" in word.text and not word.text.startswith("-"):
            draft.endpoint(word)


_PROGRAMS = frozenset(
    """SHELL .SHELLFLAGS MAKE MAKEFLAGS GNUMAKEFLAGS MAKEFILES CC CXX CPP LD AR AS NM RANLIB STRIP FC LEX
    YACC PYTHON
    PERL INSTALL RM CARGO GO NODE NPM MAKESHELL MFLAGS OBJCOPY PKG_CONFIG""".split()
)


def _assigned(draft: Draft, word: Value) -> None:
    """Note a variable of make's that names a program, or that make is to evaluate."""
    name, equals, value = word.text.partition("=")
    if not equals or word.text.startswith("-"):
        return
    if name.rstrip(":+?!") in _PROGRAMS:
        draft.finding("option-runs-program", "", word)
        draft.scripts.append(part(word, len(name) + 1))
    elif name.endswith("!") or "$(" in value or "${" in value:
        draft.finding("interpreter-code", "evaluates what a variable is set to", word)


def _verb(words: "Sequence[Value]", manager: Manager) -> tuple[Value | None, int]:
    at = 0
    while at < len(words):
        text = words[at].text
        if not text.startswith(("-", "+")) or words[at].certainty != KNOWN:
            return words[at], at
        at += 2 if text in manager.values else 1
    return None, at


def _options(draft: Draft, words: "Sequence[Value]", manager: Manager) -> int:
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
    """Note what a runner runs: what stands behind `--`, behind `-c`, or from its first operand on."""
    place = at + 1
    if words[at].text == "tool":  # `uv tool run x`
        if place >= len(words) or words[place].text != "run":
            return
        place += 1
    draft.runner = True
    ends = next((here for here in range(place, len(words)) if words[here].text == "--"), -1)
    texts = _scripts(draft, words[place : ends if ends >= 0 else len(words)], manager)
    place = _first(words, manager, place) + manager.skips if ends < 0 else ends + 1
    if place < len(words):
        draft.literal = 0 if texts else place + 2
        draft.run(words[place:])


def _scripts(draft: Draft, words: "Sequence[Value]", manager: Manager) -> bool:
    """Note texts for a shell behind options such as `-c`, and say whether there are any."""
    found = False
    for at, word in enumerate(words):
        name, equals, text = word.text.partition("=")
        if name not in manager.scripts:
            continue
        found = draft.runner = True
        if equals:
            draft.script(part(word, len(word.text) - len(text)))
        elif at + 1 < len(words):
            draft.script(words[at + 1])
            draft.run(words[at + 1 :] if len(words) > at + 2 else ())
    return found


def _direct(manager: Manager) -> "object":
    """Return what reads `npx`, `uvx`, `bunx`: no verb, the command stands behind the options."""

    def look(draft: Draft) -> None:
        words = draft.arguments
        _options(draft, words[: _first(words, manager) + 1], manager)
        place = _first(words, manager)
        texts = _scripts(draft, words[:place], manager)
        if place < len(words):
            draft.runner = True
            draft.literal = 0 if texts else place + 2
            draft.run(words[place:])

    return look


def _first(words: "Sequence[Value]", manager: Manager, at: int = 0) -> int:
    """Return the place of the first operand."""
    while at < len(words) and words[at].text.startswith("-") and words[at].certainty == KNOWN:
        if words[at].text == "--":
            return at + 1
        at += 2 if words[at].text in manager.values else 1
    return at


PROGRAMS = {
    name: (_direct(one) if one.alone else _look(one))
    for names, one in (*MANAGERS, *TOOLS)
    for name in names.split()
}
