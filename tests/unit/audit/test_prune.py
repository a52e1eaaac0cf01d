"""Records that are old go; what is evidence, or somebody's work, stays; and the file of heads says which."""

import json
import os
import time

import pytest

from ringfence.audit import heads, prune, query
from ringfence.audit.chain import AuditError
from ringfence.audit.log import Writer
from ringfence.audit.verify import verify, verify_heads
from ringfence.cli import run

DAY = 86400


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(tmp_path))
    return tmp_path


def session(state, number, age, *, ended=True, more=()):
    """Make a session whose record was last written `age` days ago; return its id."""
    name = f"20260101-0000{number:02d}-abcd"
    folder = state / "sessions" / name
    os.makedirs(folder)
    with Writer.create(query.path_of(str(state), name), name) as log:
        log.append("start", argv=["true"], tier="sandbox")
        log.append("verdict", effect="deny", host="a.example", port=443, reason="no rule names it")
        if ended:
            log.append("end", status=0)
            heads.append(str(state), name, log.seq - 1, log.head)
    for one in ("plan.json", *more):
        os.makedirs((folder / one).parent, exist_ok=True)
        (folder / one).write_text("{}")
    then = time.time() - age * DAY
    for one in folder.iterdir():
        os.utime(one, (then, then))
    return name


def left(state):
    return sorted(os.listdir(state / "sessions"))


@pytest.mark.guarantee("A5")
@pytest.mark.parametrize("more", ["layers.json", "upper/file", "set-aside/hook", "lock", "unknown"])
def test_a_session_that_left_more_than_its_record_stays(state, more):
    kept = session(state, 1, 400, more=[more])
    gone = session(state, 2, 400)
    assert prune.prune(str(state), 30 * DAY).removed == (gone,)
    assert left(state) == [kept]


@pytest.mark.guarantee("A5")
def test_a_log_that_was_changed_stays(state):
    changed, cut, killed, fine = (session(state, n, 400, ended=n != 3) for n in (1, 2, 3, 4))
    log = state / "sessions" / changed / "audit.jsonl"
    log.write_text(log.read_text().replace("a.example", "b.example"))
    log2 = state / "sessions" / cut / "audit.jsonl"
    log2.write_text("".join(log2.read_text().splitlines(keepends=True)[:-1]))
    for one in (log, log2):
        os.utime(one, (0, 0))
    done = prune.prune(str(state), 30 * DAY)
    assert (done.removed, done.changed) == ((killed, fine), (changed, cut))
    assert left(state) == [changed, cut]


@pytest.mark.guarantee("A5")
def test_a_copy_of_a_log_that_was_pruned_is_still_provable(state, tmp_path):
    name = session(state, 1, 400)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((state / "sessions" / name / "audit.jsonl").read_bytes())
    prune.prune(str(state), 30 * DAY)
    report, known = verify_heads(str(state))
    assert report.ok
    assert verify(str(copy), name, known[name]).ok
    copy.write_bytes(copy.read_bytes().replace(b"a.example", b"b.example"))
    assert not verify(str(copy), name, known[name]).ok


def test_what_runs_or_is_young_stays(state):
    running, young = session(state, 1, 400, ended=False), session(state, 2, 3)
    os.makedirs(state / "live")
    (state / "live" / running).write_text("1 1")
    assert prune.prune(str(state), 30 * DAY) == prune.Pruned()
    assert left(state) == [running, young]


def test_nothing_is_pruned_while_the_file_of_heads_is_broken(state):
    session(state, 1, 400)
    path = state / "heads"
    path.write_text(path.read_text().replace('"last":2', '"last":1'))
    with pytest.raises(AuditError, match="nothing is pruned while the file of heads is broken"):
        prune.prune(str(state), 30 * DAY)
    assert len(left(state)) == 1


@pytest.mark.guarantee("A5")
def test_a_log_that_is_gone_is_told_and_one_that_was_pruned_is_not_an_alarm(state, capsys):
    pruned, gone = session(state, 1, 400), session(state, 2, 3)
    session(state, 3, 3)
    assert run(["sessions", "prune", "--older", "30d"]) == 0
    assert capsys.readouterr().out == "pruned the records of 1 session\n"
    (state / "sessions" / gone / "audit.jsonl").unlink()
    assert run(["log", "--verify"]) == 0
    said = capsys.readouterr().out
    assert f"{gone}/audit.jsonl: the log of this session is gone" in said
    assert pruned not in said
    assert said.endswith("1 log, 3 records, 0 running, 1 pruned: nothing changed, nothing missing\n")


def test_a_log_pruned_with_another_end_than_it_had_is_an_error(state):
    name = session(state, 1, 400)
    heads.append_pruned(str(state), name, 1, "a" * 64)
    assert "was pruned with another end" in verify_heads(str(state))[0].findings[0].message


def test_a_prune_that_was_killed_is_finished_by_the_next(state):
    name = session(state, 1, 400)
    _, known = verify_heads(str(state))
    heads.append_pruned(str(state), name, known[name].last, known[name].head)
    assert prune.prune(str(state), 30 * DAY).removed == (name,)
    report, known = verify_heads(str(state))
    assert (report.records, report.ok, known[name].pruned) == (2, True, True)


def test_by_itself_it_happens_once_a_day_and_as_was_said(state):
    old, older = session(state, 1, 100), session(state, 2, 400)
    assert prune.is_due(str(state))
    assert prune.automatic(str(state)).removed == (older,)
    assert not prune.is_due(str(state))
    assert run(["sessions", "prune", "--keep", "90d"]) == 0
    assert prune.automatic(str(state)).removed == (old,)
    session(state, 3, 4000)
    assert run(["sessions", "prune", "--keep", "forever"]) == 0
    assert prune.automatic(str(state)) == prune.Pruned()
    assert run(["sessions", "prune"]) == 2


@pytest.mark.parametrize("words", [["--older", "30d", "--keep", "1d"], ["last"], ["--older", "soon"]])
@pytest.mark.usefixtures("state")
def test_wrong_usage_prunes_nothing(words):
    assert run(["sessions", "prune", *words]) == 2


def test_every_line_of_the_file_of_heads_is_a_record(state):
    session(state, 1, 400)
    prune.prune(str(state), 30 * DAY)
    kinds = [json.loads(line)["kind"] for line in (state / "heads").read_text().splitlines()]
    assert kinds == ["head", "pruned"]
