"""A review that still stands is taken up by an apply; whatever moved since, or is not clear, has all read anew."""

import fcntl
import os
import time

import pytest

from landing import Landing
from layered import put
from ringfence.canonical import encode
from ringfence.cli import apply as command
from ringfence.cli import diff
from ringfence.value import replace
from ringfence.workspace import manifest, overlay
from ringfence.workspace.review import report, standing

SESSION = "20260101-000000-abcd"


class Session(Landing):
    """A session as the commands find it: its folder in the state of an operator."""

    def __init__(self, top, monkeypatch):
        state = f"{top}/state"
        super().__init__(f"{top}/made")
        self.home = f"{state}/sessions/{SESSION}"
        os.makedirs(os.path.dirname(self.home))
        os.rename(self.session, self.home)
        self.upper, self.more["lock"] = f"{self.home}/upper", f"{self.home}/lock"
        monkeypatch.setenv("RINGFENCE_STATE_DIR", state)
        monkeypatch.chdir(self.below)

    def ended(self):
        """End the session; wait until nothing in it is so new that it could change unseen."""
        self.note()
        time.sleep(0.15)

    def note(self, **more):
        with open(f"{self.home}/layers.json", "w", encoding="ascii") as file:
            file.write(encode(self.layers(**more)))

    def began(self):
        self.folder = self.home
        super().began()

    def stands(self):
        return standing.load(overlay.load(f"{self.home}/layers.json"))


@pytest.fixture
def session(tmp_path, monkeypatch):
    one = Session(tmp_path, monkeypatch)
    put(one.below, "src/changed", "old\n")
    put(one.below, "src/gone", "going\n")
    put(one.below, "touched", "same\n")
    put(one.below, ".github/workflows/ci.yml", "on: push\n")
    one.began()
    put(one.upper, "src/changed", "new\n")
    put(one.upper, "src/added", "added\n")
    put(one.upper, "touched", "same\n")  # opened for writing, and not written
    put(one.upper, ".github/workflows/ci.yml", "on: pull_request_target\n")
    one.ended()
    return one


def unread(*_):
    raise AssertionError("everything was read anew")


def refuse_to_read(monkeypatch):
    monkeypatch.setattr(report, "build", unread)


def test_what_was_reviewed_is_the_same_report(session):
    assert diff.main([SESSION]) == diff.CHANGES
    found = session.stands()
    made = report.build(session.layers())
    assert found.report == made
    assert found.report.findings
    assert found.reviewed.items == manifest.load(session.layers()).items
    assert found.reviewed.digest == manifest.load(session.layers()).digest


def test_an_apply_after_a_review_reads_nothing_anew(session, monkeypatch):
    diff.main([SESSION])
    refuse_to_read(monkeypatch)
    assert command.main(["--yes", SESSION]) == command.LEFT
    with open("src/changed") as changed, open("src/added") as added:
        assert (changed.read(), added.read()) == ("new\n", "added\n")
    with open(".github/workflows/ci.yml") as risky:
        assert risky.read() == "on: push\n"  # it still needs a yes of its own
    assert {one.path for one in manifest.load(session.layers()).items} == {b".github/workflows/ci.yml"}


@pytest.mark.usefixtures("session")
def test_an_apply_of_some_paths_does_so_too(monkeypatch):
    diff.main([SESSION, "src"])
    refuse_to_read(monkeypatch)
    assert command.main(["--yes", SESSION, "src/added"]) == command.APPLIED


@pytest.mark.usefixtures("session")
def test_without_a_review_everything_is_read(monkeypatch):
    refuse_to_read(monkeypatch)
    with pytest.raises(AssertionError, match="read anew"):
        command.main(["--yes", SESSION])


def more(one):
    put(one.upper, "src/more", "more\n")


def fewer(one):
    os.unlink(f"{one.upper}/src/added")


def replaced(one):
    put(one.upper, "src/other", "other\n")
    os.rename(f"{one.upper}/src/other", f"{one.upper}/src/changed")


def touched(one):
    put(one.upper, "touched", "written after all\n")


def mode_of_a_folder(one):
    os.chmod(f"{one.upper}/src", 0o700)


def project_grew(one):
    put(one.below, "src/README", "")


def project_wrote(one):
    put(one.below, "touched", "by the user\n")


def project_lost(one):
    os.unlink(f"{one.below}/src/gone")


def gone_on(one):
    one.note(ended=False)
    one.note()


def other_rules(_one):
    standing.__version__ = "0.0.0-another"


def torn(one):
    with open(f"{one.home}/standing", "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"???")


def cut(one):
    os.truncate(f"{one.home}/standing", 40)


def opened_up(one):
    os.chmod(f"{one.home}/standing", 0o666)


@pytest.mark.parametrize(
    "act",
    [
        more, fewer, replaced, touched, mode_of_a_folder, project_grew, project_wrote, project_lost, gone_on,
        other_rules, torn, cut, opened_up,
    ],
)  # fmt: skip
def test_what_moved_since_has_all_read_anew(session, monkeypatch, act):
    monkeypatch.setattr(standing, "__version__", standing.__version__)  # set back at the end
    diff.main([SESSION])
    assert session.stands() is not None
    act(session)
    assert session.stands() is None


def test_what_is_too_new_to_tell_is_not_kept(session):
    put(session.upper, "src/now", "")
    os.utime(f"{session.upper}/src")
    seen = standing.trace.Trace()
    made = report.build(session.layers())
    seen.began = time.time_ns()
    upper, below = os.open(f"{session.upper}/src", os.O_RDONLY), os.open(f"{session.below}/src", os.O_RDONLY)
    try:
        seen.folder(b"src", upper, below)
    finally:
        os.close(upper), os.close(below)
    standing.save(session.layers(), made, seen, shown=None)
    assert session.stands() is None


def test_a_session_that_runs_is_not_kept(session):
    session.note(ended=False)
    with open(f"{session.home}/lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as its launcher does
        diff.main([SESSION])
    assert not os.path.exists(f"{session.home}/standing")


def test_a_review_of_less_than_an_apply_would_read_is_not_kept(session):
    diff.main([SESSION, "--max-size", "1"])
    assert session.stands() is None


def test_bytes_that_are_others_by_now_are_not_applied(session):
    diff.main([SESSION])
    with open(f"{session.upper}/src/changed", "r+") as file:
        file.write("bad")  # the same size, and the folder knows nothing of it
    assert session.stands() is not None
    with pytest.raises(command.BoundaryError, match="not what was reviewed"):
        command.main(["--yes", SESSION])
    with open("src/changed") as changed:
        assert changed.read() == "old\n"
    assert not os.path.exists("src/added")


def test_what_the_user_wrote_meanwhile_is_a_conflict(session, capsys):
    diff.main([SESSION])
    with open("src/changed", "w") as file:
        file.write("by the user\n")
    assert session.stands() is not None
    assert command.main(["--yes", SESSION]) == command.CONFLICT
    assert "CONFLICT src/changed" in capsys.readouterr().out
    with open("src/changed") as changed:
        assert changed.read() == "by the user\n"
    assert not os.path.exists("src/added")


@pytest.mark.usefixtures("session")
def test_a_dry_run_leaves_the_review_standing(monkeypatch):
    diff.main([SESSION])
    refuse_to_read(monkeypatch)
    command.main(["--dry-run", "--yes", SESSION])
    assert command.main(["--yes", SESSION]) == command.LEFT


def test_a_session_with_another_layer_is_another(session):
    diff.main([SESSION])
    assert standing.load(replace(session.layers(), masked=("x",))) is None
