"""Starting on a copy of the project: what overlay mode adds, as the project grows.

    python benchmarks/overlay.py [FILES …]

Prints, for projects of so many files, the least that a start took in direct and in overlay mode, in turn,
and how long the kernel's mount of the overlay itself takes. The search for credential files is part of
both modes; with its cache it costs one stat(2) a folder.
"""

import compileall
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = 25
A_FOLDER = 200  # files


def fill(project: str, files: int) -> None:
    """Make so many empty files."""
    for number in range(files):
        folder = f"{project}/{number // A_FOLDER}"
        if number % A_FOLDER == 0:
            os.mkdir(folder)
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY, 0o644))


def start(project: str, home: str, mode: str) -> float:
    """Return the milliseconds of one start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    argv = [sys.executable, f"{ROOT}/bin/ringfence", "run", "--mode", mode, "--", "true"]
    began = time.perf_counter()
    subprocess.run(argv, cwd=project, env={**kept, "HOME": home}, stdin=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print."""
    compileall.compile_dir(f"{ROOT}/src", quiet=2)
    print(f"{'files':>9}  {'direct':>8}  {'overlay':>8}  {'added':>7}   (least of {ROUNDS}, ms)")
    for files in map(int, sys.argv[1:] or ("0", "10000", "100000")):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
            project = f"{home}/project"
            os.mkdir(project)
            fill(project, files)
            time.sleep(2.1)
            rows: dict[str, list[float]] = {"direct": [], "overlay": []}
            for number in range(ROUNDS + 1):
                for mode, found in rows.items():
                    took = start(project, home, mode)
                    if number:
                        found.append(took)
            direct, copy = min(rows["direct"]), min(rows["overlay"])
            print(f"{files:>9,}  {direct:8.1f}  {copy:8.1f}  {copy - direct:+7.1f}")


if __name__ == "__main__":
    main()
