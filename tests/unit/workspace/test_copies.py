"""Copies of projects on disk: begun, locked, ended, found, removed."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import time

import pytest

from ringfence.errors import BoundaryError, UsageError
from ringfence.value import replace
from ringfence.workspace import overlay
from ringfence.workspace.layers import COPY, Layers
from ringfence.workspace.processes import start_time
from ringfence.workspace.quota import Quota


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir(mode=0o750)
    return folder


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state/sessions").mkdir(parents=True)
    return tmp_path / "state"


def begun(state, project, session="20260101-000000-aaaa", **more):
    folder = state / "sessions" / session
    folder.mkdir()
    (folder / "audit.jsonl").write_text("")
    made = Layers(session=session, workspace=str(project), upper=f"{folder}/upper", **more)
    return overlay.begin(str(folder), made, os.getuid())


def killed(held):
    """Leave a copy as a launcher does that was killed."""
    os.close(held.lock)


class TestBeginning:
    def test_the_layer_looks_like_the_project(self, state, project):
        held = begun(state, project)
        assert stat.S_IMODE(os.stat(held.layers.upper).st_mode) == 0o750
        assert overlay.load(f"{held.folder}/layers.json") == held.layers
        killed(held)

    def test_the_mark_is_of_the_kernels_clock(self, state, project):
        (project / "before").write_text("")
        held = begun(state, project)
        (project / "after").write_text("")
        assert (project / "before").stat().st_ctime_ns <= held.layers.started
        assert held.layers.started <= (project / "after").stat().st_ctime_ns
        killed(held)

    @pytest.mark.guarantee("W4")
    def test_nobody_else_takes_it(self, state, project):
        held = begun(state, project)
        assert overlay.is_running(held.layers)
        with pytest.raises(UsageError, match="still running"):
            overlay.resume(held.layers, str(project))
        with pytest.raises(UsageError, match="still running"):
            overlay.remove(held.layers)
        killed(held)


class TestEnding:
    def test_a_helper_that_still_has_the_lock_does_not_hold_it(self, state, project):
        held = begun(state, project)
        with open(f"{held.layers.upper}/new", "w"):
            pass
        inherited = os.dup(held.lock)  # as fork does
        overlay.end(held)
        assert not overlay.is_running(overlay.find(str(state)))
        os.close(inherited)

    def test_an_untouched_one_is_gone(self, state, project):
        held = begun(state, project)
        assert overlay.end(held) is None
        assert os.listdir(held.folder) == ["audit.jsonl"]

    def test_a_touched_one_is_marked_and_counted(self, state, project):
        held = begun(state, project)
        os.mkdir(f"{held.layers.upper}/empty")
        with open(f"{held.layers.upper}/file", "wb") as file:
            file.write(b"x" * 10_000)
        used = overlay.end(held)
        assert used.entries == 2
        assert used.size >= 10_000
        assert overlay.find(str(state)).ended
        assert not os.path.exists(f"{held.folder}/work")

    def test_a_changed_mode_of_the_projects_own_folder_is_a_change(self, state, project):
        held = begun(state, project)
        os.chmod(held.layers.upper, 0o700)
        overlay.end(held)
        assert overlay.find(str(state)).session == held.layers.session

    def test_the_mode_000_of_the_kernels_work_folder_is_no_obstacle(self, state, project):
        held = begun(state, project)
        os.makedirs(f"{held.folder}/work/work/incompat/volatile")
        os.chmod(f"{held.folder}/work/work", 0)
        overlay.end(held)
        assert os.listdir(held.folder) == ["audit.jsonl"]

    def test_it_waits_for_what_still_runs(self, state, project):
        held = begun(state, project)
        with open(f"{held.layers.upper}/file", "wb"):
            pass
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; print(flush=True); time.sleep(0.3)"], stdout=subprocess.PIPE
        )
        child.stdout.readline()
        overlay.note_boundary(held, (child.pid,))
        overlay.end(held)
        assert start_time(child.pid) == "gone"
        child.communicate()

    def test_processes_that_were_gone_when_they_were_noted_are_not_waited_for(self, state, project):
        held = begun(state, project)
        with open(f"{held.layers.upper}/file", "wb"):
            pass
        child = subprocess.Popen(["true"])
        child.wait(timeout=30)
        overlay.note_boundary(held, (child.pid,))
        began = time.monotonic()
        overlay.end(held)
        assert time.monotonic() - began < overlay._DYING / 2
        assert overlay.find(str(state)).ended


def test_a_tree_that_nobody_would_wait_for_is_not_walked_to_its_end(tmp_path, monkeypatch):
    from ringfence.workspace import upper

    for number in range(20):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "x").write_text("")
    assert upper.usage(str(tmp_path)).complete
    monkeypatch.setattr(upper, "PATIENCE", 0.0)
    used = upper.usage(str(tmp_path))
    assert not used.complete
    assert used.entries < 20


class TestFinding:
    def test_by_id_by_its_beginning_and_as_the_last(self, state, project):
        for name in ("20260101-000000-aaaa", "20260101-000000-bbbb", "20260202-000000-cccc"):
            held = begun(state, project, name)
            os.mkdir(f"{held.layers.upper}/x")
            overlay.end(held)
        assert overlay.find(str(state), "20260101-000000-bbbb").session.endswith("bbbb")
        assert overlay.find(str(state), "20260101-000000-b").session.endswith("bbbb")
        assert overlay.find(str(state)).session.endswith("cccc")
        with pytest.raises(UsageError, match="stands for 2 sessions"):
            overlay.find(str(state), "20260101")
        with pytest.raises(UsageError, match="no session `x`"):
            overlay.find(str(state), "x")

    def test_the_last_may_be_of_one_project(self, state, project, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        for name, where in (("20260101-000000-aaaa", project), ("20260102-000000-bbbb", other)):
            held = begun(state, where, name)
            os.mkdir(f"{held.layers.upper}/x")
            overlay.end(held)
        assert overlay.find(str(state), "last", str(project)).workspace == str(project)

    def test_none_is_said_so(self, tmp_path):
        with pytest.raises(UsageError, match="no session has changed anything"):
            overlay.find(str(tmp_path))

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"session": 1, "other": 2}', "null"])
    def test_a_damaged_description_is_an_error_and_never_a_guess(self, state, project, text):
        held = begun(state, project)
        killed(held)
        with open(f"{held.folder}/layers.json", "w", encoding="ascii") as file:
            file.write(text)
        with pytest.raises(BoundaryError, match="cannot be used"):
            overlay.find(str(state))
        assert overlay.listed(str(state)) == ()

    @pytest.mark.guarantee("W4")
    def test_one_that_was_killed_is_marked_once_its_processes_are_gone(self, state, project):
        held = begun(state, project)
        os.mkdir(f"{held.layers.upper}/x")
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; print(flush=True); time.sleep(0.3)"], stdout=subprocess.PIPE
        )
        child.stdout.readline()
        overlay.note_boundary(held, (child.pid,))
        killed(held)
        assert overlay.find(str(state)).ended
        assert start_time(child.pid) == "gone"
        child.communicate()

    def test_a_removal_that_was_killed_is_finished_later(self, state, project, monkeypatch):
        held = begun(state, project)
        killed(held)
        os.unlink(f"{held.folder}/layers.json")  # what a removal does first
        overlay.listed(state)
        assert os.path.exists(held.layers.upper)  # so young, it may be a session that begins
        monkeypatch.setattr(overlay, "_BEGINNING", -1.0)
        overlay.listed(state)
        assert set(os.listdir(held.folder)) <= {"audit.jsonl", "plan.json"}

    def test_one_that_was_killed_untouched_is_forgotten(self, state, project):
        killed(begun(state, project))
        assert overlay.listed(str(state)) == ()
        assert os.listdir(state / "sessions/20260101-000000-aaaa") == ["audit.jsonl"]

    def test_a_path_that_is_no_text_survives(self, state, tmp_path):
        odd = os.fsdecode(bytes(tmp_path) + b"/\xff\xfe")
        os.mkdir(odd)
        held = begun(state, odd)
        os.mkdir(f"{held.layers.upper}/x")
        overlay.end(held)
        assert overlay.find(str(state)).workspace == odd


class TestContinuing:
    def test_takes_the_same_layer_with_a_fresh_work_folder(self, state, project):
        held = begun(state, project)
        os.mkdir(f"{held.layers.upper}/x")
        overlay.end(held)
        again = overlay.resume(overlay.find(str(state)), str(project))
        assert (again.layers.upper, again.layers.started) == (held.layers.upper, held.layers.started)
        assert os.listdir(f"{again.folder}/work") == []
        assert not overlay.load(f"{again.folder}/layers.json").ended
        overlay.abandon(again)
        assert overlay.find(str(state)).ended

    def test_is_about_one_project(self, state, project):
        held = begun(state, project)
        os.mkdir(f"{held.layers.upper}/x")
        overlay.end(held)
        with pytest.raises(UsageError, match="not about /elsewhere"):
            overlay.resume(held.layers, "/elsewhere")


class TestRemoving:
    def test_leaves_the_record_and_what_links_lead_to(self, state, project, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "kept").write_text("kept")
        held = begun(state, project)
        os.symlink(outside, f"{held.layers.upper}/link")
        os.mkdir(f"{held.layers.upper}/closed")
        os.chmod(f"{held.layers.upper}/closed", 0)
        os.mkfifo(f"{held.layers.upper}/fifo")
        overlay.end(held)
        overlay.remove(overlay.find(str(state)))
        assert os.listdir(held.folder) == ["audit.jsonl"]
        assert (outside / "kept").read_text() == "kept"

    def test_of_what_somebody_uses_is_refused(self, state, project):
        held = begun(state, project)
        os.mkdir(f"{held.layers.upper}/x")
        overlay.end(held)
        layers = overlay.find(str(state))
        with open(layers.lock, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(UsageError, match="still running"):
                overlay.remove(layers)
        assert os.path.isdir(layers.upper)


class TestTheRepositoryOfAWorktree:
    def test_has_layers_of_its_own(self, state, project, tmp_path):
        git = tmp_path / "main.git"
        git.mkdir()
        held = begun(state, project)
        overlay.add_repository(held, str(git), ("config",), os.getuid())
        with open(f"{held.folder}/repository/upper/HEAD", "w", encoding="ascii"):
            pass
        overlay.end(held)
        layers = overlay.find(str(state))
        own = overlay.repository_of(layers)
        assert (own.workspace, own.masked, own.ended) == (str(git), ("config",), True)
        assert sorted(os.listdir(f"{held.folder}/repository")) == ["layers.json", "upper"]

    def test_untouched_goes_with_the_rest(self, state, project, tmp_path):
        held = begun(state, project)
        overlay.add_repository(held, str(tmp_path), (), os.getuid())
        overlay.end(held)
        assert os.listdir(held.folder) == ["audit.jsonl"]


@pytest.mark.guarantee("L4")
class TestQuotas:
    def test_count_content_once_and_holes_never(self, tmp_path):
        quota = Quota((str(tmp_path),), 1 << 20)
        with open(tmp_path / "hole", "wb") as file:
            file.truncate(1 << 30)
        with open(tmp_path / "one", "wb") as file:
            file.write(os.urandom(600_000))
        os.link(tmp_path / "one", tmp_path / "two")
        assert quota.look() == ""

    def test_tell_what_is_too_much(self, tmp_path):
        quota = Quota((str(tmp_path),), 100_000)
        with open(tmp_path / "one", "wb") as file:
            file.write(os.urandom(200_000))
        assert "more than the quota of 100000" in quota.look()

    def test_count_files_without_content_too(self, tmp_path):
        for number in range(50):
            (tmp_path / str(number)).write_text("")
        assert "(50 files)" in Quota((str(tmp_path),), 100_000).look()

    def test_a_copy_counts_only_what_differs(self, tmp_path, state):
        from ringfence.workspace import snapshot

        project = tmp_path / "project"
        project.mkdir()
        for name in ("same", "changed", "gone"):
            (project / name).write_text(name)
        folder = state / "sessions/x"
        (folder / "copy").mkdir(parents=True)
        snapshot.take(
            str(project),
            f"{folder}/copy",
            f"{folder}/base",
            skipped=(),
            texts=(),
            bounded=True,
            owner=os.getuid(),
        )
        layers = Layers(session="x", workspace=str(project), upper=f"{folder}/copy", kind=COPY)
        assert snapshot.usage(layers).entries == 0
        (folder / "copy/changed").write_text("now")
        (folder / "copy/gone").unlink()
        (folder / "copy/new").write_text("new")
        assert snapshot.usage(replace(layers)).entries == 3


def test_the_description_is_canonical_json(state, project):
    held = begun(state, project)
    with open(f"{held.folder}/layers.json", encoding="ascii") as file:
        text = file.read()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n"
    killed(held)
