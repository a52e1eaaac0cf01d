"""Whatever is put into a record comes back out of it, as one line of plain ASCII that checks."""

import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.audit import query
from ringfence.audit.event import COMMON
from ringfence.audit.log import Writer
from ringfence.audit.verify import verify

TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too: bytes of a path
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NAMES = TEXT.filter(lambda name: name not in (*COMMON, "truncated", "kind", "self"))


@pytest.mark.guarantee("A4")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=4))
def test_any_fields_come_back_and_the_log_checks(records):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        with Writer.create(path, "s") as log:
            log.append("start")
            for fields in records:
                log.append("note", **fields)
            log.append("end")
        assert verify(path, "s").ok
        _, *notes, _ = query.read(path)
        assert [dict(note.fields) for note in notes] == records
        with open(path, "rb") as file:
            data = file.read()
        assert data.count(b"\n") == len(records) + 2
        assert all(byte == 10 or 32 <= byte < 127 for byte in data)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=20), st.integers(4097, 9000))
def test_a_long_text_is_cut_and_the_log_still_checks(part, length):
    text = (part * length)[:length]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        with Writer.create(path, "s") as log:
            log.append("start", text=text)
            log.append("end")
        assert verify(path, "s").ok
        assert next(query.read(path)).get("truncated")["text"]["length"] == len(text)
