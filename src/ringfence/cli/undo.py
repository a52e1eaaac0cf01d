"""`ringfence undo`: take the last apply of a session back."""

import sys

from ringfence.cli.which import session_and_paths
from ringfence.deeds import UNDO, on_record
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.workspace import overlay, undo
from ringfence.workspace.layers import Layers

HELP = """\
usage: ringfence undo [--git] [SESSION]

Restore exactly what the last apply of a session replaced. What was changed since is never overwritten:
then nothing is restored, and what is in the way is named. Without a session, the last apply in this
project. With --git, of what git wrote outside of a linked worktree.
"""


def main(arguments: list[str]) -> int:
    """Undo; say what was restored."""
    if arguments and arguments[0] in {"-h", "--help"}:
        sys.stdout.write(HELP)
        return 0
    words = tuple(word for word in arguments if word != "--git")
    host = probe.host()
    outside = "--git" in arguments
    layers, paths = session_and_paths(host, words, outside=outside)
    if not words and not outside:
        layers = _last_applied(host, layers)
    if paths or any(word.startswith("-") for word in words):
        raise UsageError("`ringfence undo` takes a session and nothing else", hint=HELP.partition("\n")[0])
    with on_record(host, UNDO, layers) as told:
        count = undo.undo(layers)
        told["paths"] = count
    print(f"restored {count} path{'s' * (count != 1)}; the changes are still in session {layers.session}")
    return 0


def _last_applied(host: Host, last: Layers) -> Layers:
    """Return the session that was applied last to the same project; where none was, the last one."""
    about = [one.layers for one in overlay.listed(host.state_dir) if one.layers.workspace == last.workspace]
    found = max(about, key=undo.applied, default=last)
    return found if undo.applied(found) else last
