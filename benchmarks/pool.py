"""What a boundary that waits saves: from the claim to the command, beside a cold start, per tier.

    python benchmarks/pool.py [--rounds N] [--tier sandbox,gvisor,container] [--check]

A claim is measured within one process, as a platform makes it: from the request being sent to the first byte
that the command writes, and to its end. A program's own start is no part of it, so the command line's
is a row of its own (`ringfence pool run`), beside the cold start of the same command (`ringfence run`). The
container tier needs an engine (DOCKER_HOST); a tier that this machine has not is left out.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

from measure import RINGFENCE, ROOT, Budgets, Case, stage, table

sys.path.insert(0, os.path.join(ROOT, "src"))

from ringfence.errors import RingfenceError
from ringfence.pool import Pool
from ringfence.pool.client import Running

HOLD = {"sandbox": 10.0, "gvisor": 50.0, "container": 50.0}  # ms, claim to first byte
COMMAND = ["/bin/echo", "x"]


def main() -> int:
    """Measure and print; with --check exit 1 over a budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tier", default="sandbox,gvisor,container")
    parser.add_argument("--check", action="store_true", help="exit 1 over a budget")
    options = parser.parse_args()
    budgets, rows = Budgets(), []
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        environment = {**stage(folder), "PYTHONPATH": os.path.join(ROOT, "src")}
        os.environ.clear()
        os.environ.update(environment)
        project = os.path.join(folder, "home", "project")
        os.makedirs(project)
        for tier in options.tier.split(","):
            try:
                found = measured(tier, project, environment, options.rounds)
            except RingfenceError as error:
                print(f"  --   {tier}: not measured: {error.message}", file=sys.stderr)
                continue
            rows += [(f"{tier}: {what}", *spread(times)) for what, times in found.items()]
            budgets.hold(
                f"{tier}: claim to first byte (median)", statistics.median(found["claim to first byte"]),
                HOLD[tier], "ms",
            )  # fmt: skip
    print(f"\n{options.rounds} interleaved rounds, ms\n")
    table(("", "median", "best"), rows)
    return 1 if options.check and budgets.broken else 0


def measured(tier: str, project: str, environment: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Return the times of every way to start a command, interleaved."""
    times: dict[str, list[float]] = {}
    with Pool(project, size=2, options=("--tier", tier)) as pool:
        cold = Case("cold", [*RINGFENCE, "run", "--tier", tier, "--", *COMMAND], project, environment)
        words = ["pool", "run", "--name", pool.name, "--", *COMMAND]
        warm = Case("warm", [*RINGFENCE, *words], project, environment)
        for _ in range(rounds + 2):
            refilled(pool)
            byte, end = claim(pool)
            refilled(pool)
            times.setdefault("claim to first byte", []).append(byte)
            times.setdefault("claim to the end of it", []).append(end)
            times.setdefault("ringfence pool run, whole process", []).append(warm.run())
            refilled(pool)
            times.setdefault("ringfence run, whole process", []).append(cold.run())
        memory = pool.status()["memory"] / pool.status()["waiting"] / (1 << 20)
        print(f"  {tier}: a waiting boundary takes {memory:.1f} MiB (PSS)")
    return {what: all_[2:] for what, all_ in times.items()}


def refilled(pool: Pool) -> None:
    """Wait until as many boundaries wait as there can be, and nothing is being built."""
    while pool.status()["waiting"] < 2:
        time.sleep(0.02)
    time.sleep(0.1)


def claim(pool: Pool) -> tuple[float, float]:
    """Return the milliseconds from a claim to its command's first byte, and to the session's end."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    began = time.perf_counter()
    running: Running = pool.claim(COMMAND, stdout=writer)
    os.close(writer)
    os.read(reader, 1)
    byte = time.perf_counter()
    status = running.wait()
    end = time.perf_counter()
    os.close(reader)
    if status:
        sys.exit(f"error: a claimed command ended with status {status}")
    return (byte - began) * 1000, (end - began) * 1000


def spread(times: list[float]) -> tuple[str, str]:
    """Return median and best, as text."""
    return f"{statistics.median(times):.1f}", f"{min(times):.1f}"


if __name__ == "__main__":
    sys.exit(main())
