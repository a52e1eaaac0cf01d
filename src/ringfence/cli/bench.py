"""`ringfence bench tiers`: what each tier costs on this machine."""

import sys

from ringfence.boundary import choice
from ringfence.cli import options
from ringfence.cli.options import Option
from ringfence.errors import UsageError

USAGE = "ringfence bench tiers [OPTION …]"
ABOUT = """\
Do the same work on the host and inside every tier that this machine has, in interleaved rounds, and print how
many times as long each tier takes: computing, system calls, opening and closing, `git status`, unpacking
small files; and until a command runs, and how much memory an idle session holds. Takes a minute or two,
works in a folder of its own below /var/tmp, and leaves nothing."""
OPTIONS = (
    Option(name="--tier", value="TIER", help="only this one; repeat, or a,b", many=True),
    Option(name="--rounds", value="N", help="default: 3"),
    Option(name="--quick", help="shorter work: coarser figures in a quarter of the time"),
    Option(name="--json", help="print seconds, bytes and ratios as one JSON object"),
    Option(name="--draw", value="FILE", help="draw the table as well: .svg or .png; repeat", many=True),
    Option(name="--help", help="this text"),
)
_LONG, _QUICK = 0.3, 0.03  # seconds for each kind of work


def main(arguments: list[str]) -> int:
    """Measure and print."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    if arguments[0] != "tiers":
        raise UsageError(f"`ringfence bench` does not know `{arguments[0]}`", hint=f"usage: {USAGE}")
    given = options.read(arguments[1:], OPTIONS, USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    if given.rest:
        raise UsageError(f"`{given.rest[0]}` is too much", hint=f"usage: {USAGE}")
    wanted, rounds = _tiers(given), _rounds(given.one("--rounds", "3"))
    return _measure(given, wanted, rounds)


def _measure(given: options.Given, wanted: tuple[str, ...], rounds: int) -> int:
    from ringfence.bench import shown, tiers
    from ringfence.host import probe

    for path in given.all("--draw"):
        shown.check(path)
    report = tiers.measure(
        probe.host(),
        wanted,
        rounds=rounds,
        enough=_QUICK if "--quick" in given.switches else _LONG,
        tell=lambda text: print(f"measuring {text} …", file=sys.stderr),
    )
    print(shown.as_json(report) if "--json" in given.switches else shown.table(report))
    for path in given.all("--draw"):
        shown.draw(report, path)
    return 0 if len(report.costs) > 1 else 1


def _tiers(given: options.Given) -> tuple[str, ...]:
    named = tuple(one for value in given.all("--tier") for one in value.split(",") if one)
    known = (choice.SANDBOX, *choice.OTHERS)
    for one in named:
        if one not in known:
            raise UsageError(f"`{one}` is no tier", hint=f"there are {', '.join(known)}")
    return named


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise UsageError(f"`--rounds {text}` is no number of rounds", hint="1 to 1000")
    return int(text)
