"""Filters in a row: each sees what the one before it let pass."""

from ringfence.egress import filters
from ringfence.egress.http1 import CHUNKED, ResponseHead
from ringfence.egress.scrub import Scrubber


class Upper:
    keeps_length = True

    def feed(self, data):
        return data.upper()

    def finish(self):
        return b""


class Twice:
    keeps_length = False

    def feed(self, data):
        return data * 2

    def finish(self):
        return b"!"


def test_a_piece_passes_all_filters_in_turn():
    assert filters.feed([Upper(), Twice()], b"ab") == b"ABAB"


def test_what_one_held_back_at_the_end_passes_those_behind_it():
    scrubber = Scrubber((b"secret",))
    chain = [scrubber, Upper()]
    assert filters.feed(chain, b"a secr") == b"A "
    assert filters.finish(chain) == b"SECR"


def test_an_answer_whose_length_changes_states_none():
    head = ResponseHead(
        status=200, phrase=b"OK", minor=1, fields=[], framing=2, close=False, nominated=frozenset(), stated=None, keep_for=0.0
    )  # fmt: skip
    assert filters.keep_length([Upper()])
    assert not filters.keep_length([Upper(), Twice()])
    assert filters.unframed(head).framing == CHUNKED
