"""What the benchmarks share: interleaved rounds, a stage of their own, a table.

Rounds are interleaved, one run of each case after the other, so that whatever else the machine does
hits all cases alike: trust differences and ratios taken within a round, not absolute numbers.
"""

import compileall
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RINGFENCE = [sys.executable, os.path.join(ROOT, "bin", "ringfence")]
BARE = [sys.executable, "-I", "-S", "-c", "pass"]


class Case:
    """One command and how long its runs took, in milliseconds."""

    def __init__(self, name: str, command: list[str], cwd: str, environment: dict[str, str]) -> None:
        self.name = name
        self.command = command
        self.cwd = cwd
        self.environment = environment
        self.times: list[float] = []

    def run(self) -> float:
        """Run once and return the whole process's time; a run that fails ends the benchmark.

        Without a timeout: waiting with one sleeps in steps that double, and measures those.
        """
        began = time.perf_counter()
        done = subprocess.run(
            self.command, cwd=self.cwd, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, check=False,
        )  # fmt: skip
        taken = (time.perf_counter() - began) * 1000
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            sys.exit(f"error: {self.name} ended with status {done.returncode}:\n{said}")
        return taken

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.times)

    @property
    def best(self) -> float:
        """The run that was disturbed least."""
        return min(self.times)


def interleave(cases: list[Case], rounds: int, warm: int = 2) -> None:
    """Run all cases in turn, a few times unmeasured first: caches, the next session's authority."""
    for number in range(warm + rounds):
        for case in cases:
            taken = case.run()
            if number >= warm:
                case.times.append(taken)


def over(case: Case, base: Case) -> float:
    """Return the median of the differences within each round."""
    return statistics.median(one - other for one, other in zip(case.times, base.times, strict=True))


def stage(folder: str) -> dict[str, str]:
    """Return an environment whose home, state and cache lie in a folder of the benchmark's own.

    The sources are compiled first, as an installation does: where PYTHONDONTWRITEBYTECODE is set, a
    checkout would be compiled anew at every start.
    """
    compileall.compile_dir(os.path.join(ROOT, "src"), quiet=2)
    home = os.path.join(folder, "home")
    os.makedirs(home, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RINGFENCE_", "XDG_"))}
    # the checkout's own sources, also where another ringfence is installed beside the interpreter
    return {**kept, "HOME": home, "PYTHONPATH": os.path.join(ROOT, "src")}


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print rows in columns: text to the left, numbers to the right."""
    shown = [tuple(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows]
    widths = [max(len(row[place]) for row in [head, *shown]) for place in range(len(head))]
    for row in [head, *shown]:
        left = f"{row[0]:<{widths[0]}}"
        print(
            "  ".join([left, *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))])
        )


class Budgets:
    """Numbers to hold, and whether they were."""

    def __init__(self) -> None:
        self.broken = 0

    def hold(self, what: str, value: float, limit: float, unit: str) -> None:
        """Compare one number with its budget."""
        good = value <= limit
        self.broken += not good
        print(f"  {'ok  ' if good else 'OVER'} {what:<58} {value:8.2f} ≤ {limit:g} {unit}")
