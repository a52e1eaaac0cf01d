"""`ringfence apply`: take changes of a session over into the project."""

import gc
import os
import sys

from ringfence.cli import git_outside
from ringfence.cli.which import session_and_paths
from ringfence.deeds import APPLY, on_record, paths_told
from ringfence.errors import BoundaryError, HostError, UsageError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.value import replace
from ringfence.workspace import apply, manifest, selection
from ringfence.workspace.automatic import APPLIED, CONFLICT, LEFT
from ringfence.workspace.layers import Change, Layers
from ringfence.workspace.manifest import Manifest
from ringfence.workspace.review import report, standing
from ringfence.workspace.review.report import Report
from ringfence.workspace.review.standing import Standing
from ringfence.workspace.review.text import shown_path
from ringfence.workspace.selection import Selection, Wanted
from ringfence.workspace.source import Differs
from ringfence.workspace.stage import Chosen, permissions
from ringfence.workspace.steps import Moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ringfence.cli import ask

NOT_APPLIED = 1
_MOST_NAMED = 20


def main(arguments: list[str]) -> int:
    """Read, choose, ask, apply."""
    gc.disable()  # a short life with many small values: collecting costs a tenth of it and frees nothing
    options = _parser().parse_intermixed_args(arguments)
    host = probe.host()
    layers, paths = session_and_paths(host, options.words, outside=options.git)
    finished = _finish(layers, options)
    if finished is not None:
        return finished
    found = _standing(layers, options)
    if found is not None:
        try:
            return _run(host, layers, paths, found, options)
        except (Differs, Moved):  # nothing was applied; what else is different, reading tells
            standing.discard(layers)
    return _run(host, layers, paths, Standing(report=_report(layers, options), reviewed=None), options)


def _run(
    host: Host, layers: Layers, paths: tuple[bytes, ...], found: Standing, options: "argparse.Namespace"
) -> int:
    made = found.report
    if not made.changes:
        print(f"session {layers.session} has no changes that are not applied")
        if not options.git and (apart := git_outside.told(layers)):
            print(apart)
        return APPLIED
    wanted = Wanted(paths=paths, leave=_leave(host, layers, options), risky=options.include_risky)
    contents: dict[bytes, bytes] = {}
    if options.interactive:
        answers = _interview(layers, selection.choose(made.changes, wanted, {}).changes, made)
        approved = answers.picked | answers.folders
        wanted = Wanted(picked=answers.picked, approved=approved, risky=options.include_risky)
        contents = answers.contents
    chosen = selection.choose(made.changes, wanted, _reasons(made))
    return _apply(layers, found, chosen, contents, options)


def _parser() -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(
        prog="ringfence apply",
        usage="ringfence apply [OPTION …] [SESSION] [PATH …]",
        description="Take changes of a session over into the project: all that were chosen, or none.",
        epilog="Exit status: 0 applied, or nothing to apply; 1 not applied; 122 conflicts, nothing applied;"
        " 123 what was asked for is left for review, all of it or a part; 2 wrong usage; 125 it failed,"
        " nothing applied.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "words", nargs="*", metavar="SESSION|PATH",
        help="a session's id, or its beginning, or `last`; left out, the last of this project; then paths",
    )  # fmt: skip
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("-i", "--interactive", action="store_true", help="ask about each change and hunk")
    parser.add_argument(
        "--include-risky", action="store_true", help="also what runs on the host or steers tools later"
    )
    parser.add_argument(
        "--except", dest="leave", action="append", default=[], metavar="PATH", help="leave these out; repeat"
    )
    parser.add_argument("--git", action="store_true", help="what git wrote outside of a linked worktree")
    parser.add_argument("--commit", default="", metavar="BRANCH", help="as a commit on a new branch instead")
    parser.add_argument("-m", "--message", default="", help="the commit's message")
    parser.add_argument("--author", default="", metavar="'NAME <MAIL>'", help="the commit's author")
    parser.add_argument("--dry-run", action="store_true", help="say what would be applied")
    finish = parser.add_mutually_exclusive_group()
    finish.add_argument("--resume", action="store_true", help="go on with an apply that was interrupted")
    finish.add_argument("--rollback", action="store_true", help="take an interrupted apply back")
    return parser


# --- what was interrupted ------------------------------------------------------------------------


def _finish(layers: Layers, options: "argparse.Namespace") -> int | None:
    """Finish an interrupted apply as asked; None when there is none and a new one may begin."""
    left = apply.interrupted(layers)
    if left is None:
        apply.forget_note(layers)
        if options.resume or options.rollback:
            print(f"nothing of session {layers.session} was interrupted")
            return APPLIED
        return None
    back = options.rollback
    if not (options.resume or back):
        answer = _offer(layers, "undo" if left.is_undo else "apply")
        if not answer:
            return NOT_APPLIED
        back = answer == "b"
    if back:
        apply.roll_back(layers)
        print("taken back: the project is as it was before")
    else:
        apply.resume(layers)
        print("finished")
    return APPLIED


def _offer(layers: Layers, what: str) -> str:
    print(f"an {what} of session {layers.session} was interrupted: the project is halfway")
    if not sys.stdin.isatty():
        raise BoundaryError(
            f"the interrupted {what} has to be finished first",
            hint=f"ringfence apply {layers.session} --resume, or --rollback",
        )
    from ringfence.cli import ask

    answer = ask.person("go on with it, or take it back? [g/b/N] ").strip().lower()
    return answer if answer in {"g", "b"} else ""


def _standing(layers: Layers, options: "argparse.Namespace") -> Standing | None:
    """Return what `ringfence diff` found, if that is still so: nothing need be read and judged again."""
    return None if options.git or options.interactive else standing.load(layers)


def _report(layers: Layers, options: "argparse.Namespace") -> Report:
    made = report.build(layers)
    if not options.git:
        return made
    if not options.interactive:
        for one in made.changes:
            if not git_outside.is_state(one.path):
                print(f"# left out: {shown_path(one.path)}: {git_outside.OBEYED}")
        made = replace(made, changes=tuple(one for one in made.changes if git_outside.is_state(one.path)))
    return git_outside.judged(made)


# --- choosing ------------------------------------------------------------------------------------


def _leave(host: Host, layers: Layers, options: "argparse.Namespace") -> tuple[bytes, ...]:
    return session_and_paths(host, (layers.session, *options.leave), outside=options.git)[1]


def _reasons(made: Report) -> dict[bytes, tuple[str, ...]]:
    return {path: tuple(one.why for one in found) for path, found in made.by_path().items()}


def _interview(layers: Layers, changes: tuple[Change, ...], made: Report) -> "ask.Answers":
    from ringfence.cli import ask
    from ringfence.workspace.content import Contents

    if not sys.stdin.isatty():
        raise UsageError("--interactive needs somebody at a terminal", hint="--yes applies without asking")
    contents = Contents(layers)
    try:
        return ask.Asker(ask.person, contents, made.by_path()).about(changes)
    finally:
        contents.close()


def _reviewed(layers: Layers, chosen: Selection) -> Manifest:
    """Return what was reviewed; where nothing was, what is here now. Raises where it is not the same."""
    found = manifest.load(layers)
    if found is None:
        return Manifest.of(chosen.changes)
    asked = {one.path for one in found.items} | {one.path for one in chosen.changes}
    wrong = [one for one in manifest.differences(found, chosen.all_changes) if one[0] in asked]
    if wrong:
        rows = "".join(f"\n  {shown_path(path)}: {why}" for path, why in wrong[:_MOST_NAMED])
        more = f"\n  and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise BoundaryError(
            f"not what was reviewed, so nothing was applied:{rows}{more}",
            hint=f"review again: ringfence diff {layers.session}",
        )
    return found


# --- applying ------------------------------------------------------------------------------------


def _apply(
    layers: Layers,
    found: Standing,
    chosen: Selection,
    contents: dict[bytes, bytes],
    options: "argparse.Namespace",
) -> int:
    apart = "" if options.git else git_outside.told(layers)
    _tell(found.report, chosen, apart, asks=not (options.yes or options.interactive))
    if chosen.conflicts:
        _tell_conflicts(chosen, layers)
        return CONFLICT
    if not chosen.changes:
        print("nothing is applied")
        return LEFT if chosen.left else NOT_APPLIED
    reviewed = found.reviewed or _reviewed(layers, chosen)
    if options.dry_run:
        return LEFT if chosen.left else APPLIED
    if not options.yes and not _agreed(len(chosen.changes)):
        print("nothing is applied")
        return NOT_APPLIED
    what = Chosen(changes=chosen.changes, contents=contents)
    paths = paths_told(tuple([one.path for one in what.changes]))
    with on_record(probe.host(), APPLY, layers, manifest=reviewed.digest, **paths) as told:
        if options.commit:
            told["branch"] = options.commit
            _commit(layers, what, reviewed, options)
        else:
            _take_over(layers, what, reviewed)
    return LEFT if chosen.left or contents else APPLIED


def _take_over(layers: Layers, what: Chosen, reviewed: Manifest) -> None:
    try:
        count = apply.apply(layers, what, reviewed)
    except OSError as error:
        raise _failed(error) from None
    print(f"applied {count} change{'s' * (count != 1)}; to take back: ringfence undo {layers.session}")


def _failed(error: OSError) -> HostError:
    """Return the error for what the system refused; what was done by then has been taken back."""
    name = error.filename
    where = f"{shown_path(os.fsencode(name))}: " if isinstance(name, (str, bytes)) and name else ""
    return HostError(
        f"the apply failed, and the project is as before: {where}{error.strerror or error}",
        hint="mend that and apply again; where a path is in the way, leave it out with --except",
    )


def _commit(layers: Layers, what: Chosen, reviewed: Manifest, options: "argparse.Namespace") -> None:
    from ringfence.workspace import commit

    wanted = commit.Commit(branch=options.commit, message=options.message, author=options.author)
    done = commit.commit(layers, what, reviewed, wanted, home=probe.host().home)
    for note in done.notes:
        print(f"# {note}")
    count = f"{done.count} change{'s' * (done.count != 1)}"
    print(f"committed {count} as {done.commit[:12]} on the new branch {options.commit}")


def _tell(made: Report, chosen: Selection, apart: str, *, asks: bool) -> None:
    if asks or chosen.left:
        from ringfence.workspace.review import summary
    if asks:
        for _, line in (*summary.danger(made), *summary.summary(made)):
            print(line)
    if apart:
        print(apart)
    for change in chosen.changes:
        if change.after is not None and (note := _other_mode(change)):
            print(f"# {shown_path(change.path)}: {note}")
    if chosen.left:
        for line in summary.left_out(chosen.left):
            print(line)
    if any(one.can_approve for one in chosen.left):
        print("# what is dangerous needs a yes of its own: --interactive, or --include-risky")


def _other_mode(change: Change) -> str:
    """Say which permission bits are not taken over."""
    assert change.after is not None  # noqa: S101 - for the type checker
    if change.after.kind not in {"file", "directory"}:
        return ""
    mode = permissions(change)
    return f"applied with mode {mode:04o}, not {change.after.mode:04o}" if mode != change.after.mode else ""


def _tell_conflicts(chosen: Selection, layers: Layers) -> None:
    import shlex

    for change in chosen.conflicts:
        print(f"CONFLICT {shown_path(change.path)}: {change.conflict}")
    named = " ".join(f"--except {shlex.quote(shown_path(one.path))}" for one in chosen.conflicts[:3])
    more = " …" if len(chosen.conflicts) > 3 else ""
    print(
        f"nothing is applied while there are conflicts; leave them out with {named}{more},"
        f" or take over by hand what `ringfence diff {layers.session}` shows"
    )


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody to ask here", hint="`ringfence apply --yes` applies without asking")
    from ringfence.cli import ask

    answer = ask.person(f"apply {count} change{'s' * (count != 1)}? [y/N] ")
    return answer.strip().lower() in {"y", "yes"}
