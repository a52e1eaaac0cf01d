"""Many strings are found at once, with and without the library, and across pieces."""

import os

import pytest

from ringfence.egress import finder
from ringfence.egress.finder import Finder

MANY = [os.urandom(12).hex().encode() for _ in range(200)]


@pytest.fixture(params=["with the library", "without it"])
def prepared(request, monkeypatch):
    if request.param == "without it":
        monkeypatch.setattr(finder, "_machine", lambda _patterns: None)
    made = Finder(MANY)
    assert (made._machine is None) == (request.param == "without it")
    return made


def test_each_string_is_found_wherever_it_stands(prepared):
    for one in MANY:
        assert prepared.first(b"x" * 5000 + one + b"y" * 5000) == one


def test_nothing_is_found_in_innocent_bytes(prepared):
    assert prepared.first(b"innocent " * 5000) is None
    assert prepared.first(b"") is None


def test_a_beginning_at_the_end_is_measured():
    made = Finder([b"secret-value", b"other"])
    assert made.tail(b"text secret-v") == 8
    assert made.tail(b"text secret-value") == 0
    assert made.tail(b"text") == 0
    assert made.tail(b"an oth") == 3
    assert made.tail(b"") == 0


def test_the_longest_beginning_counts():
    assert Finder([b"aab", b"abc"]).tail(b"xaa") == 2


def test_no_strings_find_nothing():
    assert not Finder([])
    assert Finder([b""]).first(b"anything") is None
