"""`ringfence log`, as its user sees it."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest

from ringfence.audit import heads, query
from ringfence.audit.log import Writer
from ringfence.cli import run

OLD, NEW = "20260130-120000-aaaa", "20260131-120000-bbbb"


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Two sessions that have ended."""
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(tmp_path))
    for session, host in ((OLD, "old.example"), (NEW, "new.example")):
        with started(tmp_path, session) as log:
            log.append("verdict", effect="deny", host=host, port=443, reason="no rule names it")
            log.append("verdict", effect="allow", host="api.example", port=443, reason="")
            log.append("end", status=0)
            heads.append(str(tmp_path), session, log.seq - 1, log.head)
    return tmp_path


def started(state, session):
    os.makedirs(state / "sessions" / session)
    log = Writer.create(query.path_of(str(state), session), session)
    log.append("start", argv=["claude", "-p", "do it"], tier="sandbox")
    return log


def shown(capsys, *arguments, status=0):
    assert run(["log", *arguments]) == status
    return capsys.readouterr().out.splitlines()


def kinds(lines):
    return [line.split()[2] for line in lines]


@pytest.mark.usefixtures("state")
def test_without_a_session_all_are_shown_in_the_order_of_time(capsys):
    lines = shown(capsys)
    assert kinds(lines) == ["start", "verdict", "verdict", "end"] * 2
    assert [line.split()[1] for line in lines] == [OLD] * 4 + [NEW] * 4


@pytest.mark.usefixtures("state")
def test_one_line_a_record_with_what_matters_first(capsys):
    line = shown(capsys, "last", "--verdict", "deny")[0]
    assert line.split(maxsplit=2)[2] == (
        'verdict    effect=deny  host=new.example  port=443  reason="no rule names it"'
    )
    assert shown(capsys, "last")[2].endswith("  effect=allow  host=api.example  port=443")
    assert shown(capsys, "last")[0].endswith('start      argv=["claude","-p","do it"]  tier=sandbox')


@pytest.mark.parametrize("arguments", [["last"], [NEW], ["--session", NEW], ["20260131"]])
@pytest.mark.usefixtures("state")
def test_a_session_is_named_in_several_ways(capsys, arguments):
    assert {line.split()[1] for line in shown(capsys, *arguments)} == {NEW}


@pytest.mark.usefixtures("state")
def test_a_session_that_does_not_exist_is_a_usage_error(capsys):
    for name in ("nobody", "2026", "../sessions"):
        assert run(["log", name]) == 2
        assert capsys.readouterr().err.startswith(f"error: no session '{name}' has a log in ")


def test_no_log_at_all_is_nothing_to_show(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(tmp_path / "none"))
    assert shown(capsys) == []
    assert shown(capsys, "--verify") == ["0 logs, 0 records, 0 running: nothing changed, nothing missing"]


@pytest.mark.usefixtures("state")
def test_filters_combine(capsys):
    assert len(shown(capsys, "--verdict", "deny")) == 2
    assert len(shown(capsys, "--verdict", "deny", "--host", "new.*")) == 1
    assert len(shown(capsys, "--kind", "start")) == 2
    assert len(shown(capsys, "--since", "1h")) == 8
    assert shown(capsys, "--since", "2100-01-01T00:00:00Z") == []


@pytest.mark.usefixtures("state")
def test_a_wrong_filter_is_a_usage_error(capsys):
    assert run(["log", "--since", "yesterday"]) == 2
    assert (
        capsys.readouterr().err
        == "error: not a time: 'yesterday'\n\nhint: write 2026-01-31T12:00:00Z, or an age: 15m, 2h, 7d\n"
    )
    with pytest.raises(SystemExit) as ended:
        run(["log", "--kind", "nonsense"])
    assert ended.value.code == 2


def test_json_is_the_record_as_it_is_in_the_file(state, capsys):
    lines = shown(capsys, "last", "--json")
    with open(query.path_of(str(state), NEW)) as file:
        assert "\n".join(lines) + "\n" == file.read()
    assert json.loads(lines[1])["host"] == "new.example"


def test_what_is_stored_cannot_drive_the_terminal(state, capsys):
    evil = "\x1b[2J\x1b]0;owned\x07\r\n\x9b1m\u202e"
    with started(state, "20260201-120000-cccc") as log:
        log.append("dns", name=evil, evil=[evil])
    with open(query.path_of(str(state), "20260201-120000-cccc"), "ab") as file:
        file.write(evil.replace("\n", "").encode() + b"\n")
    lines = shown(capsys, "last")
    assert len(lines) == 3
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert "\\x1b[2J" in lines[1]
    assert lines[2].split()[0] == "damaged"


@pytest.mark.usefixtures("state")
def test_a_good_log_verifies_with_status_0(capsys):
    assert shown(capsys, "--verify") == ["2 logs, 8 records, 0 running: nothing changed, nothing missing"]
    assert shown(capsys, "last", "--verify")[-1].startswith("1 log, 4 records")


def test_a_broken_log_verifies_with_status_1_and_says_where(state, capsys):
    path = query.path_of(str(state), NEW)
    with open(path) as file:
        lines = file.readlines()
    with open(path, "w") as file:
        file.writelines(lines[:1] + lines[2:])
    told = shown(capsys, "--verify", status=1)
    assert told[0] == f"error: {path}:2: 1 record before this one missing"
    assert told[-1] == "2 logs, 7 records, 0 running: 1 broken"
    assert shown(capsys, OLD, "--verify")


def test_a_log_that_is_gone_is_told(state, capsys):
    os.unlink(query.path_of(str(state), OLD))
    assert shown(capsys, "--verify")[0].endswith("the log of this session is gone")


def test_a_running_session_is_no_broken_one(state, capsys):
    with started(state, "20260201-120000-cccc"):
        assert (
            shown(capsys, "--verify")[-1] == "3 logs, 9 records, 1 running: nothing changed, nothing missing"
        )


def command(state, *arguments, **options):
    environment = {**os.environ, "RINGFENCE_STATE_DIR": str(state), "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import sys; from ringfence.cli import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.Popen([sys.executable, "-c", code, "log", *arguments], env=environment, **options)


def test_follow_shows_what_comes_also_from_sessions_that_start_later(state):
    process = command(state, "--follow", "--kind", "note", stdout=subprocess.PIPE, text=True)
    try:
        with started(state, "20260201-120000-cccc") as log:
            log.append("note", text="first")
            assert "text=first" in process.stdout.readline()
            log.append("note", text="second")
            assert "text=second" in process.stdout.readline()
        with started(state, "20260202-120000-dddd") as log:
            log.append("note", text="third")
            assert "20260202-120000-dddd" in process.stdout.readline()
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_follow_costs_almost_nothing_while_nothing_comes(state):
    process = command(state, "--follow", stdout=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        before = cpu_seconds(process.pid)
        time.sleep(1.5)
        assert cpu_seconds(process.pid) - before < 0.15
    finally:
        process.kill()
        process.wait(10)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("plain", [False, True])
def test_colour_only_on_a_terminal_and_never_needed(state, plain, monkeypatch, capsys):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in "".join(shown(capsys))
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    ours, theirs = pty.openpty()
    process = command(state, "last", "--verdict", "deny", stdout=theirs)
    assert process.wait(20) == 0
    os.close(theirs)
    text = os.read(ours, 4096).decode()
    os.close(ours)
    assert ("\x1b[31m" in text) is not plain
    assert "effect=deny" in text


def test_the_last_session_is_the_one_that_began_last_whatever_its_id(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RINGFENCE_STATE_DIR", str(tmp_path))
    now = time.time()
    waited, usual = (time.strftime("%Y%m%d-%H%M%S", time.gmtime(now - ago)) for ago in (7200, 3600))
    for session in (f"{usual}-bbbb", f"{waited}-aaaa"):  # the second one's boundary waited in a pool
        started(tmp_path, session).close()
    assert f"{waited}-aaaa" in shown(capsys, "last", "--json")[0]
