"""`ringfence verify`: attack the boundary that `ringfence run` would make here, and print what held."""

import json
import signal
import sys
import time

from ringfence.cli import options
from ringfence.cli.request import OPTIONS, request
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.value import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.verify.attacks import Attack
    from ringfence.verify.battery import Result

USAGE = "ringfence verify [--tier all] [--only ATTACK,…] [--json] [--junit FILE] [OPTION …]"
ABOUT = (
    "Attack the boundary: start real sessions under the policy that holds here, make every attack of the\n"
    "battery from inside, and print one line for each with its evidence. It reads names and metadata,\n"
    "never your contents, writes nothing into your files, and takes away what it plants.\n"
    "The options are those of `run`; `--use claude` attacks the boundary that `run -- claude` gets.\n"
    "`--tier all` attacks every tier that this machine has, names those it has not, and prints a table.\n"
    "The status is 0 if everything held, 1 if anything got through or was not attempted, 125 if no\n"
    "boundary could be started."
)
_OWN = (
    options.Option(name="--only", value="ATTACK", help="only these, such as S01,S19", many=True),
    options.Option(name="--json", help="print one JSON object; with `--tier all` a list"),
    options.Option(name="--junit", value="FILE", help="with `--tier all`: write a report for CI as well"),
    options.Option(name="--help", help="this text"),
)
GUARD = "RINGFENCE_TEST_WEAKEN"  # an environment variable: without it `--weaken` is unknown
_WEAKEN = options.Option(name="--weaken", value="NAME")
_OURS = {"--only", "--junit", "--weaken"}
_MARKS = {True: "held", False: "GOT THROUGH", None: "not attempted"}


def main(arguments: list[str]) -> int:
    """Run the battery; 1 unless everything held that has an object here."""
    hidden = (_WEAKEN,) if probe.settings((GUARD,)) else ()
    given = options.read(arguments, (*OPTIONS, *_OWN, *hidden), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, (*OPTIONS, *_OWN)))
        return 0
    if given.rest:
        raise UsageError("`verify` takes no command: it starts its own attacks", hint=f"usage: {USAGE}")
    chosen = _chosen(given)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # by way of what takes plants away
    if given.all("--tier") == ("all",):
        from ringfence.cli import verify_tiers

        return verify_tiers.run(passed(arguments, "--tier"), given, chosen)
    if given.one("--junit"):
        raise UsageError("`--junit` goes with `--tier all`", hint=f"usage: {USAGE}")
    return _attack(passed(arguments), given, chosen)


def passed(arguments: list[str], *also: str) -> tuple[str, ...]:
    """Return the options for the sessions: all but those of ours."""
    kept, words = [], iter(arguments)
    for word in words:
        name, equals, _value = word.partition("=")
        if name in {*_OURS, *also}:
            _ = None if equals else next(words, None)
        elif word not in {"--json", "--"}:
            kept.append(word)
    return tuple(kept)


def _chosen(given: options.Given) -> "tuple[Attack, ...]":
    from ringfence.verify.attacks import ATTACKS

    names = {name.upper() for value in given.all("--only") for name in value.split(",") if name}
    unknown = sorted(names - {one.id for one in ATTACKS})
    if unknown:
        known = " ".join(one.id for one in ATTACKS)
        raise UsageError(f"`--only` names no attack: {', '.join(unknown)}", hint=f"there are: {known}")
    return tuple(one for one in ATTACKS if not names or one.id in names)


def _attack(words: tuple[str, ...], given: options.Given, chosen: "tuple[Attack, ...]") -> int:
    from ringfence.verify.battery import run, well

    host = probe.host()
    began = time.monotonic()
    results = []
    as_json = "--json" in given.switches
    for result in run(words, request(given, host, ("sh",)), host, chosen, given.one("--weaken")):
        results.append(result)
        if not as_json:
            print(_line(result), flush=True)
    counts = _counts(results)
    if as_json:
        print(json.dumps({**counts, "results": plain(results)}, indent=2))
    else:
        print(_summary(counts, time.monotonic() - began))
    return 0 if well(results) else 1


def _line(result: "Result") -> str:
    mark = _MARKS[result.held] if result.applies else "-"
    return f"{result.id:<4} {mark:<13} {result.title}: {result.evidence}"


def _counts(results: "list[Result]") -> dict[str, int]:
    return {
        "held": sum(one.held is True for one in results),
        "through": sum(one.held is False for one in results),
        "untried": sum(one.held is None and one.applies for one in results),
        "tries": sum(one.tries for one in results),
    }


def _summary(counts: dict[str, int], seconds: float) -> str:
    untried = f", {counts['untried']} not attempted" if counts["untried"] else ""
    return (
        f"\n{counts['held']} attacks held, {counts['through']} got through{untried}"
        f" ({counts['tries']} tries, {seconds:.1f} s)"
    )
