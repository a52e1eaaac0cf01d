"""Facts of a body: what is read, what is not, and how much of it is looked at."""

import sys

import pytest

from ringfence.egress import inspect_git, limits
from ringfence.egress.inspect import Inspection, Limited
from ringfence.egress.refusal import Refused
from ringfence.verdict.facts import GIT_COMMANDS, GRAPHQL, LFS, Commands, GraphQL, Lfs, Unread, Update
from ringfence.verdict.request import UNKNOWN, Request

OLD, NEW, NONE = b"1" * 40, b"2" * 40, b"0" * 40


def request(length=UNKNOWN, **more):
    plain = {"scheme": "https", "host": "a.test", "port": 443, "method": "POST", "paths": ("/",)}
    fields = [(b"Content-Type", b"application/json")]
    return Request(**{**plain, "fields": fields, "length": length, **more})


def facts(need, *pieces, length=UNKNOWN):
    inspection = Inspection(request(length), frozenset({need}))
    for piece in (*pieces, b""):
        if not inspection.enough:
            inspection.feed(piece)
    return inspection.facts()


def pkt(line):
    return b"%04x" % (len(line) + 4) + line


def commands(*lines, end=b"0000"):
    return facts(GIT_COMMANDS, b"".join(map(pkt, lines)) + end).commands


# --- pushes


def test_commands_are_read_up_to_the_flush():
    first = pkt(OLD + b" " + NEW + b" refs/heads/a\0 report-status agent=git/2")
    second = pkt(NONE + b" " + NEW + b" refs/heads/b\n")
    third = pkt(OLD + b" " + NONE + b" refs/tags/c")
    inspection = Inspection(request(), frozenset({GIT_COMMANDS}))
    whole = first + second + third + b"0000PACK and more"
    inspection.feed(whole)
    assert inspection.enough
    assert inspection.taken == whole
    assert inspection.facts().commands == Commands(
        updates=(
            Update(action="update", ref="refs/heads/a"),
            Update(action="create", ref="refs/heads/b"),
            Update(action="delete", ref="refs/tags/c"),
        )
    )


def test_shallow_lines_and_long_ids_are_known():
    line = b"1" * 64 + b" " + b"0" * 64 + b" refs/heads/a\0 object-format=sha256"
    assert commands(b"shallow " + OLD, line) == Commands(
        updates=(Update(action="delete", ref="refs/heads/a"),)
    )


@pytest.mark.parametrize(
    "lines",
    [
        [b"push-cert\0 report-status\n"],
        [OLD + b" " + NEW + b" HEAD"],
        [OLD + b" " + NEW + b" refs/heads/a b"],
        [OLD + b" " + NEW + b" refs/heads/.x"],
        [OLD + b" " + NEW + b" refs/heads/x.lock"],
        [OLD + b" " + NEW + b" refs/heads/x/../y"],
        [OLD + b" " + NEW + b" refs/heads/x@{1}"],
        [OLD + b"  " + NEW + b" refs/heads/a"],
        [OLD[1:] + b" " + NEW + b" refs/heads/a"],
        [OLD + b" " + NEW + b" refs/heads/a\0x", OLD + b" " + NEW + b" refs/heads/b\0refs/heads/c"],
        [OLD + b" " + NEW + b" refs/heads/a\0x", b"shallow " + OLD],
        [b"\0"],
    ],
)
def test_what_a_server_could_read_otherwise_is_not_read(lines):
    assert isinstance(commands(*lines), Unread)


@pytest.mark.parametrize(
    "end", [b"", b"000", b"0001", b"0002", b"0003", b"0004", b"fff1", b"00zz", b" 000", b"0x10"]
)
def test_a_list_that_does_not_end_in_a_flush_is_not_read(end):
    assert isinstance(commands(OLD + b" " + NEW + b" refs/heads/a\0x", end=end), Unread)


def test_more_refs_than_are_looked_at_are_not_read():
    line = pkt(OLD + b" " + NEW + b" refs/heads/a")
    inspection = Inspection(request(), frozenset({GIT_COMMANDS}))
    fed = 0
    while not inspection.enough:
        inspection.feed(line)
        fed += len(line)
    assert fed <= limits.GIT_COMMANDS + len(line)
    assert inspection.facts().commands == Unread(reason="the push changes more refs than can be looked at")


def test_lfs_says_what_it_wants():
    assert facts(LFS, b'{"operation": "upload"}').lfs == Lfs(operation="upload")
    for body in (
        b"",
        b"[]",
        b"{}",
        b'{"operation": "x"}',
        b'{"operation": ["upload"]}',
        b"[1]",
        b"\xff",
        b"[" * 100_000,
    ):
        assert isinstance(facts(LFS, body).lfs, Unread)


# --- GraphQL


def test_a_body_beyond_its_limit_is_not_read_to_its_end():
    inspection = Inspection(request(), frozenset({GRAPHQL}))
    while not inspection.enough:
        inspection.feed(b" " * 65536)
    assert len(inspection.taken) <= limits.GRAPHQL_BODY + 65536
    assert isinstance(inspection.facts().graphql, Unread)


def test_an_empty_body_is_no_operation():
    assert facts(GRAPHQL, length=0).graphql == GraphQL(operations=())
    assert facts(GRAPHQL).graphql == GraphQL(operations=())


@pytest.mark.parametrize(
    "document",
    [
        "{" * 5000,
        "{" + "a " * 20_000 + "}",
        "{ a(x: " + "[" * 5000 + ") }",
        "query { ... { ... { a } } } query { b }",
    ],
)
def test_documents_made_to_exhaust_are_not_read(document):
    body = b'{"query": "' + document.encode() + b'"}'
    assert isinstance(facts(GRAPHQL, body).graphql, Unread)
    assert isinstance(facts(GRAPHQL, b'{"query": ' + b"[" * 50_000).graphql, Unread)


def test_without_the_parser_the_refusal_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphql", None)
    assert "ringfence[graphql]" in facts(GRAPHQL, b'{"query": "{ a }"}').graphql.reason


# --- size


def test_a_limited_body_passes_up_to_its_limit_and_no_further():
    body = Limited(4, "a.test")
    assert body.feed(b"ab") + body.feed(b"cd") + body.finish() == b"abcd"
    with pytest.raises(Refused) as refused:
        body.feed(b"e")
    assert refused.value.refusal.status == 403


def test_a_reader_that_was_fed_enough_takes_no_more():
    reader = inspect_git.CommandReader()
    assert reader.feed(b"0000")
    assert reader.feed(b"anything")
    assert reader.finish() == Commands(updates=())
