"""JSON from somebody else: one reading or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence import strict

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", "[1,]", "{'a':1}", "nul", '"\n"', '{"a":1}x', "1 2", '{"a":1,"a":2}', '{"x":{"a":1,"a":1}}',
        "NaN", "[Infinity]", "-Infinity", '"\\x"', "\ufeff1", "\x0b1", "[" * 100_000,
    ],
)  # fmt: skip
def test_what_two_readers_could_read_in_two_ways_is_refused(text):
    with pytest.raises(ValueError):
        strict.loads(text)


@given(VALUES)
def test_everything_else_is_what_the_standard_library_reads(value):
    text = json.dumps(value)
    assert strict.loads(f" \n{text}\t ") == json.loads(text)


@given(st.text(st.sampled_from('{}[]",:0123456789.eE+-truefalsn\\u \n')))
def test_no_text_raises_anything_else(text):
    try:
        found = strict.loads(text)
    except ValueError:
        return
    assert found == json.loads(text)
