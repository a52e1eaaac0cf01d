"""What the check of a log finds, and that it finds nothing in a good one."""

import json
import os
import resource
import shutil
from pathlib import Path

import pytest

from ringfence.audit import heads
from ringfence.audit.event import encoded
from ringfence.audit.log import Writer
from ringfence.audit.verify import Head, verify, verify_heads

SESSION = "20260131-120000-abcd"


@pytest.fixture
def path(tmp_path):
    """A log of six records, closed and anchored in the state folder."""
    path = str(tmp_path / "audit.jsonl")
    with Writer.create(path, SESSION) as log:
        log.append("start", tier="sandbox")
        for number in range(4):
            log.append("verdict", effect="deny", host=f"h{number}.example")
        log.append("end", status=0)
        heads.append(str(tmp_path), SESSION, log.seq - 1, log.head)
    return path


@pytest.fixture
def anchor(path, tmp_path):
    assert os.path.exists(path)
    return verify_heads(str(tmp_path))[1][SESSION]


def lines_of(path):
    return Path(path).read_text().splitlines(keepends=True)


def write(path, lines):
    with open(path, "w") as file:
        file.writelines(lines)


def messages(path, anchor=None):
    return [f"{one.line}: {one.level}: {one.message}" for one in verify(path, SESSION, anchor).findings]


def test_a_good_log_has_no_findings(path, anchor):
    report = verify(path, SESSION, anchor)
    assert (report.ok, report.records, report.findings, report.running) == (True, 6, (), False)


def test_a_changed_record_is_named(path, anchor):
    lines = lines_of(path)
    lines[2] = lines[2].replace("h1.example", "hX.example")
    write(path, lines)
    assert messages(path, anchor)[0] == "3: error: was changed: its hash does not fit"


def test_a_removed_record_is_counted(path):
    lines = lines_of(path)
    write(path, lines[:2] + lines[4:])
    assert messages(path, None)[0] == "3: error: 2 records before this one missing"


def test_moved_repeated_and_inserted_records_are_named(path):
    lines = lines_of(path)
    write(path, [*lines[:2], lines[3], lines[2], *lines[4:]])
    assert "3: error: 1 record before this one missing" in messages(path)
    assert "4: error: record 2 stands after record 3: moved, repeated or inserted" in messages(path)
    write(path, [*lines[:3], lines[2], *lines[3:]])
    assert "4: error: record 2 stands after record 2: moved, repeated or inserted" in messages(path)


def test_a_record_with_a_hash_of_its_own_does_not_fit_the_next(path):
    lines = lines_of(path)
    lines[2] = forged(lines[2], host="innocent.example")
    write(path, lines)
    assert messages(path)[0] == (
        "4: error: does not continue the record before: "
        "one of the two was replaced, or there were two writers"
    )


def test_a_chain_rewritten_to_its_end_is_caught_by_the_anchor(path, anchor):
    lines = lines_of(path)
    for number in range(2, len(lines)):
        prev = json.loads(lines[number - 1])["hash"]
        lines[number] = forged(lines[number], prev=prev, **({"host": "x.example"} if number == 2 else {}))
    write(path, lines)
    assert verify(path, SESSION).ok
    assert messages(path, anchor) == [
        "6: error: ended with record 5 by the file of heads: cut off, replaced or rolled back"
    ]


def test_a_cut_tail_is_seen_without_and_with_the_anchor(path, anchor):
    write(path, lines_of(path)[:-1])
    assert messages(path) == [
        "5: error: the session has no end: the tail was cut off, or ringfence was killed"
    ]
    assert messages(path, anchor)[-1].endswith("by the file of heads: cut off, replaced or rolled back")


def test_a_log_rolled_back_and_ended_anew_is_caught_by_the_anchor(path, anchor):
    write(path, lines_of(path)[:3])
    with Writer.resume(path) as log:
        log.append("end", status=0)
    assert verify(path, SESSION).ok
    assert not verify(path, SESSION, anchor).ok


def test_a_torn_line_is_named(path):
    with open(path, "a") as file:
        file.write('{"seq":6,')
    assert messages(path)[0] == "7: error: is not a record: its line is torn"


def test_a_line_without_end_does_not_fill_the_memory(path):
    with open(path, "a") as file:
        file.truncate(64 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert messages(path)[0] == "7: error: is not a record: its line is torn"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_an_empty_and_a_missing_log_are_errors(path):
    write(path, [])
    assert messages(path)[-1] == "0: error: is empty"
    os.unlink(path)
    assert messages(path)[0] == "0: error: cannot be read: No such file or directory"


def test_the_log_of_another_session_is_not_taken_for_this_one(path):
    assert "belongs to another session" in verify(path, "20260131-130000-ffff").findings[0].message


def test_records_after_the_end_are_errors(path):
    last = json.loads(lines_of(path)[-1])
    common = {"seq": 6, "time": last["time"], "session": SESSION, "kind": "note", "prev": last["hash"]}
    with open(path, "a") as file:
        file.write(encoded(**common, fields={})[0] + "\n")
    assert messages(path) == ["7: error: stands after the session's end"]


def test_a_clock_that_goes_back_is_a_warning(tmp_path):
    path = str(tmp_path / "back.jsonl")
    first, made = encoded(0, "2026-01-31T12:00:01.000000Z", SESSION, "start", prev="0" * 64, fields={})
    last, _ = encoded(1, "2026-01-31T12:00:00.000000Z", SESSION, "end", prev=made, fields={})
    write(path, [first + "\n", last + "\n"])
    report = verify(path, SESSION)
    assert report.ok
    assert [one.level for one in report.findings] == ["warning", "warning"]
    assert "the clock went back" in report.findings[0].message
    assert report.findings[1].message == "its end is not in the file of heads"


def test_a_running_session_needs_no_end(tmp_path):
    path = str(tmp_path / "running.jsonl")
    with Writer.create(path, SESSION) as log:
        log.append("start")
        report = verify(path, SESSION)
        assert (report.running, report.ok, report.findings) == (True, True, ())
    assert not verify(path, SESSION).ok


def test_a_record_just_being_written_is_no_fault_of_a_running_session(tmp_path):
    path = str(tmp_path / "running.jsonl")
    with Writer.create(path, SESSION) as log:
        log.append("start")
        with open(path, "a") as file:
            file.write('{"seq":1,"ti')
        assert verify(path, SESSION).ok
    assert not verify(path, SESSION).ok


@pytest.mark.parametrize(
    "spelling",
    [
        lambda line: line.replace('"kind":"verdict"', '"kind": "verdict"'),
        lambda line: line.replace("h1", "\\u00681"),
        lambda line: line.replace('"effect"', '"effect":"allow","effect"'),
    ],
    ids=["a space", "another escape", "a member twice"],
)
def test_a_record_spelled_in_another_way_is_refused_even_with_the_right_hash(path, spelling):
    from ringfence.canonical import sha256

    lines = lines_of(path)
    body = spelling(lines[2].rstrip("\n"))[:-75]
    prev = json.loads(lines[1])["hash"]
    made = sha256((prev + body + "}").encode())
    write(path, [*lines[:2], f'{body},"hash":"{made}"}}\n'])
    assert messages(path)[0] == "3: error: is not a record of ours: spelled in another way"


def test_what_a_forger_wrote_cannot_drive_the_terminal(path):
    lines = lines_of(path)
    write(path, [lines[0], forged(lines[1], session="\x1b[2J\x1b]0;x\x07"), *lines[2:]])
    odd = os.rename(path, f"{path}\x1b[2J") or f"{path}\x1b[2J"
    shown = [str(one) for one in verify(odd, SESSION).findings]
    assert "audit.jsonl\\x1b[2J:2: is not a record of ours: spelled in another way" in shown[0]
    assert all(one.isprintable() for one in shown)


def forged(line, prev=None, **changes):
    """A record whose own hash is right."""
    record = {**json.loads(line), **changes}
    record.pop("hash")
    common = {name: record.pop(name) for name in ("seq", "time", "session", "kind", "prev")}
    session = common.pop("session")
    text, made = encoded(**{**common, "prev": prev or common["prev"]}, session="@@", fields=record)
    if not session.isprintable():
        session = json.dumps(session)[1:-1]
    from ringfence.canonical import sha256

    body = text[:-75].replace('"session":"@@"', f'"session":"{session}"')
    made = sha256(((prev or common["prev"]) + body + "}").encode())
    return f'{body},"hash":"{made}"}}\n'


def test_the_file_of_heads_is_itself_a_chain(tmp_path):
    state = str(tmp_path)
    for number in range(4):
        heads.append(state, f"2026013{number}-120000-abcd", 7, f"{number}" * 64)
    report, known = verify_heads(state)
    assert (report.ok, report.findings) == (True, ())
    assert known["20260132-120000-abcd"] == Head(session="20260132-120000-abcd", last=7, head="2" * 64)
    path = f"{state}/heads"
    lines = lines_of(path)
    for broken in ([*lines[:1], *lines[2:]], lines[::-1], [lines[0].replace("000", "001", 1), *lines[1:]]):
        write(path, broken)
        assert not verify_heads(state)[0].ok


def test_a_state_folder_without_heads_is_a_new_one(tmp_path):
    report, known = verify_heads(str(tmp_path))
    assert (report.ok, known) == (True, {})


def test_heads_written_by_many_at_once_stay_one_chain(tmp_path):
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                heads.append(str(tmp_path), f"s{number}", number, "a" * 64)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    report, known = verify_heads(str(tmp_path))
    assert (report.ok, len(known)) == (True, 8)


def test_a_session_named_twice_in_heads_is_an_error(tmp_path):
    for _ in range(2):
        heads.append(str(tmp_path), SESSION, 1, "a" * 64)
    assert "twice" in verify_heads(str(tmp_path))[0].findings[0].message


def test_heads_that_cannot_be_read_are_an_error(tmp_path):
    (tmp_path / "heads").mkdir()
    report, known = verify_heads(str(tmp_path))
    assert (report.ok, known) == (False, {})
    assert "cannot be read: Is a directory" in report.findings[0].message


@pytest.mark.parametrize("body", ["[1", '{"seq":0', '{"seq":"0"', "nonsense"])
def test_what_is_no_record_is_named_even_with_the_right_hash(path, body):
    from ringfence.canonical import sha256

    made = sha256(("0" * 64 + body + "}").encode())
    write(path, [f'{body},"hash":"{made}"}}\n'])
    assert messages(path)[0].startswith("1: error: is not a record: ")


def test_a_log_that_does_not_begin_with_a_start_is_an_error(path):
    first, _ = encoded(0, "2026-01-31T12:00:00.000000Z", SESSION, "note", prev="0" * 64, fields={})
    write(path, [first + "\n"])
    assert messages(path)[0] == "1: error: begins with a record of kind note, not start"


def test_a_kind_from_a_newer_version_is_a_warning(path):
    lines = lines_of(path)
    common = {"seq": 1, "time": json.loads(lines[0])["time"], "session": SESSION}
    newer, _ = encoded(**common, kind="hologram", prev=json.loads(lines[0])["hash"], fields={})
    write(path, [lines[0], newer + "\n"])
    assert "warning: unknown kind of record, hologram" in messages(path)[0]


def test_a_copy_can_be_checked_elsewhere(path, anchor, tmp_path):
    copy = str(tmp_path / "copy.jsonl")
    shutil.copy(path, copy)
    assert verify(copy, SESSION, anchor).ok
