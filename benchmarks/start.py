"""What it costs to start a session: time beside its peers, and memory while it idles.

    python benchmarks/start.py [--rounds N] [--check]

Peers that are not installed are left out: `scripts/install-test-parts --bench` installs them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

from measure import BARE, RINGFENCE, ROOT, Budgets, Case, interleave, over, stage, table

START_OVER_BARE = 45.0  # ms
START_OF_SRT = 1 / 6
MEMORY_IDLE = 25.0  # MB
MEMORY_NETWORK = 60.0


def main() -> int:
    """Measure and print; with --check exit 1 over a budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--check", action="store_true", help="exit 1 over a budget")
    options = parser.parse_args()
    budgets = Budgets()
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        environment = stage(folder)
        project = os.path.join(folder, "home", "project")
        os.makedirs(project)
        first = Case("ringfence, the very first", [*RINGFENCE, "run", "--", "true"], project, environment)
        first.times.append(first.run())
        cases = contenders(project, environment)
        interleave(list(cases.values()), options.rounds)
        print(f"`true`, whole process, {options.rounds} interleaved rounds, ms\n")
        show(cases, first)
        idle = memory(project, environment, ["sleep", "60"], network=False)
        busy = memory(
            project, environment, ["sh", "-c", "getent hosts nobody.example.net; exec sleep 60"], network=True
        )
    print("\nmemory of a session beside its command, MB (PSS)\n")
    table(("", "MB", "processes"), [("idle, no network used", *idle), ("with the gate running", *busy)])
    print("\nbudgets\n")
    ours, bare = cases["ringfence"], cases["python"]
    budgets.hold("ringfence run -- true, over bare python (median)", over(ours, bare), START_OVER_BARE, "ms")
    if "srt" in cases:
        ratio = ours.median / cases["srt"].median
        budgets.hold("ringfence run -- true, of srt true (median)", ratio, round(START_OF_SRT, 4), "x")
    else:
        print("  --   srt is not installed: not compared")
    budgets.hold("memory, no connection made", idle[0], MEMORY_IDLE, "MB")
    budgets.hold("memory, with network", busy[0], MEMORY_NETWORK, "MB")
    return 1 if options.check and budgets.broken else 0


def contenders(project: str, environment: dict[str, str]) -> dict[str, Case]:
    """Return the cases that this machine can run."""
    commands = {"python": BARE, "ringfence": [*RINGFENCE, "run", "--", "true"]}
    if bwrap := shutil.which("bwrap"):
        commands["bwrap"] = [
            bwrap,
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--unshare-all",
            "true",
        ]
    if srt := find_srt():
        commands["srt"] = [srt, "true"]
    names = {
        "python": "python3 -I -S -c pass",
        "ringfence": "ringfence run -- true",
        "bwrap": "bwrap … true (no gate)",
        "srt": "srt true",
    }
    return {key: Case(names[key], command, project, environment) for key, command in commands.items()}


def find_srt() -> str:
    """Return the path of srt where it and what it needs are installed, or nothing."""
    if not (shutil.which("socat") and shutil.which("rg")):
        return ""
    own = os.path.join(ROOT, ".cache", "srt", "node_modules", ".bin", "srt")
    for place in (os.environ.get("RINGFENCE_BENCH_SRT", ""), own):
        if os.path.exists(place):
            return place
    return shutil.which("srt") or ""


def show(cases: dict[str, Case], first: Case) -> None:
    """Print times, differences and ratios."""
    bare, ours = cases["python"], cases["ringfence"]
    rows = [
        (case.name, case.median, case.best, over(case, bare), case.median / ours.median)
        for case in cases.values()
    ]
    rows.append(
        (first.name, first.median, first.best, first.median - bare.median, first.median / ours.median)
    )
    table(("", "median", "best", "over python", "x ringfence"), rows)


def memory(
    project: str, environment: dict[str, str], command: list[str], *, network: bool
) -> tuple[float, int]:
    """Start a session, wait until its command runs, and sum what all its processes but that one hold."""
    process = subprocess.Popen(
        [*RINGFENCE, "run", "--", *command], cwd=project, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        family = settled(process, network=network)
        total = sum(pss(pid) for pid in family)
    finally:
        process.terminate()
        process.wait(timeout=20)
    return total / 1024, len(family)


def settled(process: subprocess.Popen[bytes], *, network: bool) -> list[int]:
    """Return the session's processes once the command sleeps and, if wanted, the gate is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        family = descendants(process.pid)
        lines = {pid: argv(pid) for pid in family}
        asleep = [pid for pid, line in lines.items() if line[:1] == ["sleep"]]
        gate = any("ringfence.egress" in word for line in lines.values() for word in line)
        if asleep and gate == network:
            time.sleep(1.0)  # the gate finishes its start: its imports, the next authority
            return [pid for pid in descendants(process.pid) if pid not in asleep]
        time.sleep(0.05)
    sys.exit(f"error: the session for measuring memory did not settle (network: {network})")


def descendants(top: int) -> list[int]:
    """Return a process and all below it."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = [top]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return family


def argv(pid: int) -> list[str]:
    """Return a process's arguments."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().split("\0")
    except OSError:
        return []


def pss(pid: int) -> float:
    """Return a process's share of memory in kB; where it hides that, all it has resident."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            return float(next(line.split()[1] for line in file if line.startswith("Pss:")))
    except (OSError, StopIteration):
        return resident(pid)


def resident(pid: int) -> float:
    """Return the resident memory of a process in kB, shared pages counted whole."""
    try:
        with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
            return float(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    except OSError:
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
