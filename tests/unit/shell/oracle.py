"""Asks the real bash what a script runs, with which arguments, and says what our reading makes of it.

Every program is unknown to that bash (its PATH is empty), so each call ends in `command_not_found_handle`,
which writes its arguments down and does nothing. Substitutions come out empty, globs find no file.
"""

import os
import subprocess

from ringfence.shell.read import read
from ringfence.shell.syntax import Brace, Glob, Parameter, Simple, Substitution, Text, Tilde

PRELUDE = """
command_not_found_handle() { local IFS=; printf '%s\\0' "$#" "$@" >&19; return 0; }
exec 19>>"$PWD.log"
"""
HOME = "/home/someone"
VARIABLES = {"v": "value", "w": "two words", "e": ""}


def run(script: str, folder: str) -> list[list[str]] | None:
    """Return every command that bash ran, or None where it refused the script."""
    log = folder + ".log"
    if os.path.exists(log):
        os.unlink(log)
    environment = {
        "PATH": "/nonexistent",
        "HOME": HOME,
        "LC_ALL": "C.UTF-8",
        **VARIABLES,
        "BASH_ENV": folder + ".prelude",
    }
    with open(environment["BASH_ENV"], "w") as file:
        file.write(PRELUDE)
    try:
        done = subprocess.run(
            ["/bin/bash", "--norc", "-c", script],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if (
        b": syntax error" in done.stderr
        or b"unexpected EOF" in done.stderr
        or b"bad substitution" in done.stderr
    ):
        return None
    if not os.path.exists(log):
        return []
    with open(log, "rb") as file:
        fields = file.read().decode("utf-8", "surrogateescape").split("\0")[:-1]
    calls, at = [], 0
    while at < len(fields):
        count = int(fields[at])
        calls.append(fields[at + 1 : at + 1 + count])
        at += 1 + count
    return calls


def accepted(script: str) -> bool:
    """Say whether bash finds the grammar of a script right."""
    done = subprocess.run(
        ["/bin/bash", "--norc", "-n", "-c", script], capture_output=True, timeout=5, check=False,
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
