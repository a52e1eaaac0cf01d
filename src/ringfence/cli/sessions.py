"""`ringfence sessions`: the copies of projects that sessions left, listed or removed."""

import sys
import time

from ringfence.audit import prune
from ringfence.canonical import encode
from ringfence.cli import options
from ringfence.cli.options import Option
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.subject import duration
from ringfence.workspace import overlay
from ringfence.workspace.overlay import Listed

USAGE = (
    "ringfence sessions [--json] | ringfence sessions remove [ID … | --older DURATION]"
    " | ringfence sessions prune [--older DURATION | --keep DURATION]"
)
ABOUT = (
    "List the sessions that left a copy of a project with changes in it, or remove such copies for good.\n"
    "A session is named by its id, by the beginning of one, or as `last`. Its log stays.\n"
    "`prune` removes the logs and plans of old sessions that left no copy; this happens by itself once a\n"
    "day for what is older than a year, or than what `prune --keep` said last."
)
_LIST = (Option(name="--json", help="as JSON"),)
_REMOVE = (
    Option(name="--older", value="DURATION", help="remove, prune: all that is longer ago, such as 7d"),
)
_PRUNE = (
    *_REMOVE,
    Option(name="--keep", value="DURATION", help="prune: keep records so long from now on, or `forever`"),
)
_HELP = Option(name="--help", help="this text")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_SIZES = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def main(arguments: list[str]) -> int:
    """List or remove."""
    given = options.read(arguments, (*_LIST, _HELP), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, (*_LIST, *_PRUNE)))
        return 0
    host = probe.host()
    if not given.rest:
        return _list(host, as_json="--json" in given.switches)
    if given.rest[0] == "prune" and not given.switches:
        return _prune(list(given.rest[1:]), host)
    if given.rest[0] != "remove" or given.switches:
        raise UsageError(f"`ringfence sessions` knows no `{given.rest[0]}`", hint=f"usage: {USAGE}")
    return _remove(list(given.rest[1:]), host)


def _list(host: Host, *, as_json: bool) -> int:
    found = overlay.listed(host.state_dir)
    if as_json:
        print(encode([_plain(one) for one in found]))
        return 0
    if not found:
        print("no session has left changes")
        return 0
    rows = [("id", "state", "age", "files", "size", "workspace"), *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*cells, row[5])))
    return 0


def _plain(one: Listed) -> dict[str, object]:
    layers = one.layers
    return {
        "id": layers.session,
        "workspace": layers.workspace,
        "state": _state(one),
        "started": layers.started // 1_000_000_000,
        "files": one.entries,
        "size": one.size,
        "kind": layers.kind,
    }


def _state(one: Listed) -> str:
    return "running" if one.running else "ended"


def _row(one: Listed) -> tuple[str, str, str, str, str, str]:
    layers = one.layers
    shown = layers.workspace
    if not shown.isprintable():
        shown = shown.encode("unicode_escape", "backslashreplace").decode()
    return layers.session, _state(one), _age(layers.started), str(one.entries), _size(one.size), shown


def _age(started: int) -> str:
    seconds = max(0, int(time.time()) - started // 1_000_000_000)
    return next((f"{seconds // unit}{letter}" for unit, letter in _UNITS if seconds >= unit), f"{seconds}s")


def _size(count: int) -> str:
    return next((f"{count / unit:.0f}{letter}" for unit, letter in _SIZES if count >= unit), str(count))


def _remove(words: list[str], host: Host) -> int:
    given = options.read(words, (*_REMOVE, _HELP), USAGE)
    older = given.one("--older")
    if bool(older) == bool(given.rest):
        raise UsageError("name the sessions to remove, or say how old with --older", hint=f"usage: {USAGE}")
    if older:
        return _remove_older(older, host)
    for layers in [overlay.find(host.state_dir, name) for name in given.rest]:
        overlay.remove(layers)
        print(f"removed {layers.session}")
    return 0


def _remove_older(text: str, host: Host) -> int:
    limit = time.time_ns() - int(_seconds("--older", text) * 1e9)
    for one in overlay.listed(host.state_dir):
        if one.layers.started < limit and not one.running:
            overlay.remove(one.layers)
            print(f"removed {one.layers.session}")
    return 0


def _seconds(option: str, text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}", hint="write 7d, 12h or 30m") from None


def _prune(words: list[str], host: Host) -> int:
    given = options.read(words, (*_PRUNE, _HELP), USAGE)
    older, keep = given.one("--older"), given.one("--keep")
    if given.rest or (older and keep):
        raise UsageError("`prune` takes --older or --keep, and no names", hint=f"usage: {USAGE}")
    if keep:
        prune.keep(host.state_dir, None if keep == prune.FOREVER else _seconds("--keep", keep))
        return 0
    limit = _seconds("--older", older) if older else prune.kept(host.state_dir)
    if limit is None:
        raise UsageError("records are kept forever", hint="say how old those are that may go: --older 30d")
    done = prune.prune(host.state_dir, limit)
    print(f"pruned the records of {len(done.removed)} session{'s' * (len(done.removed) != 1)}")
    for session in done.changed:
        print(f"left {session}: its log is not as it was written (ringfence log {session} --verify)")
    return 1 if done.changed else 0
