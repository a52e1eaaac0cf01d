"""Our resolver, datagram by datagram."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress import dns, limits


def query(name, *, kind=1, flags=0x0100, count=1, kin=1, tail=b""):
    labels = b"".join(bytes((len(label),)) + label for label in name.encode("latin-1").split(b"."))
    return (
        struct.pack("!HHHHHH", 0x1234, flags, count, 0, 0, 0)
        + labels
        + b"\0"
        + struct.pack("!HH", kind, kin)
        + tail
    )


def ask(datagram, allowed=("a.example.com",), names=None):
    return dns.answer(datagram, lambda name: name in allowed, names or dns.Names())


def code(reply):
    return reply[3] & 15


@pytest.mark.parametrize(
    "name", ["evil.test", "example.com", "198.18.0.1", "-a.example.com", "a_b!.example.com"]
)
def test_what_is_not_allowed_does_not_exist(name):
    reply, asked, found = ask(query(name))
    assert code(reply) == 3
    assert (asked, found) == (name, "no such name")
    assert struct.unpack("!HHHH", reply[4:12]) == (1, 0, 0, 0)


@pytest.mark.parametrize("kind", [28, 5, 15, 16, 64, 65, 252])
def test_other_types_of_an_allowed_name_are_empty(kind):
    reply, _, _ = ask(query("a.example.com", kind=kind))
    assert code(reply) == 0
    assert reply[6:8] == b"\0\0"


def test_an_allowed_name_gets_one_address_in_the_spelling_it_was_asked():
    names = dns.Names()
    first, _, address = ask(query("A.Example.COM"), names=names)
    assert b"\1A\7Example\3COM" in first
    assert first[-4:] == bytes(map(int, address.split(".")))
    assert ask(query("a.example.com"), names=names)[2] == address
    assert names.name(address) == "a.example.com"
    assert dns.is_ours(address)
    assert first[:2] == b"\x12\x34"


def test_names_have_addresses_apart():
    names = dns.Names()
    found = {names.address(f"n{at}.example.com") for at in range(1000)}
    assert len(found) == 1000
    assert all(dns.is_ours(one) for one in found)


def test_when_addresses_run_out_the_next_name_fails_and_none_is_taken_away(monkeypatch):
    monkeypatch.setattr(limits, "DNS_NAMES", 2)
    names = dns.Names()
    kept = [names.address("a"), names.address("b")]
    assert names.address("c") is None
    assert [names.address("a"), names.address("b")] == kept
    assert code(dns.answer(query("c.example.com"), lambda _: True, names)[0]) == 2


@pytest.mark.parametrize(
    "datagram",
    [
        query("a.example.com", count=0),
        query("a.example.com", count=2),
        query("a.example.com", kin=3),
        query("a.example.com")[:-3],
        struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + b"\x3f" + b"a" * 10,
    ],
)
def test_what_is_no_single_question_is_a_format_error(datagram):
    reply, _, found = ask(datagram)
    assert (code(reply), found) == (1, "malformed")


def test_other_operations_are_not_implemented():
    assert code(ask(query("a.example.com", flags=0x2800))[0]) == 4


def test_an_answer_sent_to_us_is_not_answered():
    assert ask(query("a.example.com", flags=0x8180))[0] == b""
    assert ask(b"")[0] == b""


def test_a_question_with_edns_is_answered():
    reply, _, _ = ask(query("a.example.com", tail=b"\0\0\x29\x10\0\0\0\0\0\0\0"))
    assert code(reply) == 0
    assert reply[6:8] == b"\0\1"


@given(st.binary(max_size=80))
def test_no_datagram_brings_it_down(datagram):
    reply, _, _ = ask(datagram)
    assert reply == b"" or reply[:2] == datagram[:2]
