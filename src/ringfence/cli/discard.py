"""`ringfence discard`: throw changes of a session away."""

import sys

from ringfence.cli import ask
from ringfence.cli.which import session_and_paths
from ringfence.deeds import DISCARD, on_record, paths_told
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.workspace import changes, discard, overlay, selection
from ringfence.workspace.review.text import shown_path
from ringfence.workspace.selection import Wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_MOST_NAMED = 20


def main(arguments: list[str]) -> int:
    """Show what goes, ask, remove."""
    options = _parser().parse_intermixed_args(arguments)
    host = probe.host()
    layers, paths = session_and_paths(host, options.words, outside=options.git)
    found = changes.read(layers)
    going = tuple(
        one for one in found if not paths or any(selection.is_meant(path, one.path) for path in paths)
    )
    if paths:
        selection.choose(found, Wanted(paths=paths, risky=True), {})  # each path names something
    for one in going[:_MOST_NAMED]:
        print(f"{one.kind:<8} {shown_path(one.path)}")
    if len(going) > _MOST_NAMED:
        print(f"and {len(going) - _MOST_NAMED} more")
    what = f"{len(going)} change{'s' * (len(going) != 1)} of session {layers.session}"
    if not options.yes and not _agreed(what):
        print("nothing is discarded")
        return 1
    with on_record(host, DISCARD, layers, **paths_told(tuple([one.path for one in going]))):
        if paths or options.git:
            discard.discard(layers, going)
        else:
            overlay.remove(layers)
    print(f"discarded {what}")
    return 0


def _parser() -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(
        prog="ringfence discard",
        usage="ringfence discard [--yes] [--git] [SESSION] [PATH …]",
        description="Throw changes of a session away, for good: all of them with the copy, or some paths.",
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", metavar="SESSION|PATH", help="as for `ringfence apply`")
    parser.add_argument("--git", action="store_true", help="what git wrote outside of a linked worktree")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser


def _agreed(what: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody to ask here", hint="`ringfence discard --yes` discards without asking")
    return ask.person(f"discard {what} for good? [y/N] ").strip().lower() in {"y", "yes"}
