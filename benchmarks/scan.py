"""What a session costs as the workspace grows: the scan for credential files at any depth.

    python benchmarks/scan.py [--sizes 1000,10000,100000] [--rounds N] [--check]

`first` is the start in a workspace never seen before (the cache removed before each run), `again` in
one that has not changed since, `end` what comes after the command, when files that appeared are
looked for. All are differences to an empty workspace, within a round.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure import RINGFENCE, Budgets, stage, table

PER_THOUSAND = 1.0  # ms
FILES_A_FOLDER = 40
SMALLEST_JUDGED = 10_000  # below this the scan drowns in the noise of a start


def main() -> int:
    """Measure and print; with --check exit 1 over a budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true", help="exit 1 over a budget")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        environment = stage(folder)
        costs = {size: measure(folder, environment, size, options.rounds) for size in sizes(options.sizes)}
    print("over the same in an empty workspace, ms\n")
    head = ("entries", "first", "again", "end", "per 1,000: first", "again", "end")
    table(head, [(f"{size:,}", *cost, *(one * 1000 / size for one in cost)) for size, cost in costs.items()])
    budgets = Budgets()
    print("\nbudgets\n")
    for size, cost in costs.items():
        if size >= SMALLEST_JUDGED:
            first, again, end = (one * 1000 / size for one in cost)
            budgets.hold(f"{size:,} entries, first, per 1,000", first, PER_THOUSAND, "ms")
            budgets.hold(f"{size:,} entries, unchanged, of the first", again / first, 1, "x")
            budgets.hold(f"{size:,} entries, at the end, per 1,000", end, PER_THOUSAND, "ms")
    return 1 if options.check and budgets.broken else 0


def sizes(text: str) -> list[int]:
    """Read the option."""
    return [int(part) for part in text.split(",")]


def measure(folder: str, environment: dict[str, str], size: int, rounds: int) -> tuple[float, float, float]:
    """Return what a first start, a second start and an end cost in a tree of this size."""
    project, empty = os.path.join(folder, "home", f"tree-{size}"), os.path.join(folder, "home", "empty")
    cache = os.path.join(folder, "home", ".cache", "ringfence")
    os.makedirs(empty, exist_ok=True)
    grow(project, size)
    first, again, end = [], [], []
    for _ in range(rounds):
        # What an empty cache costs by itself is in both, so it is in no difference.
        shutil.rmtree(cache, ignore_errors=True)
        cold = session(empty, environment)
        shutil.rmtree(cache, ignore_errors=True)
        unseen = session(project, environment)
        seen = session(project, environment)
        session(empty, environment)
        warm = session(empty, environment)
        first.append(unseen[0] - cold[0])
        again.append(seen[0] - warm[0])
        end.append(seen[1] - warm[1])
    shutil.rmtree(project)
    return statistics.median(first), statistics.median(again), statistics.median(end)


def session(project: str, environment: dict[str, str]) -> tuple[float, float]:
    """Run `echo` inside; return the time until it speaks and the time from there to the end, in ms."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*RINGFENCE, "run", "--", "echo"], cwd=project, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.read(1)
    spoke = time.perf_counter()
    status = process.wait()
    ended = time.perf_counter()
    process.stdout.close()
    if status:
        sys.exit(f"error: `ringfence run -- echo` ended with status {status}")
    return (spoke - began) * 1000, (ended - spoke) * 1000


def grow(project: str, size: int) -> None:
    """Make a tree with this many entries, folders included, that has not been touched for a day."""
    os.makedirs(project)
    made = 0
    while made < size:
        folder = os.path.join(project, f"part-{made // 4000}", f"module-{made}")
        os.makedirs(folder)
        made += 1
        for number in range(min(FILES_A_FOLDER, size - made)):
            os.close(os.open(os.path.join(folder, f"source_{number}.py"), os.O_WRONLY | os.O_CREAT, 0o644))
            made += 1
    time.sleep(2.5)  # a folder changed in the last two seconds is not kept, and nobody can set that time back


if __name__ == "__main__":
    sys.exit(main())
