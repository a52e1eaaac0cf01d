"""`ringfence undo`: take the last apply of a session back."""

import sys

from ringfence.cli.which import session_and_paths
from ringfence.deeds import UNDO, on_record
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.workspace import undo

HELP = """\
usage: ringfence undo [--git] [SESSION]

Restore exactly what the last apply of a session replaced. What was changed since is never overwritten:
then nothing is restored, and what is in the way is named. Without a session, the last of this project.
With --git, of what git wrote outside of a linked worktree.
"""


def main(arguments: list[str]) -> int:
    """Undo; say what was restored."""
    if arguments and arguments[0] in {"-h", "--help"}:
        sys.stdout.write(HELP)
        return 0
    words = tuple(word for word in arguments if word != "--git")
    host = probe.host()
    layers, paths = session_and_paths(host, words, outside="--git" in arguments)
    if paths or any(word.startswith("-") for word in words):
        raise UsageError("`ringfence undo` takes a session and nothing else", hint=HELP.partition("\n")[0])
    with on_record(host, UNDO, layers) as told:
        count = undo.undo(layers)
        told["paths"] = count
    print(f"restored {count} path{'s' * (count != 1)}; the changes are still in session {layers.session}")
    return 0
