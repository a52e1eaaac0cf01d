"""`ringfence import`: rules from another program's settings, as tables of a policy, and what got lost."""

import os
import sys

from ringfence.cli import options
from ringfence.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.policy.importers.claude_code import InForce

USAGE = "ringfence import claude [OPTION …]"
ABOUT = (
    "Print the permission rules of Claude Code's settings as tables of a policy. What cannot be said there\n"
    "is told on standard error. What the project's settings allow counts only with --project-allows."
)
OPTIONS = (
    options.Option(name="--settings", value="FILE", help="a file in place of all usual ones", many=True),
    options.Option(name="--project-allows", help="take over what the repository's settings allow as well"),
    options.Option(name="--output", value="FILE", help="write the tables into a new file"),
)


def main(arguments: list[str]) -> int:
    """Print tables and losses."""
    from ringfence.policy.importers import losses

    given = options.read(arguments[1:], (*OPTIONS, options.Option(name="--help", help="this text")), USAGE)
    if not arguments or arguments[0] in {"-h", "--help"} or "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0 if arguments else 2
    if arguments[0] != "claude" or given.rest:
        raise UsageError("settings are taken over from `claude`", hint=USAGE)
    found = _found(given.all("--settings"), allows="--project-allows" in given.switches)
    text = losses.tables(found)
    for line in (*found.notes, *losses.lost(found)):
        sys.stderr.write(f"{_printable(line)}\n")
    named = given.one("--output")
    if not named:
        sys.stdout.write(text)
        return 0
    _write(named, text)
    print(f"wrote {named}: `ringfence policy check {named}` checks it")
    return 0


def _found(named: tuple[str, ...], *, allows: bool) -> "InForce":
    from ringfence.host import probe
    from ringfence.policy import trust
    from ringfence.policy.importers import claude_code

    host = probe.host()
    project = os.path.realpath(os.getcwd())
    config = probe.settings(("CLAUDE_CONFIG_DIR",)).get("CLAUDE_CONFIG_DIR") or f"{host.home}/.claude"
    if named:
        where: tuple[claude_code.Place, ...] = tuple(
            claude_code.Place(
                scope=claude_code.LINE,
                path=os.path.abspath(path),
                base=os.path.dirname(os.path.abspath(path)),
            )
            for path in named
        )
    else:
        where = claude_code.places(project=project, config=config)
    return claude_code.in_force(
        where, lambda path, digest: allows or trust.trusted(host.state_dir, path, digest)
    )


def _write(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="without --output the tables are printed") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
