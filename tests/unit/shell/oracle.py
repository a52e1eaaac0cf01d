"""Asks the real shell what a script runs, with which arguments, and says what our reading makes of it.

Every program is unknown to that shell (its PATH is empty), so each call ends in `command_not_found_handle`,
which writes its arguments down and does nothing. Substitutions come out empty, globs find no file.
"""

import os
import subprocess

from ringfence.shell.read import read
from ringfence.shell.syntax import Brace, Glob, Parameter, Simple, Substitution, Text, Tilde

PRELUDES = {
    "bash": """
command_not_found_handle() { local IFS=; printf '%s\\0' "$#" "$@" >&19; return 0; }
exec 19>>"$LOG"
""",
    "zsh": """
setopt nonomatch
command_not_found_handler() { print -rNu $LOGGED -- "$#" "$@"; return 0; }
exec {LOGGED}>>"$LOG"
""",
}
HOME = "/home/someone"
VARIABLES = {"v": "value", "w": "two words", "e": ""}
_REFUSED = (
    b"syntax error",
    b"unexpected EOF",
    b"bad substitution",
    b"parse error",
    b"unmatched",
    b"bad pattern",
)


def run(script: str, folder: str, shell: str = "bash") -> list[list[str]] | None:
    """Return every command that a shell ran in a folder, or None where it refused the script."""
    aside = f"{folder}.aside"
    os.makedirs(aside, exist_ok=True)
    for name in os.listdir(folder):  # what an earlier script wrote would match this one's globs
        os.unlink(os.path.join(folder, name))
    log, prelude = os.path.join(aside, "log"), os.path.join(aside, ".zshenv")
    if os.path.exists(log):
        os.unlink(log)
    with open(prelude, "w") as file:
        file.write(PRELUDES[shell])
    environment = {"PATH": "/nonexistent", "HOME": HOME, "LC_ALL": "C.UTF-8", "LOG": log, **VARIABLES}
    environment |= {"BASH_ENV": prelude, "ZDOTDIR": aside}
    try:
        done = subprocess.run(
            [f"/bin/{shell}", "-c", script],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if any(words in done.stderr for words in _REFUSED):
        return None
    return _calls(log)


def _calls(log: str) -> list[list[str]]:
    with open(log, "rb") as file:
        written = file.read().decode("utf-8", "surrogateescape").split("\0")[:-1]
    calls, at = [], 0
    while at < len(written):
        count = int(written[at])
        calls.append(written[at + 1 : at + 1 + count])
        at += 1 + count
    return calls


def unclaimed(script: str, folder: str, shell: str = "bash") -> list[list[str]]:
    """Return what a shell ran that our reading, which is certain, does not say. Empty: all is well."""
    mine = claims(read(script, shell).script)
    ran = run(script, folder, shell) or []
    return [] if None in mine else [call for call in ran if call not in mine]


def accepted(script: str, shell: str = "bash") -> bool:
    """Say whether a shell finds the grammar of a script right."""
    done = subprocess.run(
        [f"/bin/{shell}", "-n", "-c", script], capture_output=True, timeout=5, check=False,
        env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return done.returncode == 0 and b"here-document" not in done.stderr


def fields(word) -> list[str] | None:
    """Return what a word comes to in that bash, or None where we do not claim to know."""
    choices = [("", not word.parts)]
    for part in word.parts:
        found = _part(part)
        if found is None:
            return None
        kept = getattr(part, "quoted", False)
        choices = [(left + right, stays or kept or also) for left, stays in choices for right, also in found]
    return [text for text, stays in choices if text or stays]


def _part(part) -> list[tuple[str, bool]] | None:
    """Return what a part may come to, each with whether it stays a word where it is empty."""
    if isinstance(part, Text):
        return [(part.value, part.quoted)]
    if isinstance(part, Glob):
        return [(part.text, True)]
    if isinstance(part, Tilde):
        return [(HOME, True)] if not part.user else None
    if isinstance(part, Substitution):
        return [("", True)] if part.quoted and part.kind in ("command", "backquote") else None
    if (
        isinstance(part, Parameter)
        and part.quoted
        and not part.operation
        and not part.indirect
        and not part.length
    ):
        return [(VARIABLES[part.name], True)] if part.name in VARIABLES else None
    if isinstance(part, Brace) and part.inner:
        return _brace(part)
    return None


def _brace(part) -> list[tuple[str, bool]] | None:
    found = []
    for word in part.inner:
        choices = [("", False)]
        for one in word.parts:
            some = _part(one)
            if some is None:
                return None
            choices = [(left + right, stays or also) for left, stays in choices for right, also in some]
        found += choices
    return found


def simples(node) -> list[Simple]:
    """Return every simple command below a node of the tree."""
    found, left = [], [node]
    while left:
        one = left.pop()
        if isinstance(one, Simple):
            found.append(one)
        if isinstance(one, (tuple, list)):
            left.extend(one)
        elif hasattr(one, "__fields__"):
            left.extend(one.__dict__.values())
    return found


def claims(script) -> list[list[str] | None]:
    """Return the arguments of every command of a tree; None for one that is not certain."""
    made = []
    for one in simples(script):
        if not one.words:
            continue
        words = [fields(word) for word in one.words]
        made.append(None if None in words else [text for some in words for text in some])
    return made


def certain(text: str, shell: str = "bash"):
    """Return the tree of a text that has no problem, else None."""
    reading = read(text, shell)
    return reading.script if not reading.problems else None
