"""Fuzzes by coverage, with atheris: `python fuzz/run.py [--seconds N] [TARGET…]`; all targets where none is named.

Each target runs in a process of its own. What it finds is left in `fuzz/found/TARGET-…`; once understood and
mended it goes to `fuzz/corpus/TARGET/`, and the tests replay it for good.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LONGEST = 2048  # bytes of one input


def main() -> int:
    """Fuzz, and return how many targets failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="for each target")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("target", nargs="*")
    options = parser.parse_args()
    if options.inside:
        return fuzz(options.inside, options.seconds)
    from targets import TARGETS

    unknown = set(options.target) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.exit(2, f"fuzzing by coverage needs atheris: {sys.executable} -m pip install atheris\n")
    failed = [name for name in options.target or TARGETS if not passed(name, options.seconds)]
    if failed:
        print(f"finds in {', '.join(failed)}: see {os.path.join(HERE, 'found')}")
    return min(len(failed), 100)


def passed(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own; says what came of it."""
    command = [sys.executable, __file__, "--inside", name, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, timeout=seconds * 4 + 120, check=False)
    errors = done.stderr.decode(errors="replace")
    counts = [line.split("\t")[0] for line in errors.splitlines() if re.match(r"#\d", line)]
    print(f"{name:16} {'ok' if not done.returncode else 'FOUND'} {(counts or ['#0'])[-1]}", flush=True)
    if done.returncode:
        print("\n".join((done.stdout.decode(errors="replace") + errors).splitlines()[-40:]))
    return not done.returncode


def fuzz(name: str, seconds: int) -> int:
    """Fuzz one target until the time is over."""
    import atheris

    with atheris.instrument_imports(include=["ringfence"]):
        from targets import TARGETS
    from seeds import seeds

    found, kept = os.path.join(HERE, "found"), os.path.join(HERE, "found", "corpus", name)
    os.makedirs(kept, exist_ok=True)
    for index, seed in enumerate(seeds(name)):
        with open(os.path.join(kept, f"seed-{index}"), "wb") as file:
            file.write(seed)
    arguments = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=2048"]
    arguments += [f"-artifact_prefix={found}/{name}-", kept]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    sys.exit(main())
