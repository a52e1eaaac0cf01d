"""The log's writer: one record a line, in order, by one writer, or an error."""

import errno
import json
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringfence.audit.event import GENESIS, KINDS, MAX_FIELD, spelled
from ringfence.audit.log import AuditError, Writer
from ringfence.audit.verify import verify
from ringfence.canonical import sha256

SESSION = "20260131-120000-abcd"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "audit.jsonl")


def records(path):
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]


def test_a_record_is_one_line_with_the_common_fields_first_and_the_hash_last(path):
    with Writer.create(path, SESSION) as log:
        made = log.append("start", tier="sandbox", argv=["claude", "-p"])
    text = Path(path).read_text()
    assert re.fullmatch(
        r'\{"seq":0,"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","session":"20260131-120000-abcd",'
        r'"kind":"start","prev":"0{64}","argv":\["claude","-p"\],"tier":"sandbox","hash":"[0-9a-f]{64}"\}\n',
        text,
    )
    assert records(path)[0]["hash"] == made


def test_the_hash_covers_the_hash_before_and_the_line_without_its_own(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        log.append("note", text="second")
    prev = GENESIS
    for line in Path(path).read_text().splitlines():
        body, made = line[:-75] + "}", line[-66:-2]
        assert sha256((prev + body).encode()) == made
        prev = made


def test_the_time_is_utc_with_microseconds(path):
    before = time.time()
    with Writer.create(path, SESSION) as log:
        log.append("start")
    import datetime as dt

    stamp = dt.datetime.fromisoformat(records(path)[0]["time"])
    assert stamp.tzinfo is not None
    assert before - 0.001 <= stamp.timestamp() <= time.time() + 0.001


def test_an_existing_file_is_not_taken_for_a_new_log(path):
    Path(path).touch()
    with pytest.raises(AuditError, match="cannot open"):
        Writer.create(path, SESSION)


def test_a_link_is_not_followed(path, tmp_path):
    (tmp_path / "victim").write_text("")
    os.symlink(tmp_path / "victim", path)
    for start in (lambda: Writer.create(path, SESSION), lambda: Writer.resume(path)):
        with pytest.raises(AuditError):
            start()
    assert (tmp_path / "victim").read_text() == ""


def test_a_missing_folder_is_an_error_that_says_what(tmp_path):
    with pytest.raises(AuditError, match="No such file or directory"):
        Writer.create(str(tmp_path / "no" / "audit.jsonl"), SESSION)


@pytest.mark.parametrize("session", ["", "a b", 'a"', "a/b", "a\n", "ä"])
def test_a_session_id_that_would_need_escapes_is_refused(path, session):
    with pytest.raises(ValueError, match="not a session id"):
        Writer.create(path, session)


def test_nobody_else_can_read_it(path):
    os.umask(0)
    try:
        Writer.create(path, SESSION).close()
    finally:
        os.umask(0o022)
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_second_writer_is_refused(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        with pytest.raises(AuditError, match="another process is writing") as error:
            Writer.resume(path)
    assert "one writer at a time" in error.value.hint


def test_the_lock_goes_even_when_a_forked_child_still_holds_the_descriptor(path):
    log = Writer.create(path, SESSION)
    log.append("start")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        log.close()
        Writer.resume(path).close()
    finally:
        os.close(read)
        os.close(write)
        os.waitpid(child, 0)


def test_a_reader_that_looks_at_the_lock_does_not_disturb_the_next_writer(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
    stop = multiprocessing.get_context("fork").Event()
    looker = multiprocessing.get_context("fork").Process(target=_look, args=(path, stop))
    looker.start()
    try:
        for _ in range(100):
            with Writer.resume(path) as log:
                log.append("note")
    finally:
        stop.set()
        looker.join(10)
    assert len(records(path)) == 101


def _look(path, stop):
    while not stop.is_set():
        verify(path)


def test_each_writer_continues_the_count_and_the_chain(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        log.append("plan")
    with Writer.resume(path) as log:
        assert (log.session, log.seq) == (SESSION, 2)
        log.append("verdict", effect="deny", host="evil.example")
    with Writer.resume(path) as log:
        log.append("end", status=0)
    assert [record["seq"] for record in records(path)] == [0, 1, 2, 3]
    assert verify(path).ok


def test_resuming_an_empty_a_torn_or_a_changed_log_is_refused(path):
    Writer.create(path, SESSION).close()
    with pytest.raises(AuditError, match="is empty"):
        Writer.resume(path)
    with open(path, "ab") as file:
        file.write(b'{"seq":0')
    with pytest.raises(AuditError, match="torn line"):
        Writer.resume(path)
    os.unlink(path)
    with Writer.create(path, SESSION) as log:
        log.append("start", tier="sandbox")
    text = Path(path).read_text()
    Path(path).write_text(text.replace("sandbox", "sandb0x"))
    with pytest.raises(AuditError, match="was changed"):
        Writer.resume(path)
    Path(path).write_text(text)
    Writer.resume(path).close()


def test_nothing_can_follow_the_end(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        log.append("end")
    with pytest.raises(AuditError, match="has ended"):
        Writer.resume(path)


def test_a_closed_log_takes_nothing(path):
    log = Writer.create(path, SESSION)
    log.close()
    log.close()
    with pytest.raises(AuditError, match="closed"):
        log.append("start")


def test_an_unknown_kind_and_a_field_with_a_common_name_are_our_own_faults(path):
    with Writer.create(path, SESSION) as log:
        with pytest.raises(ValueError, match="unknown kind"):
            log.append("surprise")
        for name in ("seq", "time", "session", "prev", "hash", "truncated"):
            with pytest.raises(ValueError, match="its own"):
                log.append("note", **{name: "x"})
    assert "surprise" not in KINDS


def test_an_event_of_countless_fields_is_our_own_fault(path):
    with Writer.create(path, SESSION) as log, pytest.raises(ValueError, match="an event of 65 fields"):
        log.append("note", **{f"f{number}": 1 for number in range(65)})


HOSTILE = {
    "a new record": 'x"}\n{"seq":9,"kind":"end"}',
    "a carriage return": "a\rb",
    "an escape sequence": "\x1b[2J\x1b]0;owned\x07",
    "a C1 control": "\x9b31m",
    "a direction override": "user\u202etxt.exe",
    "an isolate": "\u2066x\u2069",
    "line separators": "a\u2028b\u2029c\x85d",
    "NUL and DEL": "a\0b\x7fc",
    "bytes that are no text": "\udcff\udc80",
    "emoji": "🔑",
}


@pytest.mark.guarantee("A4")
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_what_an_agent_chose_stays_in_its_record(path, name):
    value = HOSTILE[name]
    with Writer.create(path, SESSION) as log:
        log.append("start")
        log.append("dns", name=value, nested={"list": [value], value: 1})
    data = Path(path).read_bytes()
    assert data.count(b"\n") == 2
    assert all(byte == 10 or 32 <= byte < 127 for byte in data)
    assert records(path)[1]["name"] == value
    assert verify(path).findings[-1].message.startswith("the session has no end")


def test_a_megabyte_is_cut_and_its_length_and_digest_kept(path):
    long = "ä" * (1 << 20)
    with Writer.create(path, SESSION) as log:
        log.append("start")
        log.append("verdict", path=long, host="a.example", headers=["x" * 10_000])
        log.append("end")
    record = records(path)[1]
    assert record["path"] == "ä" * MAX_FIELD
    assert record["truncated"]["path"] == {"length": 1 << 20, "sha256": sha256(long.encode())}
    assert record["host"] == "a.example"
    assert record["headers"].startswith('["xxx')
    assert os.path.getsize(path) < 80_000
    assert verify(path).ok


def test_a_full_disk_stops_the_session_and_leaves_whole_lines(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        size = os.path.getsize(path)
        with limited_file_size(size + 100):
            with pytest.raises(AuditError, match="cannot write the audit log"):
                log.append("note", text="x" * 500)
            with pytest.raises(AuditError):
                log.append("note")
        with pytest.raises(AuditError, match="cannot write"):
            log.append("note", text="also when there is room again")
    assert os.path.getsize(path) == size
    with Writer.resume(path) as log:
        log.append("end", reason="the log could not be written")
    assert verify(path).ok


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_no_space_left_is_told_with_what_to_do():
    from ringfence.audit.chain import write_line

    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(AuditError, match=os.strerror(errno.ENOSPC)) as error:
            write_line(fd, "/dev/full", "x", 0)
    finally:
        os.close(fd)
    assert "free some space" in error.value.hint


class limited_file_size:  # noqa: N801 - reads as a statement
    """A write that crosses this size is cut short, as on a disk that fills up."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        import signal

        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        import signal

        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)
        signal.signal(signal.SIGXFSZ, self.handler)


COST = """
import sys, time, os
before = set(sys.modules)
from ringfence.audit.log import Writer
from ringfence.audit import heads
loaded = set(sys.modules) - before
best = 1.0
for number in range(20):
    path = f"{sys.argv[1]}/{number}"
    start = time.perf_counter()
    log = Writer.create(path, "20260131-120000-abcd")
    for kind in ("start", "plan", "note"):
        log.append(kind, argv=["claude", "-p", "do it"], tier="sandbox", digest="0" * 64)
    log.close()
    best = min(best, time.perf_counter() - start)
print(best * 1000)
print(*sorted(loaded))
"""
HEAVY = {
    "asyncio", "ssl", "cryptography", "logging", "subprocess", "dataclasses", "typing", "enum", "re", "json",
    "tomllib", "pathlib", "socket", "hashlib", "_hashlib", "tempfile", "shutil", "contextlib", "functools",
    "collections", "random", "datetime",
}  # fmt: skip


def test_starting_a_log_costs_half_a_millisecond_at_most_and_imports_nothing_heavy(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-S", "-c", COST, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
    )
    milliseconds, loaded = answer.stdout.splitlines()
    assert not HEAVY.intersection(loaded.split())
    assert float(milliseconds) <= 0.5


# --- records that may wait


def test_a_record_that_may_wait_is_written_with_the_next_one(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        size = os.path.getsize(path)
        log.append_spelled("response", spelled({"status": 200}), later=True)
        assert os.path.getsize(path) == size
        log.append("note", text="next")
        with open(path, encoding="ascii") as file:
            assert [json.loads(line)["kind"] for line in file] == ["start", "response", "note"]
        log.append("end")
    assert verify(path).ok


@pytest.mark.parametrize("end", ["flush", "close"])
def test_a_record_that_waits_is_written_when_told_and_at_the_end(path, end):
    log = Writer.create(path, SESSION)
    log.append_spelled("response", spelled({"status": 200}), later=True)
    getattr(log, end)()
    with open(path, encoding="ascii") as file:
        assert file.read().count("\n") == 1
    log.close()


def test_records_that_wait_are_written_before_they_are_too_many(path):
    with Writer.create(path, SESSION) as log:
        for _ in range(400):
            log.append_spelled("response", spelled({"text": "x" * 1000}), later=True)
        assert os.path.getsize(path) > 300_000


def test_a_disk_that_is_full_takes_back_all_that_waited_and_stops_the_session(path):
    with Writer.create(path, SESSION) as log:
        log.append("start")
        size = os.path.getsize(path)
        log.append_spelled("response", spelled({"status": 200}), later=True)
        with limited_file_size(size + 300), pytest.raises(AuditError, match="cannot write"):
            log.append("note", text="x" * 500)
        with pytest.raises(AuditError):
            log.append("note")
    assert os.path.getsize(path) == size
