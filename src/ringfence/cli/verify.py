"""`ringfence verify`: attack the boundary that `ringfence run` would make here, and print what held."""

import json
import sys
import time

from ringfence.errors import UsageError
from ringfence.value import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.verify.battery import Result

USAGE = """usage: ringfence verify [--json] [options of `ringfence run`]

Starts real sessions under the policy that holds here, makes every attack of the battery from inside,
and prints one line for each with its evidence. It reads names and metadata, never contents of
yours, writes nothing into your files, and takes away what it plants.

Exits with 0 if everything held, 1 if anything got through, 125 if no boundary could be started.
"""
_MARKS = {True: "held", False: "GOT THROUGH", None: "not attempted"}


def main(arguments: list[str]) -> int:
    """Run the battery; 1 when anything got through."""
    if "-h" in arguments or "--help" in arguments:
        sys.stdout.write(USAGE)
        return 0
    as_json = "--json" in arguments
    options = tuple(one for one in arguments if one != "--json")
    if "--" in options:
        raise UsageError("`verify` takes no command: it starts its own attacks", hint=f"ringfence verify {' '.join(options[: options.index('--')])}".rstrip())
    if sys.platform != "linux":
        raise UsageError("the battery is for the Linux sandbox tier; the macOS profile has no test on a real Mac yet")
    return _attack(options, as_json=as_json)


def _attack(options: tuple[str, ...], *, as_json: bool) -> int:
    from ringfence.host.probe import probe
    from ringfence.verify.battery import run

    began = time.monotonic()
    results = []
    for result in run(options, probe()):
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
