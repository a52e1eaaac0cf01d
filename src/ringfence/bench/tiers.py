"""The cost of each tier beside the host: the same work in each, in interleaved rounds, medians.

Rounds are interleaved, so that whatever else the machine does hits all tiers alike: the ratios are to be
trusted, not the absolute numbers. Each session runs in a project, a state folder and a configuration of the
benchmark's own, under the managed policy where there is one; nothing of it is left.
"""

import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

from ringfence.bench import memory, work
from ringfence.boundary import choice
from ringfence.errors import HostError, RingfenceError
from ringfence.host.model import Host
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "host"
START, MEMORY = "start", "memory"
KINDS = (*work.KINDS, START, MEMORY)
_FILES = 300  # in the repository, and in the archive
_PATIENCE = 300.0  # seconds for one session; a translated guest on a busy machine takes its time
# What runs on the host and inside alike. It says that it runs, waits, and becomes the first Python it finds.
_SCRIPT = (
    'echo begun; read go; text=$1; enough=$2; shift 2; if [ "$enough" = 0 ]; then echo "{}"; exit; fi; '
    'for p in "$@"; do if "$p" -I -S -c "import json" 2>/dev/null; '
    'then exec "$p" -I -S -c "$text" "$enough"; fi; done; '
    'echo "no Python is visible inside" >&2; exit 97'
)


class Cost(Struct):
    """What one kind of work came to in one tier: seconds, or bytes of memory."""

    value: float
    ratio: float | None  # to the host; None where the host does not do the like


class Report(Struct):
    """The table."""

    rounds: int
    costs: dict[str, dict[str, Cost | None]]  # tier → kind → cost; None: could not be done there
    versions: dict[str, str]
    missing: dict[str, str]  # tier → why it cannot be had here


class Failed(RingfenceError):  # noqa: N818 - never shown as an error: the table tells it
    """A session that could not be measured."""


class _Stage:
    """The folders of one benchmark."""

    def __init__(self, host: Host) -> None:
        on_disk = "/var/tmp"  # noqa: S108 - where /tmp is memory, files there are no measure
        self.top = tempfile.mkdtemp(
            prefix="ringfence-bench-", dir=on_disk if os.path.isdir(on_disk) else None
        )
        self.project = f"{self.top}/project"
        for name in ("project", "state/images", "config"):
            os.makedirs(f"{self.top}/{name}")
        if os.path.exists(f"{host.state_dir}/images/kernel"):
            os.symlink(f"{host.state_dir}/images/kernel", f"{self.top}/state/images/kernel")
        _fill(self.project)

    def argv(self, tier: str, enough: float) -> list[str]:
        with open(work.__file__, encoding="utf-8") as file:
            text = file.read()
        pythons = ("/usr/bin/python3", "/usr/local/bin/python3", "python3", sys.executable)
        command = ["/bin/sh", "-c", _SCRIPT, "sh", text, str(enough), *pythons]
        if tier == HOST:
            return command
        places = [f"RINGFENCE_{name.upper()}_DIR={self.top}/{name}" for name in ("state", "config")]
        run = (sys.executable, "-m", "ringfence.cli", "run", "--tier", tier, "--discard", "--quiet", "--")
        return ["/usr/bin/env", *places, *run, *command]

    def tier_of_last(self) -> str:
        """Return the tier that the log of the last session names."""
        logs = sorted(glob.glob(f"{self.top}/state/sessions/*/audit.jsonl"), key=os.path.getmtime)
        if not logs:
            return ""
        with open(logs[-1], encoding="utf-8") as file:
            return str(json.loads(file.readline()).get("tier", ""))

    def close(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)


def _fill(project: str) -> None:
    """Make a repository and an archive of small files."""
    repository = f"{project}/{work.PROJECT}"
    for number in range(_FILES):
        folder = f"{repository}/part{number % 20:02}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/file{number:03}.txt", "w", encoding="ascii") as file:
            file.write(f"line {number}\n" * (20 + number % 100))
    with tarfile.open(f"{project}/{work.ARCHIVE}", "w") as archive:
        archive.add(repository, "small")
    if shutil.which("git"):
        named = (
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.com",
            "-c",
            "core.hooksPath=/dev/null",
        )
        for words in (("init", "-q"), ("add", "."), ("commit", "-q", "--no-gpg-sign", "-m", "bench")):
            subprocess.run(["git", *named, *words], cwd=repository, check=True, capture_output=True)


def measure(
    host: Host, wanted: tuple[str, ...], *, rounds: int, enough: float, tell: "Callable[[str], None]"
) -> Report:
    """Measure every tier of this machine, or those that are wanted. Raises HostError where there is none."""
    there = dict(choice.held_here(host, os.getcwd()))
    asked = wanted or tuple(there)
    missing = {tier: there[tier].refused for tier in asked if there[tier].refused}
    tiers = [HOST, *(tier for tier in asked if tier not in missing)]
    if len(tiers) == 1:
        return Report(rounds=0, costs={}, versions={}, missing=missing)
    taken: dict[str, list[dict[str, float | None]]] = {tier: [] for tier in tiers}
    stage = _Stage(host)
    try:
        for number in range(rounds + 1):  # the first only starts: caches, an image
            for tier in [one for one in tiers if one not in missing]:
                tell(f"{tier}, {f'round {number} of {rounds}' if number else 'a start'}")
                try:
                    found = _session(stage, tier, enough if number else 0)
                except Failed as failed:
                    missing[tier] = str(failed)
                    continue
                if number:
                    taken[tier].append(found)
    finally:
        stage.close()
    if HOST in missing:
        raise HostError(
            f"the work could not be done on the host itself: {missing[HOST]}", hint="is python3 there?"
        )
    versions = {tier: there[tier].version for tier in tiers[1:] if tier not in missing}
    rows = {tier: results for tier, results in taken.items() if tier not in missing}
    return Report(rounds=rounds, costs=costs(rows), versions=versions, missing=missing)


def _session(stage: _Stage, tier: str, enough: float) -> dict[str, float | None]:
    began = time.perf_counter()
    child = subprocess.Popen(
        stage.argv(tier, enough), cwd=stage.project,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None  # noqa: S101 - for the type checker
    try:
        line = child.stdout.readline()
        started = time.perf_counter() - began
        used = memory.settled(child.pid) if line == b"begun\n" else 0
        out, complaint = child.communicate(b"\n", timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failed(f"it was not done within {_PATIENCE:g} s") from None
    finally:
        if child.poll() is None:
            child.terminate()  # the launcher ends its session
            child.communicate()
    if child.returncode:
        raise Failed(_why(complaint.decode("utf-8", "replace")) or f"it ended with status {child.returncode}")
    if tier != HOST and stage.tier_of_last() != tier:
        raise Failed(f"the policy of this machine puts the session into {stage.tier_of_last()}")
    return {**json.loads(out), START: started, MEMORY: float(used)}


def _why(complaint: str) -> str:
    """Return the line that says what is wrong: an error of ours, else the last."""
    lines = complaint.strip().splitlines() or [""]
    return next((one for one in lines if one.startswith("error: ")), lines[-1]).removeprefix("error: ")


def costs(taken: dict[str, list[dict[str, float | None]]]) -> dict[str, dict[str, Cost | None]]:
    """Return the medians, and what they are of the host's."""
    middle = {
        tier: {kind: _median([one.get(kind) for one in results]) for kind in KINDS}
        for tier, results in taken.items()
    }
    return {
        tier: {kind: _cost(value, middle[HOST][kind], kind) for kind, value in row.items()}
        for tier, row in middle.items()
    }


def _median(values: list[float | None]) -> float | None:
    numbers = [one for one in values if one is not None]
    return statistics.median(numbers) if numbers else None


def _cost(value: float | None, base: float | None, kind: str) -> Cost | None:
    if value is None:
        return None
    return Cost(value=value, ratio=value / base if base and kind not in {START, MEMORY} else None)
