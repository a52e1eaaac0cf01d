"""The work that is measured: this file's text runs on the host and inside every tier, and prints JSON.

It imports nothing of ours and needs a Python, and `git` and `tar` where there are any. Each kind is repeated
in batches until it has taken long enough to be told from the clock's steps, so the same text serves a host
and a translated guest a hundred times as slow. Argument: the seconds for each kind.
"""

import collections
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT, ARCHIVE = "repository", "small.tar"


def computing() -> int:
    """Add numbers in the interpreter: no system call at all."""
    total = 0
    for number in range(20_000):
        total += number * number & 0xFF
    return 20_000


def calls() -> int:
    """Make the smallest system call there is."""
    collections.deque(itertools.islice(iter(os.getppid, -1), 2_000), maxlen=0)
    return 2_000


def opening() -> int:
    """Open and close a file of the project."""
    for _ in range(200):
        os.close(os.open(ARCHIVE, os.O_RDONLY))
    return 200


def status() -> int:
    """Ask git what has changed in a repository of a few hundred files."""
    subprocess.run(
        ["git", "-c", "safe.directory=*", "status", "--porcelain"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    return 1


def unpacking() -> int:
    """Unpack an archive of small files."""
    into = tempfile.mkdtemp(dir=".")
    subprocess.run(["tar", "-xf", f"../{ARCHIVE}"], cwd=into, check=True, capture_output=True)
    places.append(into)
    return 1


places: list[str] = []
KINDS = {
    "computing": computing,
    "calls": calls,
    "opening": opening,
    "status": status,
    "unpacking": unpacking,
}


def timed(work: "Callable[[], int]", enough: float) -> "float | None":
    """Return the seconds that one piece of work takes; None where it cannot be done here."""
    try:
        work()  # caches, and what is imported at first use
        done, took = 0, 0.0
        while not done or took < enough:
            began = time.perf_counter()
            done += work()
            took += time.perf_counter() - began
            while places:
                shutil.rmtree(places.pop())
    except (OSError, subprocess.SubprocessError):
        return None
    return took / done


def main() -> None:
    """Measure and print."""
    json.dump({name: timed(work, float(sys.argv[1])) for name, work in KINDS.items()}, sys.stdout)


if __name__ == "__main__":
    main()
