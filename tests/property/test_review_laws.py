"""Laws of comparing and showing: the edit is right, no text gets past the escapes, no input is quadratic."""

import time

import hypothesis
from hypothesis import strategies as st

from ringfence.workspace.review import lines, text

TEXTS = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n", b"d\r\n", b"e"]), max_size=40).map(b"".join)


@hypothesis.given(TEXTS, TEXTS, st.integers(0, 4), st.sampled_from([(256, 2_000_000), (2, 50), (1, 0)]))
@hypothesis.settings(max_examples=400, deadline=None)
def test_the_hunks_turn_one_text_into_the_other(before, after, context, limits):
    kept = lines.MOST_EDITS, lines.MOST_STEPS
    lines.MOST_EDITS, lines.MOST_STEPS = limits
    try:
        found = lines.hunks(before, after, context)
    finally:
        lines.MOST_EDITS, lines.MOST_STEPS = kept
    assert lines.patched(before, found) == after
    assert (found == []) == (before == after)


@hypothesis.given(TEXTS, TEXTS, st.data())
@hypothesis.settings(max_examples=200, deadline=None)
def test_any_choice_of_hunks_can_be_applied(before, after, data):
    found = lines.hunks(before, after, 0)
    chosen = [one for one in found if data.draw(st.booleans())]
    result = lines.patched(before, chosen)
    assert result == after or len(chosen) < len(found)
    assert result == before or chosen


@hypothesis.given(st.binary(max_size=60))
@hypothesis.settings(max_examples=500)
def test_whatever_the_bytes_nothing_unprintable_comes_out(data):
    shown, kinds = text.shown(data)
    assert all(char.isprintable() or char == "\t" for char in shown)
    assert kinds or shown.encode() == data


@hypothesis.given(st.text(max_size=60))
@hypothesis.settings(max_examples=500)
def test_text_without_a_flag_is_shown_exactly(written):
    data = written.encode("utf-8", "surrogatepass")
    shown, kinds = text.shown(data)
    assert kinds or shown == written


@hypothesis.given(st.binary(min_size=1, max_size=40))
def test_a_quoted_path_has_only_printable_ascii(path):
    assert all(32 <= ord(char) < 127 for char in text.quoted(path))


def test_a_hundred_thousand_lines_that_have_nothing_in_common_take_seconds():
    before = b"".join(b"%d\n" % (number * 7919 % 101) for number in range(100_000))
    after = b"".join(b"%d\n" % (number * 7907 % 103) for number in range(100_000))
    began = time.process_time()
    assert lines.patched(before, lines.hunks(before, after)) == after
    assert time.process_time() - began < 15
