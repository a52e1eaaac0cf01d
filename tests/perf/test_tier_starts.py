"""What a session adds to the start of the technology that its tier is made of, as `benchmarks/tiers.py` measures it.

The benchmark holds the budgets on a quiet machine. Here a machine may be busy, which costs the launcher, a chain of
small steps, more than what it starts: so there is room, and what is over is measured once more.
"""

import json
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="the Docker engine to measure with is root's"),
]
# tier: (times the bare start, rounds). On a quiet machine it was 1.2, 1.8 and 1.2; with ten busy neighbours on two
# CPUs 1.4, 2.1 and 1.4.
ROOM = {"container": (1.8, 5), "gvisor": (2.8, 5), "microvm": (1.9, 2)}


def ratio(tier, rounds):
    """Return how many times the bare start a session takes: the median of interleaved rounds."""
    done = subprocess.run(
        [sys.executable, f"{ROOT}/benchmarks/tiers.py", "--json", "--tier", tier, "--rounds", str(rounds)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=190, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)[tier]


@pytest.mark.parametrize("tier", ROOM)
def test_a_session_starts_within_its_multiple_of_the_bare_start(tier):
    limit, rounds = ROOM[tier]
    found = ratio(tier, rounds)
    if found > limit:
        found = min(found, ratio(tier, rounds * 2))
    assert 0.5 < found <= limit  # less than the bare start would be a fault of the measuring
