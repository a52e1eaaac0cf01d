"""An apply so large that processes share its staging: all or nothing, as ever."""

import errno
import os
import signal

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


def test_what_lands_is_what_one_process_would_have_made(landing, monkeypatch):
    before = tree(landing.below)
    landing.apply()
    shared = tree(landing.below)
    undo.undo(landing.layers())
    assert tree(landing.below) == before
    monkeypatch.setattr(crew, "_processors", lambda: 1)
    landing.apply()
    assert tree(landing.below) == shared != before
