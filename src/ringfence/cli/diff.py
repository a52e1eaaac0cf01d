"""`ringfence diff`: what a session changed in its copy of the project, what is dangerous first.

What was shown in full is written down beside the session; `ringfence apply` applies nothing else.

Exit status: 0 nothing changed, 1 there are changes, 2 the command line is wrong, 125 it could not be read.
"""

import gc
import os
import sys

from ringfence.canonical import encode
from ringfence.cli import git_outside
from ringfence.cli.which import session_and_paths
from ringfence.errors import BoundaryError, UsageError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.subject import file_matches, size
from ringfence.value import replace
from ringfence.workspace import changes, crew, manifest, overlay, trace
from ringfence.workspace import content as reading
from ringfence.workspace.layers import FILE, Change, Layers
from ringfence.workspace.review import machine, report, side, standing, summary, unified, viewer
from ringfence.workspace.review.report import Report
from ringfence.workspace.review.text import shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ringfence.workspace.review.unified import Line

NOTHING, CHANGES = 0, 1
_COLOURS = {
    unified.HEAD: "1", unified.HUNK: "36", unified.ADD: "32", unified.REMOVE: "31", unified.NOTE: "33",
}  # fmt: skip
_PORTION = 8 << 20  # bytes of files whose text is made at once
_WIDTH = 160  # columns of `--side-by-side` where there is no terminal


def main(arguments: list[str]) -> int:
    """Run `ringfence diff`."""
    gc.disable()  # a short life with many small values: collecting costs a tenth of it and frees nothing
    options = _parser().parse_intermixed_args(arguments)
    host = probe.host()
    words = ([options.session] if options.session else []) + options.words
    layers, paths = session_and_paths(host, words)
    contents = reading.Contents(layers, _size(options.max_size))
    try:
        seen = trace.Trace()
        made = report.judge(changes.read(layers, seen), contents)
        chosen = _chosen(made, paths, layers)
        if options.json:
            _write_json(layers, chosen, contents)
        elif options.tool:
            _open_tool(options.tool, host, layers, chosen, contents)
        else:
            _write(_painted_all(options, host, layers, chosen, contents), options, host, layers)
        if not (options.stat or options.names):
            noted = _note_review(layers, made, chosen)
            if contents.largest == reading.LARGEST_SHOWN:  # as an apply would judge
                standing.save(layers, made, seen, shown=noted)
    finally:
        contents.close()
    return CHANGES if chosen.changes else NOTHING


def _parser() -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(
        prog="ringfence diff",
        usage="ringfence diff [OPTION …] [SESSION] [PATH …]",
        description="Show what a session changed: what is dangerous first, then a summary, then each line.",
        epilog="Exit status: 0 nothing changed, 1 changes, 2 wrong usage, 125 it could not be read.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "words", nargs="*", metavar="SESSION|PATH",
        help="a session's id, or its beginning, or `last`; left out, the last of this project; then paths",
    )  # fmt: skip
    parser.add_argument("--session", default="", metavar="ID", help="the session, as an option")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--stat", action="store_true", help="how much changed in each file")
    shape.add_argument("--names", action="store_true", help="one line a change")
    shape.add_argument("--json", action="store_true", help="everything but the lines, as JSON")
    shape.add_argument("-y", "--side-by-side", action="store_true", help="old and new in two columns")
    shape.add_argument("--tool", default="", metavar="COMMAND", help="open each file in a viewer of yours")
    parser.add_argument("--max-size", default="4M", metavar="SIZE", help="sum up larger files (4M)")
    parser.add_argument(
        "--color", default="auto", choices=["auto", "always", "never"], help="auto: on a terminal"
    )
    parser.add_argument("--no-pager", action="store_true", help="write to the terminal at once")
    return parser


# --- what is asked for ---------------------------------------------------------------------------


def _size(text: str) -> int:
    try:
        return size(text)
    except ValueError as error:
        raise UsageError(f"--max-size {text}: {error}") from None


def _chosen(made: Report, paths: tuple[bytes, ...], layers: Layers) -> Report:
    """Return the part of a report that is about these paths."""
    if not paths:
        return made
    kept = tuple(change for change in made.changes if any(_means(path, change) for path in paths))
    for path in paths:
        if not any(_means(path, change) for change in made.changes):
            shown = shown_path(path)
            sys.stderr.write(f"ringfence: nothing changed at {shown} in session {layers.session}\n")
    known = {change.path for change in kept}
    return replace(
        made, changes=kept, findings=tuple(finding for finding in made.findings if finding.path in known)
    )


def _means(path: bytes, change: Change) -> bool:
    for one in (change.path, change.source):
        if one and (not path or one == path or one.startswith(path + b"/")):
            return True
        if one and (b"*" in path or b"?" in path) and file_matches(os.fsdecode(path), os.fsdecode(one)):
            return True
    return False


def _note_review(layers: Layers, made: Report, chosen: Report) -> manifest.Manifest | None:
    """Write down what was shown: nothing else of these paths is applied. What was shown earlier stays.

    Return it, if it is all that there is.
    """
    shown = {change.path for change in chosen.changes}
    earlier = {item.path: item for item in _earlier(layers)}
    kept = tuple(
        change
        for change in made.changes
        if change.path in shown or earlier.get(change.path) == manifest.item(change)
    )
    if not kept:
        return None
    saved = manifest.save(layers, kept)
    return saved if len(kept) == len(made.changes) else None


def _earlier(layers: Layers) -> "tuple[manifest.Item, ...]":
    try:
        found = manifest.load(layers)
    except BoundaryError:  # not ours, or of another session: replaced now
        return ()
    return () if found is None else found.items


# --- showing -------------------------------------------------------------------------------------


def _write_json(layers: Layers, chosen: Report, contents: reading.Contents) -> None:
    head = machine.Head(
        session=layers.session, workspace=layers.workspace, running=overlay.is_running(layers)
    )
    findings = chosen.by_path()
    rows = (machine.change(one, contents.of(one), findings.get(one.path, ())) for one in chosen.changes)
    print(encode(machine.document(head, chosen, rows)))


def _open_tool(given: str, host: Host, layers: Layers, chosen: Report, contents: reading.Contents) -> None:
    """Open each changed file in the operator's viewer; say what it cannot show."""
    words = viewer.command(given, host.path, layers.workspace)
    for number, change in enumerate(chosen.changes, start=1):
        sides = [entry for entry in (change.before, change.after) if entry is not None]
        content = contents.of(change)
        if content.large or any(entry.kind != FILE for entry in sides):
            print(f"not opened: {summary.named(change)} ({change.kind}): look at it without --tool")
            continue
        sys.stdout.flush()
        viewer.open_tool(words, change, content, number)


def _lines(
    options: "argparse.Namespace", layers: Layers, chosen: Report, contents: reading.Contents
) -> "Iterator[Line]":
    """Yield everything, what is dangerous first."""
    if overlay.is_running(layers):
        yield unified.HEAD, f"# session {layers.session} is still running: this may change"
    yield from summary.danger(chosen)
    yield from summary.summary(chosen)
    if apart := git_outside.told(layers):
        yield unified.NOTE, apart
    if options.names:
        yield from summary.names(chosen)
        return
    if options.stat:
        table = summary.Stat()
        for change in chosen.changes:
            table.add(change, contents.of(change))
        yield from table.lines()
        return
    if chosen.changes:
        yield unified.META, ""


def _painted_all(
    options: "argparse.Namespace", host: Host, layers: Layers, chosen: Report, contents: reading.Contents
) -> "Iterator[str]":
    """Yield the text of everything; that of very many changes is made with the help of other processors."""
    coloured = options.color == "always" or (
        options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in host.set_variables
    )
    for kind, text in _lines(options, layers, chosen, contents):
        yield _painted(kind, text, coloured=coloured)
    if options.names or options.stat:
        return
    width = _columns()

    def shown(some: "Sequence[Change]") -> list[str]:
        lines = (
            side.columns(change, contents.of(change), width)
            if options.side_by_side
            else unified.lines(change, contents.of(change))
            for change in some
        )
        return ["".join([_painted(kind, text, coloured=coloured) for one in lines for kind, text in one])]

    for batch in _batches(chosen.changes):
        yield from crew.shared(batch, shown, crew.FEW)


def _batches(changes: "tuple[Change, ...]") -> "Iterator[list[Change]]":
    """Yield changes in portions whose text is held at once."""
    batch: list[Change] = []
    room = _PORTION
    for change in changes:
        batch.append(change)
        room -= sum(
            min(one.size, reading.LARGEST_SHOWN) for one in (change.before, change.after) if one is not None
        )
        if room < 0:
            yield batch
            batch, room = [], _PORTION
    if batch:
        yield batch


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return _WIDTH


def _write(painted: "Iterator[str]", options: "argparse.Namespace", host: Host, layers: Layers) -> None:
    """Write to standard output, through the operator's pager where that is a terminal."""
    terminal = sys.stdout.isatty()
    words = _pager(host, layers) if terminal and not options.no_pager else []
    if words:
        viewer.page(words, painted)
        return
    out = sys.stdout
    if hasattr(out, "reconfigure"):  # a name or a line may hold what the locale has no bytes for
        out.reconfigure(errors="backslashreplace", newline="\n")
    out.writelines(painted)
    out.flush()


def _pager(host: Host, layers: Layers) -> list[str]:
    given = probe.settings(("PAGER",)).get("PAGER", "")
    if given:
        return viewer.command(given, host.path, layers.workspace)
    found = viewer.find(viewer.PAGER, host.path, layers.workspace)
    return [found] if found else []


def _painted(kind: str, text: str, *, coloured: bool) -> str:
    colour = _COLOURS.get(kind) if coloured else None
    if colour is None or not text:
        return text + "\n"
    body = text.removesuffix("\r")
    return f"\x1b[{colour}m{body}\x1b[m{text[len(body) :]}\n"
