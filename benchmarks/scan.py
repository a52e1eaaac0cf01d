"""What the start costs as the workspace grows: the one scan for credential files at any depth.

    python benchmarks/scan.py [--sizes 1000,10000,100000] [--rounds N] [--check]

`first` is a workspace never seen before (the cache removed before each run), `again` one that has
not changed since. Both are differences to an empty workspace, within a round.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

from measure import RINGFENCE, Budgets, Case, over, stage, table

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
    budgets = Budgets()
    rows, judged = [], []
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        environment = stage(folder)
        for size in map(int, options.sizes.split(",")):
            first, again = measure(folder, environment, size, options.rounds)
            rows.append((f"{size:,}", first, again, first * 1000 / size, again * 1000 / size))
            judged.append((size, first * 1000 / size, again * 1000 / size))
    print("start over that in an empty workspace, ms\n")
    table(("entries", "first", "again", "first per 1,000", "again per 1,000"), rows)
    print("\nbudgets\n")
    for size, first, again in judged:
        if size >= SMALLEST_JUDGED:
            budgets.hold(f"{size:,} entries, first, per 1,000", first, PER_THOUSAND, "ms")
            budgets.hold(f"{size:,} entries, unchanged, per 1,000", again, max(first, 0.05), "ms")
    return 1 if options.check and budgets.broken else 0


def measure(folder: str, environment: dict[str, str], size: int, rounds: int) -> tuple[float, float]:
    """Return the cost of a first and of a second start in a tree of this size."""
    project = os.path.join(folder, "home", f"tree-{size}")
    empty = os.path.join(folder, "home", "empty")
    os.makedirs(empty, exist_ok=True)
    grow(project, size)
    command = [*RINGFENCE, "run", "--", "true"]
    base, first, again = (Case(place, command, place, environment) for place in (empty, project, project))
    for number in range(rounds + 1):
        shutil.rmtree(os.path.join(folder, "home", ".cache", "ringfence"), ignore_errors=True)
        for case in (first, again, base):
            taken = case.run()
            if number:
                case.times.append(taken)
    shutil.rmtree(project)
    # The first run also fills caches that have nothing to do with the tree: the policy's.
    return over(first, base) - filling(folder, environment, rounds), over(again, base)


def filling(folder: str, environment: dict[str, str], rounds: int) -> float:
    """Return what an empty cache alone costs."""
    empty = os.path.join(folder, "home", "empty")
    command = [*RINGFENCE, "run", "--", "true"]
    cold, warm = Case("cold", command, empty, environment), Case("warm", command, empty, environment)
    for _ in range(rounds):
        shutil.rmtree(os.path.join(folder, "home", ".cache", "ringfence"), ignore_errors=True)
        cold.times.append(cold.run())
        warm.times.append(warm.run())
    return statistics.median(one - other for one, other in zip(cold.times, warm.times, strict=True))


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
    yesterday = time.time() - 86400
    for folder, _, _ in os.walk(project):
        os.utime(folder, (yesterday, yesterday))


if __name__ == "__main__":
    sys.exit(main())
