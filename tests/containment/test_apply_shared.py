"""An apply so large that processes share its staging: all or nothing, as ever."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from landing import Landing, tree
from layered import put
from ringfence.errors import RingfenceError
from ringfence.workspace import apply, crew, manifest, record, undo
from ringfence.workspace.stage import Chosen

FILES = 12


@pytest.fixture
def landing(tmp_path, monkeypatch):
    """Return a session that is over, on a machine where every few files are shared among three."""
    monkeypatch.setattr(crew, "_processors", lambda: 3)
    monkeypatch.setattr(crew, "LEAST", 1)
    one = Landing(tmp_path)
    for number in range(FILES):
        put(one.below, f"d{number % 3}/old{number}", "old")
    one.began()
    for number in range(FILES):
        put(one.upper, f"d{number % 3}/old{number}", f"changed {number}")
        put(one.upper, f"d{number % 3}/new{number}", f"added {number}")
    os.symlink("old1", f"{one.upper}/d1/link")
    return one


def reviewed(landing):
    changes = landing.changes()
    return Chosen(changes=changes), manifest.Manifest.of(changes)


@pytest.mark.guarantee("Y3")
@pytest.mark.parametrize("name", ["d0/old0", "d1/old4", "d2/new11", "d2/old8"])
def test_what_is_not_as_reviewed_is_noticed_by_whoever_stages_it(landing, name):
    before, what = tree(landing.below), reviewed(landing)
    status = os.stat(f"{landing.upper}/{name}")
    put(landing.upper, name, "x" * status.st_size)
    with pytest.raises(RingfenceError, match=f"{name} is not what was reviewed"):
        apply.apply(landing.layers(), *what)
    assert tree(landing.below) == before
    assert apply.folders(landing.layers()) == []


@pytest.mark.guarantee("Y2")
@pytest.mark.parametrize("end", ["error", "kill"])
def test_whatever_happens_to_one_of_the_processes_the_project_is_as_before(landing, monkeypatch, end):
    before, what = tree(landing.below), reviewed(landing)

    def moment(at, number=0):
        if at.startswith("stage ") and at.endswith(f"{number:07d}"):
            if end == "error":
                raise OSError(errno.EIO, "injected")
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    parent = os.getpid()
    failed = 0
    for number in range(1, 2 * FILES + 1):
        monkeypatch.setattr(record, "moment", lambda at, number=number: moment(at, number))
        try:
            apply.apply(landing.layers(), *what)
        except (OSError, RingfenceError):
            failed += 1
            assert tree(landing.below) == before
            assert apply.folders(landing.layers()) == []
            continue
        undo.undo(landing.layers())
        assert tree(landing.below) == before
        what = reviewed(landing)
    assert failed >= FILES


@pytest.mark.guarantee("Y2")
@pytest.mark.parametrize("end", ["error", "kill"])
def test_whatever_happens_to_one_that_moves_files_all_of_it_is_taken_back(landing, monkeypatch, end):
    before, what = tree(landing.below), reviewed(landing)
    parent = os.getpid()
    failed = 0

    def moment(at, number):
        if at.startswith(("put ", "add ")) and at.endswith(f"{number:07d}") and number not in seen:
            if os.getpid() == parent:
                seen.add(number)  # not again when it is taken back
            if end == "error":
                raise OSError(errno.EIO, "injected")
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    for number in range(1, 2 * FILES + 1):
        seen = set()
        monkeypatch.setattr(record, "moment", lambda at, number=number: moment(at, number))
        try:
            apply.apply(landing.layers(), *what)
        except (OSError, RingfenceError):
            failed += 1
            monkeypatch.setattr(record, "moment", lambda _: None)
            if apply.interrupted(landing.layers()) is not None:  # the moment came again: by hand, then
                apply.roll_back(landing.layers())
            assert tree(landing.below) == before, number
            assert apply.folders(landing.layers()) == []
            continue
        monkeypatch.setattr(record, "moment", lambda _: None)
        undo.undo(landing.layers())
        assert tree(landing.below) == before
        what = reviewed(landing)
    assert failed >= FILES


PARENT = """
import os, signal, sys, time
from landing import Landing
from ringfence.workspace import apply, crew, record
crew._processors = lambda: 2
crew.LEAST = 1
parent = os.getpid()
def moment(at):
    if at.startswith(("put ", "add ")):
        if os.getpid() == parent:
            os.kill(parent, signal.SIGKILL)
        time.sleep(0.01)
record.moment = moment
Landing(sys.argv[1], started=int(sys.argv[2]), root=(int(sys.argv[3]), int(sys.argv[4]))).apply()
"""


@pytest.mark.guarantee("Y2")
@pytest.mark.parametrize("how", ["resume", "roll_back"])
def test_where_all_are_killed_the_next_finishes_it(landing, how):
    old = tree(landing.below)
    landing.apply()
    new = tree(landing.below)
    undo.undo(landing.layers())
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join([here, os.path.join(os.path.dirname(here), "src")])
    argv = [sys.executable, "-c", PARENT, landing.top, landing.more["started"], *landing.more["root"]]
    done = subprocess.run(
        list(map(str, argv)), env={"PYTHONPATH": path, "PATH": os.environ["PATH"]}, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 10
    while True:
        try:
            assert getattr(apply, how)(landing.layers())
            break
        except RingfenceError:  # a child that dies holds the lock until it has
            assert time.monotonic() < until
            time.sleep(0.01)
    assert tree(landing.below) == (new if how == "resume" else old)


def test_what_lands_is_what_one_process_would_have_made(landing, monkeypatch):
    before = tree(landing.below)
    landing.apply()
    shared = tree(landing.below)
    undo.undo(landing.layers())
    assert tree(landing.below) == before
    monkeypatch.setattr(crew, "_processors", lambda: 1)
    landing.apply()
    assert tree(landing.below) == shared != before
