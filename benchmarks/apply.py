"""How long an apply of many small files takes, beside `cp -a` of the same set; interleaved, medians.

    python benchmarks/apply.py [FILES [FOLDER [ROUNDS]]]

Judged is the median of the rounds' ratios. An apply is on the disk when it returns and a copy is not, so
there is a second figure, beside `cp -a` with `sync -f` behind it. Then the whole command (`ringfence apply
--yes`) from its start to its end: after `ringfence diff`, whose findings it takes up, and without a review
before, when it has to read and judge all that changed.

An apply shares its work among processors, and a copy does not: on a busy machine the ratio is higher. What
the processors spent in all stands beside it.

Nothing is removed before the end: ext4 makes new files up to thirty times slower for minutes after many were
deleted, which hits whoever comes next.
"""

import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from statistics import median

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [f"{TOP}/src", f"{TOP}/tests"]

from landing import Landing  # noqa: E402 - the paths come first
from layered import put  # noqa: E402
from ringfence.canonical import encode  # noqa: E402
from ringfence.value import Struct, replace  # noqa: E402
from ringfence.workspace import apply, manifest  # noqa: E402
from ringfence.workspace.stage import Chosen  # noqa: E402

LIMIT = 2.0  # times `cp -a`
ROUNDS = 7
SESSION = "20260101-000000-abcd"
CUT = 0.2  # s after which nothing in a layer is so new that a review of it would not be kept


def main(count: int, where: str, rounds: int = ROUNDS) -> int:
    """Measure; say whether the limit holds."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        landings = [made(f"{folder}/{number}", count) for number in range(rounds)]
        pairs = [(copied(one), applied(one)) for one in landings]
        wholes = [
            [whole(f"{folder}/{kind}{number}", count, is_reviewed=is_reviewed) for number in range(rounds)]
            for kind, is_reviewed in (("reviewed", True), ("not", False))
        ]
    copy, synced, read, land = (
        median(one) for one in zip(*((*one, *two) for one, two in pairs), strict=True)
    )
    ratio = median(two[1] / one[0] for one, two in pairs)
    beside = median(two[1] / one[1] for one, two in pairs)
    print(
        f"{count} files: cp -a {copy:.2f} s, with sync -f {synced:.2f} s; reading the changes {read:.2f} s,"
        f" applying them {land:.2f} s: {ratio:.2f} of {LIMIT} times cp -a, synced {beside:.2f} times;"
        f" rounds {' '.join(f'{two[1] / one[0]:.2f}' for one, two in pairs)}"
    )
    for name, runs in zip(("after a review", "without one"), wholes, strict=True):
        print(
            f"the whole command, {name}: {median(one.clock for one in runs):.2f} s,"
            f" {median(one.times for one in runs):.2f} times cp -a; of the processors"
            f" {median(one.processor for one in runs):.2f} s, {median(one.load for one in runs):.2f} times;"
            f" rounds {' '.join(f'{one.times:.2f}' for one in runs)}"
        )
    return 0 if ratio <= LIMIT else 1


def made(folder: str, count: int) -> Landing:
    """Return a session that changed half of the files and added the other half."""
    one = Landing(folder)
    for number in range(count // 2):
        put(one.below, f"d{number % 100}/changed{number}", f"old {number}\n" * 50)
    one.began()
    for number in range(count // 2):
        put(one.upper, f"d{number % 100}/changed{number}", f"new {number}\n" * 50)
        put(one.upper, f"d{number % 100}/added{number}", f"new {number}\n" * 60)
    return one


def copied(landing: Landing) -> tuple[float, float]:
    """Return how long `cp -a` of the layer takes, without and with the disk's part."""
    target = f"{landing.top}/copy"
    os.sync()
    began = time.perf_counter()
    subprocess.run(["cp", "-a", landing.upper, target], check=True)
    middle = time.perf_counter()
    subprocess.run(["sync", "-f", target], check=True)
    return middle - began, time.perf_counter() - began


def applied(landing: Landing) -> tuple[float, float]:
    """Return how long reading what changed takes, and applying it."""
    gc.disable()  # as the command does
    os.sync()
    began = time.perf_counter()
    changes = landing.changes()
    middle = time.perf_counter()
    apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    return middle - began, time.perf_counter() - middle


class Whole(Struct):
    """One run of the whole command, beside a copy of the same set."""

    clock: float
    processor: float
    copy: tuple[float, float]  # the same two of `cp -a`

    @property
    def times(self) -> float:
        """How many times as long as the copy."""
        return self.clock / self.copy[0]

    @property
    def load(self) -> float:
        """How many times as much of the processors."""
        return self.processor / self.copy[1]


def whole(folder: str, count: int, *, is_reviewed: bool) -> Whole:
    """Return what the command takes, from its start to its end."""
    one, environment = session(folder, count)
    ringfence = [sys.executable, "-m", "ringfence.cli"]
    copy = spent(["cp", "-a", one.upper, f"{one.top}/copy"])
    if is_reviewed:
        time.sleep(CUT)
        review = [*ringfence, "diff", SESSION]
        subprocess.run(review, cwd=one.below, env=environment, stdout=subprocess.DEVNULL, check=False)
    clock, processor = spent([*ringfence, "apply", "--yes", SESSION], cwd=one.below, environment=environment)
    return Whole(clock=clock, processor=processor, copy=copy)


def session(folder: str, count: int) -> tuple[Landing, dict[str, str]]:
    """Return a session as the commands find it, and the environment for them."""
    state = f"{folder}/state"
    home = f"{state}/sessions/{SESSION}"
    one = made(folder, count)
    os.makedirs(os.path.dirname(home))
    os.rename(one.session, home)
    one.upper = f"{home}/upper"
    layers = replace(one.layers(), lock=f"{home}/lock")
    with open(f"{home}/layers.json", "w", encoding="ascii") as file:
        file.write(encode(layers))
    return one, {**os.environ, "RINGFENCE_STATE_DIR": state, "PYTHONPATH": f"{TOP}/src"}


def spent(
    argv: list[str], cwd: str | None = None, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """Run a command; return the clock's seconds and the processors', those of its children too."""
    os.sync()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, cwd=cwd, env=environment)
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    words = [*sys.argv[1:], *("10000", "/var/tmp", str(ROUNDS))[len(sys.argv) - 1 :]]
    sys.exit(main(int(words[0]), words[1], int(words[2])))
