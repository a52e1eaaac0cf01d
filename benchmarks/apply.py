"""How long an apply of many small files takes, beside `cp -a` of the same set; interleaved, medians.

    python benchmarks/apply.py [FILES [FOLDER [ROUNDS]]]

Judged is the median of the rounds' ratios. An apply is on the disk when it returns and a copy is not, so
there is a second figure, beside `cp -a` with `sync -f` behind it. The third is the whole command, which reads
and judges what changed before (`ringfence apply --yes`, once, without a review before).

Nothing is removed before the end: ext4 makes new files up to thirty times slower for minutes after many were
deleted, which hits whoever comes next.
"""

import gc
import os
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
from ringfence.value import replace  # noqa: E402
from ringfence.workspace import apply, manifest  # noqa: E402
from ringfence.workspace.stage import Chosen  # noqa: E402

LIMIT = 2.0  # times `cp -a`
ROUNDS = 7


def main(count: int, where: str, rounds: int = ROUNDS) -> int:
    """Measure; say whether the limit holds."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        landings = [made(f"{folder}/{number}", count) for number in range(rounds)]
        pairs = [(copied(one), applied(one)) for one in landings]
        whole = commanded(f"{folder}/command", count)
    copy, synced, read, land = (
        median(one) for one in zip(*((*one, *two) for one, two in pairs), strict=True)
    )
    ratio = median(two[1] / one[0] for one, two in pairs)
    beside = median(two[1] / one[1] for one, two in pairs)
    print(
        f"{count} files: cp -a {copy:.2f} s, with sync -f {synced:.2f} s; reading the changes {read:.2f} s,"
        f" applying them {land:.2f} s: {ratio:.2f} of {LIMIT} times cp -a, synced {beside:.2f} times;"
        f" rounds {' '.join(f'{two[1] / one[0]:.2f}' for one, two in pairs)}; the whole command {whole:.2f} s"
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


def commanded(folder: str, count: int) -> float:
    """Return how long the command takes, from its start to its end."""
    state = f"{folder}/state"
    session = f"{state}/sessions/20260101-000000-abcd"
    one = made(folder, count)
    os.makedirs(os.path.dirname(session))
    os.rename(one.session, session)
    layers = replace(one.layers(), upper=f"{session}/upper", lock=f"{session}/lock")
    with open(f"{session}/layers.json", "w", encoding="ascii") as file:
        file.write(encode(layers))
    environment = {**os.environ, "RINGFENCE_STATE_DIR": state, "PYTHONPATH": f"{TOP}/src"}
    argv = [sys.executable, "-m", "ringfence.cli", "apply", "--yes", "20260101-000000-abcd"]
    os.sync()
    began = time.perf_counter()
    subprocess.run(argv, cwd=one.below, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    words = [*sys.argv[1:], *("10000", "/var/tmp", str(ROUNDS))[len(sys.argv) - 1 :]]
    sys.exit(main(int(words[0]), words[1], int(words[2])))
