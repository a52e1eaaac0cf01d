"""What reviewing costs: `ringfence diff` of a session that changed many files, whole processes.

    python benchmarks/diff.py [--files N] [--rounds N] [--check]

Each file has 80 lines and two changed places; a tenth of them are new, a tenth deleted. Time is that of the
best round and includes the interpreter's start, the search for risks and the whole text of the diff. Held to
the budget is the clock's time; the processors', which a busy machine does not stretch, stands beside it.
Memory is the peak of the largest process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from measure import RINGFENCE, Budgets, stage

SECONDS, MEGABYTES = 3.0, 200.0  # for 10,000 files
SESSION = "20260101-000000-abcd"
LINES = 80


def main() -> int:
    """Measure and print; with --check exit 1 over a budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit 1 over a budget")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-", dir="/var/tmp") as folder:
        environment = stage(folder)
        project = grow(folder, environment["HOME"], options.files)
        runs = {
            shape: measure(project, environment, shape, options.rounds) for shape in ("", "--stat", "--json")
        }
    budgets = Budgets()
    share = options.files / 10_000
    for shape, (clock, seconds, megabytes, size) in runs.items():
        name = f"ringfence diff {shape}".strip()
        print(f"{name:<22} {clock:6.2f} s by the clock, {seconds:.2f} s of the processor")
        print(f"{'':<22} {megabytes:6.0f} MB, {size / 1e6:.1f} MB of text")
        budgets.hold(f"{name}, time", clock, SECONDS * share, "s")
        budgets.hold(f"{name}, memory", megabytes, MEGABYTES, "MB")
    return 1 if options.check and budgets.broken else 0


def measure(
    project: str, environment: dict[str, str], shape: str, rounds: int
) -> tuple[float, float, float, int]:
    """Return the shortest times, the largest memory and the size of the output."""
    clock, best, most, size = float("inf"), float("inf"), 0.0, 0
    for _ in range(rounds):
        with tempfile.TemporaryFile() as out:
            began = time.perf_counter()
            process = subprocess.Popen(
                [*RINGFENCE, "diff", *([shape] if shape else []), SESSION],
                cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=out,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            clock = min(clock, time.perf_counter() - began)
            best = min(best, usage.ru_utime + usage.ru_stime)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 1 or not os.fstat(out.fileno()).st_size:
                sys.exit(f"error: `ringfence diff` ended with status {process.returncode}")
            most = max(most, usage.ru_maxrss / 1024)
            size = os.fstat(out.fileno()).st_size
    return clock, best, most, size


def grow(folder: str, home: str, files: int) -> str:
    """Make a project, and a session's layer above it, as if the session had ended."""
    project = os.path.join(folder, "project")
    session = os.path.join(home, ".local", "state", "ringfence", "sessions", SESSION)
    body = [f"line {number} of this source file, with some text\n" for number in range(LINES)]
    for number in range(files):
        place = f"part-{number // 100}/module_{number}.py"
        new, gone = number % 10 == 0, number % 10 == 1
        if not new:
            write(os.path.join(project, place), "".join(body) + f"{number}\n")
        if gone:
            white_out(os.path.join(session, "upper", place))
            continue
        body[LINES // 2] = f"another line {number}\n"
        write(os.path.join(session, "upper", place), "".join(body) + f"{number}\nmore\n")
        body[LINES // 2] = f"line {LINES // 2} of this source file, with some text\n"
    lock = os.path.join(session, "lock")
    write(lock, "")
    layers = {
        "session": SESSION,
        "workspace": project,
        "upper": os.path.join(session, "upper"),
        "lock": lock,
        "ended": True,
    }
    import json

    write(os.path.join(session, "layers.json"), json.dumps(layers))
    return project


def white_out(path: str) -> None:
    """Mark a file as deleted the way that needs no rights."""
    write(path, "")
    os.setxattr(path, "user.overlay.whiteout", b"y")


def write(path: str, text: str) -> None:
    """Write a file, with the folders above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
