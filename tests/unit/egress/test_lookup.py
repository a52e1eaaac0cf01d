"""What a nameserver says, read strictly."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress import lookup
from ringfence.egress.lookup import AAAA, A, Answer, NoAnswerError, read_answer, write_query

NAME = "db.corp.example"
POINTER = b"\xc0\x0c"


def wire(name):
    return b"".join(bytes((len(label),)) + label for label in name.encode().split(b".")) + b"\0"


def record(owner, kind, data, seconds=60, kin=1):
    return owner + struct.pack("!HHIH", kind, kin, seconds, len(data)) + data


def reply(query, *records, flags=0x8180, questions=1, count=None):
    head = struct.pack("!HHHHH", flags, questions, len(records) if count is None else count, 0, 0)
    return query[:2] + head + query[12:] + b"".join(records)


def question(name, kind):
    """Ask, under one and the same number."""
    return b"\x12\x34" + write_query(name, kind)[2:]


QUERY = question(NAME, A)
ADDRESS = record(POINTER, A, b"\x0a\0\0\5")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        QUERY[:10],
        QUERY,  # our own question, sent back
        reply(QUERY, ADDRESS)[:-30],
        b"\0\0" + reply(QUERY, ADDRESS)[2:],
        reply(question("db.corp.exampl3", A), ADDRESS),
        reply(question("DB.corp.example", A), ADDRESS),
        reply(question(NAME, AAAA), ADDRESS),
        reply(QUERY, ADDRESS, questions=2),
        reply(QUERY, ADDRESS, flags=0x8980),  # another kind of operation
        reply(QUERY, ADDRESS, flags=0x0180),  # no response at all
    ],
)
def test_what_does_not_answer_this_question_is_not_heard(data):
    assert read_answer(QUERY, data) is None


@pytest.mark.parametrize(
    "data",
    [
        reply(QUERY, ADDRESS[:-1]),
        reply(QUERY, ADDRESS, count=2),
        reply(QUERY, record(POINTER, A, b"\x0a\0\0")),
        reply(QUERY, record(b"\xc0\xff", A, b"\x0a\0\0\5")),  # a pointer past the end
        reply(QUERY, record(b"\xc0\x40", A, b"\x0a\0\0\5")),
        reply(QUERY, record(bytes((0xC0, len(QUERY))), A, b"\x0a\0\0\5")),  # to itself
        reply(QUERY, record(b"\x80x", A, b"\x0a\0\0\5")),
        reply(QUERY, record(b"\1a" * 130 + b"\0", A, b"\x0a\0\0\5")),
        reply(QUERY, *[ADDRESS] * 300),
        reply(QUERY, flags=0x8182),  # SERVFAIL
        reply(QUERY, flags=0x8185),  # REFUSED
    ],
)
def test_an_answer_that_is_broken_or_a_refusal_is_an_error(data):
    with pytest.raises(NoAnswerError):
        read_answer(QUERY, data)


def test_addresses_are_those_of_the_name_asked_for_and_no_others():
    other = record(wire("evil.test"), A, b"\x01\1\1\1")
    outside = record(POINTER, A, b"\x01\1\1\1", kin=3)
    found = read_answer(QUERY, reply(QUERY, other, ADDRESS, outside, record(POINTER, AAAA, b"\0" * 16)))
    assert found == Answer(addresses=("10.0.0.5",), lifetime=30.0)


def test_an_alias_is_followed_within_the_answer():
    alias = record(POINTER, 5, wire("a.Other.example"))
    second = record(wire("a.other.EXAMPLE"), 5, wire("b.example"), seconds=7)
    last = record(wire("b.example"), A, b"\x0a\0\0\6")
    assert read_answer(QUERY, reply(QUERY, last, second, alias)) == Answer(
        addresses=("10.0.0.6",), lifetime=7
    )
    assert read_answer(QUERY, reply(QUERY, alias)).addresses == ()


def test_aliases_in_a_circle_lead_nowhere():
    circle = (record(POINTER, 5, wire("a.example")), record(wire("a.example"), 5, POINTER))
    assert read_answer(QUERY, reply(QUERY, *circle)).addresses == ()


def test_no_such_name_and_a_short_answer_are_told_apart():
    assert read_answer(QUERY, reply(QUERY, flags=0x8183)) == Answer()
    assert read_answer(QUERY, reply(QUERY, flags=0x8380)).truncated


def test_every_question_has_a_number_of_its_own():
    assert len({write_query(NAME, A)[:2] for _ in range(64)}) > 32


@given(st.binary(max_size=200), st.integers(0, 0xFFFF))
def test_no_bytes_do_more_than_fail(tail, count):
    try:
        found = read_answer(QUERY, reply(QUERY, tail, count=count))
    except NoAnswerError:
        return
    assert found is None or isinstance(found, Answer)


def test_the_module_knows_both_kinds():
    six = write_query(NAME, lookup.AAAA)
    assert read_answer(six, reply(six, record(POINTER, AAAA, b"\xfd" + b"\0" * 14 + b"\5"))).addresses == (
        "fd00::5",
    )
