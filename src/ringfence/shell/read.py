"""Reads a command as the shell would, and says what is not certain about that.

Three things are asked of a text: whether its characters mean the same to everyone (`characters`), what our
own strict reader makes of it (`read_*`), and whether an independent parser finds the same commands in it
(`second`). What any of them objects to is a problem, and a text with a problem is never allowed. Nothing
raises, whatever the text: a reader that fails would otherwise decide by accident.
"""

from ringfence.shell import characters, read_commands, read_zsh, second
from ringfence.shell.read_source import CONTINUATION, DIALECT, SIZE, SYNTAX, Source
from ringfence.shell.syntax import Problem, Reading, Script

CERTAIN = 10_000  # characters; what is longer is read, and asked about
LONGEST = 100_000  # what stands behind is not read at all
OPERATORS, BLANKS = 800, 3000  # more than a text has that somebody could answer for
SHELLS = frozenset(["bash", "sh", "zsh"])
_SPLIT = str.maketrans(dict.fromkeys("\n\t\r\0 ;&|<>()`$\"'{},=", " "))
_JOINED = str.maketrans(dict.fromkeys("\"'\\", ""))
_ALIASES = {"dash": "sh", "ash": "sh"}


def read(text: str, shell: str = "bash") -> Reading:
    """Read a text."""
    shell = _ALIASES.get(shell, shell)
    if shell not in SHELLS:
        reason = f"no reader for the language of {shell[:40]!r}"
        problem = Problem(span=(0, len(text)), reason=reason, risk=DIALECT)
        return Reading(text=text, shell=shell, script=None, problems=(problem,))
    problems: list[Problem] = []
    _characters(text, problems)
    script, unread = None, [text]
    try:
        if _crowded(text):
            reason = "there are more commands, words or redirections than are looked at"
            problems.append(Problem(span=(0, len(text)), reason=reason, risk=SIZE))
        else:
            script, unread = _script(text, shell, problems)
    except RecursionError:
        problems.append(Problem(span=(0, len(text)), reason="nested too deeply", risk=SIZE))
    except Exception as error:  # noqa: BLE001 - our own fault must not become a decision
        reason = f"the reader failed: {type(error).__name__}"
        problems.append(Problem(span=(0, len(text)), reason=reason, risk=SYNTAX))
    seen = _crude(" ".join(unread)) if unread else ()
    if script is not None:
        again = _again(text, script, certain=not problems)
        if problems and again.problems:  # it came to nothing
            seen += _crude(text)
        else:
            problems += again.problems
            seen += again.seen
    return Reading(text=text, shell=shell, script=script, problems=tuple(problems), seen=seen)


def _crowded(text: str) -> bool:
    """Say whether reading a text would take longer than an answer may: by counting, before it is read."""
    return sum(map(text.count, ";\n|&<>`")) > OPERATORS or text.count(" ") > BLANKS


def _characters(text: str, problems: list[Problem]) -> None:
    if len(text) > CERTAIN:
        reason = f"longer than {CERTAIN:,} characters"
        problems.append(Problem(span=(CERTAIN, len(text)), reason=reason, risk=SIZE))
    if text[:1] in ("-", "+"):
        problems.append(
            Problem(span=(0, 1), reason="a shell would take this for its own option", risk=SYNTAX)
        )
    for start, end, reason in characters.refused(text[:LONGEST])[:20]:
        problems.append(Problem(span=(start, end), reason=reason, risk="characters"))


def _script(text: str, shell: str, problems: list[Problem]) -> tuple[Script, list[str]]:
    source = Source(text[:LONGEST], shell, problems, read_commands.script)
    script = source.whole()
    if shell == "zsh":
        problems += read_zsh.problems(script)
    for place in source.joined[:20]:
        reason = "a line is continued in the middle of a word or an operator"
        problems.append(Problem(span=(place - 2, place), reason=reason, risk=CONTINUATION))
    return script, [*source.unread, *([text[LONGEST:]] if len(text) > LONGEST else ())]


def _again(text: str, script: Script, *, certain: bool) -> second.Second:
    """Read the text a second time, by another's grammar."""
    try:
        return second.compare(text, script, certain=certain)
    except Exception as error:  # noqa: BLE001 - as above
        reason = f"the second reader failed: {type(error).__name__}"
        return second.Second(problems=(Problem(span=(0, len(text)), reason=reason, risk=second.RISK),))


def _crude(text: str) -> tuple[str, ...]:
    """Return everything that may be a word, of what nobody read: for the rules that deny."""
    bare = text.translate(_JOINED)
    return tuple(dict.fromkeys([*text.translate(_SPLIT).split(), *bare.translate(_SPLIT).split()]))
