"""Reading a ClientHello from its bytes."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress.hello import HelloError, alert, parse_hello


def real(name="api.example.com"):
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    made = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    return outgoing.read()


def test_a_hello_is_asked_for_until_it_is_whole():
    data = real()
    for cut in range(len(data)):
        assert parse_hello(data[:cut]) is None
    assert parse_hello(data).server_name == "api.example.com"
    assert parse_hello(data + b"more").server_name == "api.example.com"
    assert not parse_hello(data).encrypted


def test_a_hello_that_names_nobody_is_read_as_such():
    assert parse_hello(real("10.9.8.7")).server_name is None  # addresses are not sent


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_wait_for_more(data):
    try:
        found = parse_hello(b"\x16\x03\x01" + data)
    except HelloError:
        return
    assert found is None


@given(st.integers(0, 500), st.integers(0, 255))
def test_a_changed_byte_never_brings_another_name_than_the_bytes_hold(at, byte):
    data = bytearray(HELLO)
    data[at % len(data)] = byte
    try:
        found = parse_hello(bytes(data))
    except HelloError:
        return
    assert found is None or found.server_name is None or found.server_name.encode("latin-1") in bytes(data)


HELLO = real()


def test_an_alert_is_one_fatal_record():
    assert alert(112) == b"\x15\x03\x03\x00\x02\x02\x70"
