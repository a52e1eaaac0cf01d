"""Somebody changes the layer or the project while it is applied, or the disk is full: all of it or nothing."""

import errno
import os
import subprocess
import sys
import threading

import pytest

from landing import Landing, tree
from layered import put
from ringfence.errors import RingfenceError
from ringfence.workspace import apply, manifest, record, stage, undo
from ringfence.workspace.stage import Chosen

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = 24


@pytest.fixture
def landing(tmp_path):
    """Return a session that changed and added files in several folders; a decoy stands beside the project."""
    one = Landing(tmp_path)
    put(tmp_path, "decoy/secret", "secret")
    for number in range(FILES):
        put(one.below, f"d{number % 4}/old{number}", f"old {number}")
    one.began()
    for number in range(FILES):
        put(one.upper, f"d{number % 4}/old{number}", f"new {number}")
        put(one.upper, f"d{number % 4}/added{number}", f"new {number}")
    return one


class Meddler:
    """A thread that keeps doing something until it is told to stop."""

    def __init__(self, act):
        self._act, self._over = act, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.is_set():
            try:
                self._act()
            except OSError:
                continue

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def reviewed(landing):
    changes = landing.changes()
    return Chosen(changes=changes), manifest.Manifest.of(changes)


def swaps(landing, place):
    """Return what swaps files and folders of a tree for links to the decoy, and back."""
    decoy = f"{landing.top}/decoy"

    def swap():
        os.rename(f"{place}/d1", f"{place}/aside")
        os.symlink(decoy, f"{place}/d1")
        os.unlink(f"{place}/d1")
        os.rename(f"{place}/aside", f"{place}/d1")
        os.rename(f"{place}/d2/old2", f"{landing.top}/aside-file")
        os.symlink(f"{decoy}/secret", f"{place}/d2/old2")
        os.unlink(f"{place}/d2/old2")
        os.rename(f"{landing.top}/aside-file", f"{place}/d2/old2")

    return swap


@pytest.mark.guarantee("Y4")
@pytest.mark.parametrize("which", ["layer", "project"])
def test_links_swapped_in_meanwhile_lead_nowhere(landing, which):
    before, decoy = tree(landing.below), tree(f"{landing.top}/decoy")
    what = reviewed(landing)
    landed = 0
    with Meddler(swaps(landing, landing.upper if which == "layer" else landing.below)):
        for _ in range(30):
            try:
                apply.apply(landing.layers(), *what)
            except (RingfenceError, OSError):
                continue
            landed += 1
            break
    assert tree(f"{landing.top}/decoy") == decoy
    restore(landing)
    assert apply.interrupted(landing.layers()) is None or which == "project"
    if apply.interrupted(landing.layers()) is not None:
        apply.roll_back(landing.layers())
        landed = 0
    now = tree(landing.below)
    if not landed:
        assert now == before
    else:
        assert {path: now[path][4] for path in now} == wanted(landing, before)


def restore(landing):
    """Put back what a meddler was stopped in the middle of."""
    for place in (landing.upper, landing.below):
        if os.path.islink(f"{place}/d1"):
            os.unlink(f"{place}/d1")
        if os.path.isdir(f"{place}/aside"):
            os.rename(f"{place}/aside", f"{place}/d1")
        if os.path.exists(f"{landing.top}/aside-file") and not os.path.isfile(f"{place}/d2/old2"):
            os.rename(f"{landing.top}/aside-file", f"{place}/d2/old2")


def wanted(landing, before):
    upper = tree(landing.upper)
    return {path: (upper.get(path) or before[path])[4] for path in before.keys() | upper.keys()}


@pytest.mark.guarantee("Y1")
def test_content_that_changes_all_the_time_never_lands_unreviewed(landing):
    before, what = tree(landing.below), reviewed(landing)
    numbers = iter(range(10**9))

    def rewrite():
        number = next(numbers)
        with open(f"{landing.upper}/d{number % 4}/added{number % FILES}", "r+b") as file:
            file.write(b"EVI" if number % 2 else b"new")

    with Meddler(rewrite):
        for _ in range(20):
            try:
                apply.apply(landing.layers(), *what)
            except RingfenceError:
                assert tree(landing.below) == before
                continue
            now = tree(landing.below)
            reviewed_bytes = {one.path: one.after.digest for one in what[0].changes if one.after.digest}
            for path, digest in reviewed_bytes.items():
                assert now[path][4].hex() == digest
            undo.undo(landing.layers())


@pytest.mark.guarantee("Y3")
def test_a_file_that_the_user_saves_in_the_last_moment_stays(landing, monkeypatch):
    """Between the last look and the rename there is no time to look: what was displaced is looked at."""
    before, what = tree(landing.below), reviewed(landing)
    seen = []

    def moment(step):
        if step.startswith("put ") and len(seen) < 3:
            seen.append(step)
            if len(seen) == 3:
                with open(f"{landing.below}/d3/old23", "w") as file:
                    file.write("mine")

    monkeypatch.setattr(record, "moment", moment)
    with pytest.raises(RingfenceError, match="old23 in the workspace changed meanwhile"):
        apply.apply(landing.layers(), *what)
    now = tree(landing.below)
    with open(f"{landing.below}/d3/old23") as file:
        assert file.read() == "mine"
    assert {path: now[path] for path in now if path != b"d3/old23"} == {
        path: before[path] for path in before if path != b"d3/old23"
    }
    assert apply.interrupted(landing.layers()) is None


@pytest.mark.guarantee("Y3")
def test_a_file_that_the_user_saves_while_much_is_staged_stops_it_before_the_first_rename(
    landing, monkeypatch
):
    before, what = tree(landing.below), reviewed(landing)
    moved = []

    def moment(step):
        if step == "stage 0000048":
            with open(f"{landing.below}/d0/old0", "w") as file:
                file.write("mine")
        moved.extend([step] if step.startswith(("put ", "add ")) else [])

    monkeypatch.setattr(record, "moment", lambda step: moment(step.replace("0/", "")))
    monkeypatch.setattr(stage, "FRESH", 0)
    with pytest.raises(RingfenceError, match="old0 in the workspace changed meanwhile"):
        apply.apply(landing.layers(), *what)
    assert moved == []
    now = tree(landing.below)
    assert now.pop(b"d0/old0") != before.pop(b"d0/old0")
    assert now == before


@pytest.mark.guarantee("Y3")
def test_a_file_that_the_user_saves_the_moment_it_has_landed_is_the_users(landing, monkeypatch):
    what, landed = reviewed(landing), []

    def moment(step):
        landed.extend([step] if step.startswith(("put ", "add ")) else [])
        if len(landed) == 5 and step == landed[-1]:
            with open(f"{landing.below}/d0/added0", "w") as file:
                file.write("mine")

    monkeypatch.setattr(record, "moment", moment)
    apply.apply(landing.layers(), *what)
    monkeypatch.undo()
    with pytest.raises(RingfenceError, match="changed since the apply") as caught:
        undo.undo(landing.layers())
    assert "d0/added0" in caught.value.message
    with open(f"{landing.below}/d0/added0") as file:
        assert file.read() == "mine"


@pytest.mark.guarantee("Y2")
def test_an_error_at_any_step_takes_all_of_it_back(landing, monkeypatch):
    before, what = tree(landing.below), reviewed(landing)
    steps = 0
    for last in range(1, 10_000):
        count = [0]

        def moment(_what, last=last, count=count):
            count[0] += 1
            if count[0] == last:
                raise OSError(errno.EIO, "injected")

        monkeypatch.setattr(record, "moment", moment)
        try:
            apply.apply(landing.layers(), *what)
        except (OSError, RingfenceError):
            assert tree(landing.below) == before, last
            assert apply.interrupted(landing.layers()) is None, last
            steps += 1
            continue
        break
    assert steps > 4 * FILES


@pytest.mark.guarantee("Y2")
def test_a_disk_that_fills_up_anywhere_leaves_the_old_project(tmp_path, monkeypatch):
    """The look at the free space is switched off: the disk itself says no, each time a little later."""
    if os.getuid():
        pytest.skip("only root mounts here")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path], check=True, timeout=10)
    try:
        monkeypatch.setattr("ringfence.workspace.stage.Stage._check_space", lambda _: None)
        one = Landing(tmp_path)
        put(one.below, "old", "old" * 10_000)
        one.began()
        for number in range(12):
            put(one.upper, f"added{number}", os.urandom(10_000))
        put(one.upper, "old", "new" * 10_000)
        before, what = tree(one.below), reviewed(one)
        failures = [free for free in range(0, 400_000, 4096) if not fits(one, what, before, free)]
        assert len(failures) > 30
        assert len(tree(one.below)) == 13
    finally:
        subprocess.run(["umount", tmp_path], check=True, timeout=10)


def fits(one, what, before, free):
    """Apply with so much space left; tell whether it landed. If not, all is as before."""
    if len(tree(one.below)) == 13:
        return True
    status = os.statvfs(one.top)
    with open(f"{one.top}/filler", "wb") as filler:
        filler.write(bytes(max(0, status.f_bavail * status.f_frsize - free)))
    try:
        apply.apply(one.layers(), *what)
    except OSError:
        assert tree(one.below) == before
        assert apply.interrupted(one.layers()) is None
        return False
    finally:
        os.unlink(f"{one.top}/filler")
    return True


LIMITED = """
import os, resource, signal, sys
from landing import Landing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
one = Landing(sys.argv[1], started=int(sys.argv[2]))
try:
    one.apply()
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_file_that_may_not_become_so_large_leaves_the_old_project(tmp_path):
    one = Landing(tmp_path)
    put(one.below, "old", "old")
    one.began()
    put(one.upper, "added", "x" * 100_000)
    put(one.upper, "old", "new")
    before = tree(one.below)
    path = os.pathsep.join([HERE, os.path.join(os.path.dirname(HERE), "src")])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(one.more["started"])],
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == errno.EFBIG
    assert tree(one.below) == before
    assert apply.interrupted(one.layers()) is None


def test_two_at_once_take_turns(landing):
    what = reviewed(landing)
    errors = []

    def one():
        try:
            apply.apply(landing.layers(), *what)
        except RingfenceError as error:
            errors.append(error.message)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert {path: one[4] for path, one in tree(landing.below).items()} == wanted(landing, tree(landing.upper))
