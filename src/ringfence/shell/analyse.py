"""From a text to the facts that rules speak of.

`shell.read` says how the text is read, `shell.walk` finds every command in it and follows the shell's state,
`shell.programs` says what each program does with its arguments. Nothing here asks the machine: where a fact
needs the file system, the caller holds the paths against it. Whatever happens on the way, a text has an
analysis; what could not be worked out is a finding, and a finding is never allowed.
"""

from ringfence.shell.facts import Analysis, Command, Finding
from ringfence.shell.read import read
from ringfence.shell.state import State
from ringfence.shell.syntax import Problem, Reading
from ringfence.shell.walk import Walk


def analyse(
    text: str, *, shell: str = "bash", folder: str | None = None, home: str | None = None
) -> Analysis:
    """Return everything that a text would do; `folder` and `home` are absolute where they are known."""
    try:
        reading = read(text, shell)
    except Exception as error:  # noqa: BLE001 - no text may make a decision fail: what raises is not understood
        problem = Problem(span=(0, len(text)), reason=_reason(error), risk="syntax")
        reading = Reading(text=text, shell=shell, script=None, problems=(problem,))
    return facts(reading, folder=folder, home=home)


def facts(reading: Reading, *, folder: str | None = None, home: str | None = None) -> Analysis:
    """Return what a text would do that has been read."""
    start = folder if folder is not None and folder.startswith("/") else None
    state = State(start)
    walk = Walk(reading.text, reading.shell, state.folders[0] or ".", home)
    try:
        walk.script(reading.script, state)
    except Exception as error:  # noqa: BLE001 - as above
        risk = "size" if isinstance(error, RecursionError) else "syntax"
        walk.find(risk, (0, len(reading.text)), _reason(error))
    commands: list[Command] = sorted(walk.commands, key=_place)
    findings: list[Finding] = sorted(walk.findings.values(), key=_place)
    return Analysis(reading=reading, commands=tuple(commands), findings=tuple(findings))


def _place(item: Command | Finding) -> tuple[int, int]:
    """Return where something stands."""
    return item.span


def _reason(error: Exception) -> str:
    """Say that something of ours failed."""
    return f"This text could not be worked out ({type(error).__name__}): a fault in the analysis."
