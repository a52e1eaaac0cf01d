"""What `ringfence apply` costs after a review, beside `cp -a` of the same files: nothing is read or judged twice.

Compared is what the processors spend, which a busy machine hardly stretches; by the clock it is less, since an
apply shares its work among processors. `benchmarks/apply.py` has both, of 10,000 files.
"""

import compileall
import os
import resource
import subprocess
import sys
import time

import pytest

from landing import Landing
from layered import put
from ringfence.canonical import encode
from ringfence.value import replace

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SESSION = "20260101-000000-abcd"
FILES, FOLDERS = 4000, 40
TIMES = 5.0  # what the processors spend: reading and judging once more makes it twelve and more
ROUNDS = 8

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile the sources, as an installation does."""
    compileall.compile_dir(os.path.join(ROOT, "src"), quiet=2)


def session(folder):
    """Return a session that changed half of the files and added the other half, and its folder."""
    home = f"{folder}/state/sessions/{SESSION}"
    one = Landing(f"{folder}/made")
    for number in range(FILES // 2):
        put(one.below, f"d{number % FOLDERS}/changed{number}", f"old {number}\n" * 50)
    one.began()
    for number in range(FILES // 2):
        put(one.upper, f"d{number % FOLDERS}/changed{number}", f"new {number}\n" * 50)
        put(one.upper, f"d{number % FOLDERS}/added{number}", f"new {number}\n" * 60)
    os.makedirs(os.path.dirname(home))
    os.rename(one.session, home)
    with open(f"{home}/layers.json", "w", encoding="ascii") as file:
        file.write(encode(replace(one.layers(), upper=f"{home}/upper", lock=f"{home}/lock")))
    return one, home


def spent(argv, status=0, **more):
    """Return what the processors spend on a command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=120, check=False, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == status
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def times(folder):
    """Return how much more an apply after a review spends than a copy."""
    one, home = session(folder)
    environment = {**os.environ, "RINGFENCE_STATE_DIR": f"{folder}/state", "PYTHONPATH": f"{ROOT}/src"}
    ringfence = [sys.executable, "-m", "ringfence.cli"]
    time.sleep(0.2)  # what is newer than that is not kept
    spent([*ringfence, "diff", SESSION], status=1, cwd=one.below, env=environment)
    copy = spent(["cp", "-a", f"{home}/upper", f"{folder}/copy"])
    apply = spent([*ringfence, "apply", "--yes", SESSION], cwd=one.below, env=environment)
    return apply / copy


def test_an_apply_after_a_review_costs_a_few_times_a_copy(tmp_path):
    found = []
    for number in range(ROUNDS):
        found.append(times(f"{tmp_path}/{number}"))
        if found[-1] <= TIMES:
            return
    raise AssertionError(f"times `cp -a`: {' '.join(f'{one:.1f}' for one in found)}")
