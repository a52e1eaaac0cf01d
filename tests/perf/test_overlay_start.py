"""What a session's copy costs at the start, and that a large project costs no more than a small one."""

import compileall
import os
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAUNCHER = os.path.join(ROOT, "bin", "ringfence")
BUDGET = 0.003  # seconds that overlay mode may add to a start, on a quiet machine
OF_DIRECT = 0.15  # on a slower or busier one, this part of what a start takes there
ROUNDS, MOST_ROUNDS = 10, 80
FOLDERS, FILES = 500, 200  # 100,000 files

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile the sources, as an installation does."""
    compileall.compile_dir(os.path.join(ROOT, "src"), quiet=2)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def seconds(project, home, mode):
    """Time one start of `true`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RINGFENCE_", "XDG_"))}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, LAUNCHER, "run", "--mode", mode, "--", "true"],
        cwd=project, env={**kept, "HOME": str(home)}, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def added(project, home, allowed=BUDGET):
    """Return the least that overlay mode added to a start in many, and the least that a direct one took."""
    direct, copy = [], []
    for mode in ("direct", "overlay"):
        seconds(project, home, mode)  # fills caches
    for number in range(MOST_ROUNDS):
        direct.append(seconds(project, home, "direct"))
        copy.append(seconds(project, home, "overlay"))
        if number >= ROUNDS and min(copy) - min(direct) <= allowed:
            break
    return min(copy) - min(direct), min(direct)


def test_a_copy_costs_a_few_milliseconds(home):
    project = home / "project"
    project.mkdir()
    cost, whole = added(project, home)
    assert cost <= max(BUDGET, OF_DIRECT * whole)


def test_a_large_project_costs_no_more_than_a_small_one(home):
    project = home / "large"
    for number in range(FOLDERS):
        (project / str(number)).mkdir(parents=True)
        for file in range(FILES):
            os.close(os.open(project / str(number) / str(file), os.O_CREAT | os.O_WRONLY))
    time.sleep(2.1)  # a folder that has just changed is not kept in the cache
    cost, whole = added(project, home)
    assert cost <= max(BUDGET, OF_DIRECT * whole)
