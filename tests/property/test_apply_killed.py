"""An apply that is killed at any moment leaves the old project or the new one, and nothing else, once finished."""

import os
import subprocess

import pytest

from killed import killed
from landing import Landing, tree
from layered import put
from ringfence.workspace import apply, record

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # a test's worker may have threads
CHANGES = """
echo new > added; echo more >> changed; rm gone; rm -r tree; mkdir -p fresh/deep; echo x > fresh/deep/file
mv moved elsewhere; rm file2dir; mkdir file2dir; echo y > file2dir/inner; rm -r dir2file; echo z > dir2file
ln -s added link; chmod 700 mode
"""


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch):
    """Wait for no disk: unlike a power cut, a kill loses nothing of what the kernel was given."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)
    monkeypatch.setattr(record, "sync_file_system", lambda _fd: None)


@pytest.fixture(params=["same file system", "another file system"])
def landing(request, tmp_path):
    """Return a session that is over; its folder on the project's mount, or on another."""
    session = f"{tmp_path}/session"
    if request.param != "same file system":
        if os.getuid():
            pytest.skip("only root mounts here")
        os.mkdir(session)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", session], check=True, timeout=10)
    try:
        one = Landing(tmp_path)
        for name in ("changed", "gone", "tree/a", "tree/b/c", "file2dir", "dir2file/in", "mode"):
            put(one.below, name, name)
        put(one.below, "moved", "some content that moves")
        one.began()
        one.agent(CHANGES)
        yield one
    finally:
        if request.param != "same file system":
            subprocess.run(["umount", session], check=True, timeout=10)


def ours(landing):
    """Return what of ringfence's own is left in the project."""
    return [name for name in os.listdir(landing.below) if name.startswith(".ringfence")]


def finish(landing, how):
    """Do what the next command offers; return whether there was anything to finish."""
    there_was = how(landing.layers())
    for folder in apply.folders(landing.layers()):
        apply.tidy(folder)
    return there_was


@pytest.mark.guarantee("Y2")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["resume", "roll_back"])
def test_killed_at_every_step_it_is_old_or_new(landing, how):
    old = tree(landing.below)
    landing.apply()
    new = tree(landing.below)
    assert not killed(landing, "undo", 0)
    assert tree(landing.below) == old
    step, begun = 0, 0
    while True:
        step += 1
        was_killed = killed(landing, "apply", step)
        there_was = finish(landing, getattr(apply, how))
        begun += there_was
        now = tree(landing.below)
        assert ours(landing) == []
        assert now in (old, new), step
        if there_was:
            assert now == (new if how == "resume" else old), step
        if not was_killed:
            break
        if now == new:
            assert not killed(landing, "undo", 0), step
            assert tree(landing.below) == old, step
    assert begun > 10
    assert now == new


@pytest.mark.guarantee("Y2")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["resume", "roll_back"])
def test_an_undo_killed_at_every_step_is_undone_or_not(landing, how):
    old = tree(landing.below)
    landing.apply()
    new = tree(landing.below)
    step = 0
    while True:
        step += 1
        was_killed = killed(landing, "undo", step)
        there_was = finish(landing, getattr(apply, how))
        now = tree(landing.below)
        assert ours(landing) == []
        assert now in (old, new), step
        if there_was:
            assert now == (old if how == "resume" else new), step
        if not was_killed:
            break
        if now == old:
            landing.apply()
            assert tree(landing.below) == new, step
    assert step > 10
    assert now == old


@pytest.mark.timeout(300)
def test_a_rollback_killed_at_every_step_can_be_rolled_back_or_resumed(landing):
    old = tree(landing.below)
    landing.apply()
    new = tree(landing.below)
    killed(landing, "undo", 0)
    late = last_moment(landing)
    step = 0
    while True:
        step += 1
        assert killed(landing, "apply", late)
        was_killed = killed(landing, "rollback", step)
        there_was = finish(landing, apply.resume if step % 2 else apply.roll_back)
        assert tree(landing.below) in (old, new), step
        if there_was:
            assert tree(landing.below) == (new if step % 2 else old), step
        if not was_killed:
            break
        if tree(landing.below) == new:
            killed(landing, "undo", 0)
    assert step > 10


def last_moment(landing):
    """Return a late moment at which an apply has a journal and all its steps done."""
    late = 0
    while True:
        late += 1
        was_killed = killed(landing, "apply", late)
        if not was_killed:
            killed(landing, "undo", 0)
            return late - 2
        finish(landing, apply.roll_back)
