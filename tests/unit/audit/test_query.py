"""Reading logs back: what a filter keeps, and how several logs become one list."""

import pytest

from ringfence.audit import query
from ringfence.audit.event import Event
from ringfence.audit.log import Writer


def event(kind="verdict", time="2026-01-31T12:00:00.000000Z", **fields):
    return Event(seq=0, time=time, session="s", kind=kind, prev="", hash="", fields=tuple(fields.items()))


@pytest.mark.parametrize(
    ("kind", "fields", "verdict"),
    [
        ("verdict", {"effect": "ask"}, "ask"),
        ("refused", {"reason": "not HTTP"}, "deny"),
        ("dns", {"name": "evil.example", "answer": "no such name"}, "deny"),
        ("dns", {"name": "api.example", "answer": "198.18.0.1"}, ""),
        ("dial", {}, ""),
    ],
)
def test_refusals_of_every_kind_count_as_denied(kind, fields, verdict):
    assert query.verdict_of(event(kind, **fields)) == verdict


@pytest.mark.parametrize(
    ("wanted", "fields", "kept"),
    [
        ({}, {}, True),
        ({"verdict": "deny"}, {"effect": "deny"}, True),
        ({"verdict": "deny"}, {"effect": "allow"}, False),
        ({"verdict": "deny"}, {}, False),
        ({"verdict": "deny"}, {"effect": ["deny"]}, False),
        ({"kind": "dial"}, {}, False),
        ({"kind": "verdict"}, {}, True),
        ({"host": "api.example"}, {"host": "api.example"}, True),
        ({"host": "API.example"}, {"host": "api.Example"}, True),
        ({"host": "example"}, {"host": "api.example"}, False),
        ({"host": "*.example"}, {"host": "a.b.example"}, True),
        ({"host": "*.example"}, {"host": "example"}, False),
        ({"host": "*"}, {}, True),
        ({"host": "a*"}, {}, False),
        ({"since": "2026-01-31T12:00:00"}, {}, True),
        ({"since": "2026-01-31T12:00:01"}, {}, False),
        ({"verdict": "deny", "host": "*.x"}, {"effect": "deny", "host": "a.y"}, False),
    ],
)
def test_a_filter_wants_what_fits_all_its_parts(wanted, fields, kept):
    assert query.Filter(**wanted).wants(event(**fields)) is kept


def test_the_host_of_a_question_is_the_name_asked_for():
    wanted = query.Filter(host="*.evil.example")
    assert wanted.wants(event("dns", name="secret.evil.example"))
    assert not wanted.wants(event("dns", name="api.example"))
    assert not wanted.wants(event("inject", name="a.evil.example"))


def test_logs_merge_in_the_order_of_time():
    first = [event(time=f"2026-01-31T12:00:0{second}.000000Z", n=second) for second in (1, 4)]
    second = [event(time=f"2026-01-31T12:00:0{second}.000000Z", n=second) for second in (0, 2, 5)]
    assert [one.get("n") for one in query.merge([first, second])] == [0, 1, 2, 4, 5]


def test_sessions_are_those_with_a_log(tmp_path):
    assert query.sessions(str(tmp_path)) == []
    for name in ("b", "a", "empty"):
        (tmp_path / "sessions" / name).mkdir(parents=True)
    for name in ("a", "b"):
        Writer.create(query.path_of(str(tmp_path), name), name).close()
    assert query.sessions(str(tmp_path)) == ["a", "b"]


def test_what_is_written_is_read_back(tmp_path):
    path = str(tmp_path / "log")
    with Writer.create(path, "s") as log:
        log.append("start", argv=["ü\n"], nothing=None, number=1.5)
    (one,) = query.read(path)
    assert (one.kind, one.seq, one.session, one.hash) == ("start", 0, "s", log.head)
    assert dict(one.fields) == {"argv": ["ü\n"], "nothing": None, "number": 1.5}


@pytest.mark.parametrize("line", ["", "{}", "[1]", "nonsense \x1b[2J", '{"seq":1}', '"x"', "1"])
def test_a_line_that_is_no_record_is_shown_as_damaged(line):
    one = query.event_of(line + "\n")
    assert one.kind == query.DAMAGED
    assert one.get("line").isprintable()
