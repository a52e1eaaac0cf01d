"""How soon the command of a claim runs: from the request being sent to the first byte that it writes.

The claim is made within this process, as a platform makes it; an interpreter's start is no part of it. The
container tier is held to its budget where an engine runs anyway: tests/containment/test_pool.py.
"""

import compileall
import os
import statistics
import subprocess
import sys
import time

import pytest

from ringfence.pool import Pool

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUDGETS = {"sandbox": 0.010, "gvisor": 0.050}  # seconds, on a quiet machine
OF_BARE = {
    "sandbox": 1.2,
    "gvisor": 6.0,
}  # on a slower or busier one, so many starts of a bare interpreter there
ROUNDS, MOST_ROUNDS = 6, 60


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of an operator with no settings."""
    compileall.compile_dir(os.path.join(ROOT, "src"), quiet=2)
    for name in [name for name in os.environ if name.startswith(("RINGFENCE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "project"
    folder.mkdir(parents=True)
    return folder


def claimed(pool):
    """Return the seconds from a claim to its command's first byte."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    began = time.perf_counter()
    with pool.claim(["/bin/echo", "x"], stdout=writer) as running:
        os.close(writer)
        assert os.read(reader, 1) == b"x"
        taken = time.perf_counter() - began
        assert running.wait() == 0
    os.close(reader)
    return taken


def bare():
    """Return the seconds that an interpreter takes to start and end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.perf_counter() - began


@pytest.mark.timeout(180)
@pytest.mark.parametrize("tier", BUDGETS)
def test_a_claimed_boundary_runs_its_command_within_its_budget(tier, project):
    ours, others = [], []
    with Pool(str(project), size=2, options=("--tier", tier)) as pool:
        for number in range(MOST_ROUNDS):
            deadline = time.monotonic() + 60
            while pool.status()["waiting"] < 2 and time.monotonic() < deadline:
                time.sleep(0.02)  # claims of boundaries that wait are measured, not how fast they are built
            ours.append(claimed(pool))
            others.append(bare())
            # The best of each was disturbed least; a busy machine gets more rounds to have a quiet one.
            if number >= ROUNDS and min(ours) <= BUDGETS[tier]:
                break
    assert min(ours) <= max(BUDGETS[tier], OF_BARE[tier] * statistics.median(others))
