"""`ringfence verify`: attack the boundary that `ringfence run` would make here, and print what held."""

import json
import sys
import time

from ringfence.cli import options
from ringfence.cli.request import OPTIONS, request
from ringfence.errors import UsageError
from ringfence.value import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.verify.battery import Result

USAGE = "ringfence verify [--tier all] [--json] [--junit FILE] [OPTION …]"
ABOUT = (
    "Attack the boundary: start real sessions under the policy that holds here, make every attack of the\n"
    "battery from inside, and print one line for each with its evidence. It reads names and metadata,\n"
    "never your contents, writes nothing into your files, and takes away what it plants.\n"
    "The options are those of `run`; `--use claude` attacks the boundary that `run -- claude` gets.\n"
    "`--tier all` attacks every tier that this machine has, names those it has not, and prints a table.\n"
    "The status is 0 if everything held, 1 if anything got through, 125 if no boundary could be started."
)
_OWN = (
    options.Option(name="--json", help="print one JSON object; with `--tier all` a list"),
    options.Option(name="--junit", value="FILE", help="with `--tier all`: write a report for CI as well"),
    options.Option(name="--help", help="this text"),
)
_MARKS = {True: "held", False: "GOT THROUGH", None: "not attempted"}


def main(arguments: list[str]) -> int:
    """Run the battery; 1 when anything got through."""
    given = options.read(arguments, (*OPTIONS, *_OWN), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, (*OPTIONS, *_OWN)))
        return 0
    if given.rest:
        raise UsageError("`verify` takes no command: it starts its own attacks", hint=f"usage: {USAGE}")
    if given.all("--tier") == ("all",):
        from ringfence.cli import verify_tiers

        return verify_tiers.run(arguments, given)
    if given.one("--junit"):
        raise UsageError("`--junit` goes with `--tier all`", hint=f"usage: {USAGE}")
    passed = tuple(one for one in arguments if one not in {"--json", "--"})
    return _attack(passed, given)


def _attack(passed: tuple[str, ...], given: options.Given) -> int:
    from ringfence.host import probe
    from ringfence.verify.battery import run

    host = probe.host()
    began = time.monotonic()
    results = []
    as_json = "--json" in given.switches
    for result in run(passed, request(given, host, ("sh",)), host):
        results.append(result)
        if not as_json:
            print(_line(result), flush=True)
    counts = _counts(results)
    if as_json:
        print(json.dumps({**counts, "results": plain(results)}, indent=2))
    else:
        print(_summary(counts, time.monotonic() - began))
    return 1 if counts["through"] else 0


def _line(result: "Result") -> str:
    return f"{result.id:<4} {_MARKS[result.held]:<13} {result.title}: {result.evidence}"


def _counts(results: "list[Result]") -> dict[str, int]:
    return {
        "held": sum(one.held is True for one in results),
        "through": sum(one.held is False for one in results),
        "untried": sum(one.held is None for one in results),
        "tries": sum(one.tries for one in results),
    }


def _summary(counts: dict[str, int], seconds: float) -> str:
    untried = f", {counts['untried']} not attempted" if counts["untried"] else ""
    return (
        f"\n{counts['held']} attacks held, {counts['through']} got through{untried}"
        f" ({counts['tries']} tries, {seconds:.1f} s)"
    )
