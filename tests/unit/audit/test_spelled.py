"""The quick way to spell a record's own fields gives what the canonical one gives."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ringfence.audit.event import MAX_FIELD, limited, spelled
from ringfence.canonical import encode

NAMES = st.text("abempz_", min_size=1, max_size=6)
VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=5), max_size=3),
)


def canonical(fields):
    return "".join(f",{encode(name)}:{encode(value)}" for name, value in sorted(limited(fields).items()))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES, max_size=6))
@example({"ms": 3.0, "a": 1e300, "b": -0.0})
@example({"path": "/\x7f\x00\u2028\ud800"})
@example({"path": "x" * (MAX_FIELD + 1), "host": "h"})
@example({"path": "\x01" * (MAX_FIELD // 2)})
@example({})
def test_both_ways_spell_the_same(fields):
    assert spelled(fields) == canonical(fields)


@pytest.mark.parametrize("name", ["seq", "hash", "truncated"])
def test_a_field_cannot_take_the_place_of_the_records_own(name):
    with pytest.raises(ValueError, match=f"has its own {name}"):
        spelled({name: "x"})
