"""Whatever is done to a closed and anchored log, the check sees it."""

import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.audit import heads
from ringfence.audit.log import Writer
from ringfence.audit.verify import verify, verify_heads

SESSION = "20260131-120000-abcd"


def _made(folder):
    path = f"{folder}/audit.jsonl"
    with Writer.create(path, SESSION) as log:
        log.append("start", tier="sandbox", argv=["claude", "-p", "what? \x1b ü"])
        for number in range(5):
            log.append("verdict", effect="deny", host=f"h{number}.example", reason="no rule?", ports=[1, 2.5])
        log.append("end", status=0)
        heads.append(folder, SESSION, log.seq - 1, log.head)
    with open(path, "rb") as file:
        return file.read(), verify_heads(folder)[1][SESSION]


with tempfile.TemporaryDirectory() as _folder:
    GOOD, ANCHOR = _made(_folder)
LINES = GOOD.splitlines(keepends=True)


def _holds(data: bytes) -> bool:
    fd, path = tempfile.mkstemp()
    try:
        os.write(fd, data)
        return verify(path, SESSION, ANCHOR).ok
    finally:
        os.close(fd)
        os.unlink(path)


def test_the_untouched_log_holds():
    assert _holds(GOOD)


@pytest.mark.guarantee("A2")
@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_changed_byte_is_detected(place, byte):
    if GOOD[place] != byte:
        assert not _holds(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 200))
def test_any_removed_stretch_is_detected(place, length):
    assert not _holds(GOOD[:place] + GOOD[place + length :])


@pytest.mark.guarantee("A2")
@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD)), st.binary(min_size=1, max_size=40))
def test_anything_inserted_is_detected(place, extra):
    assert not _holds(GOOD[:place] + extra + GOOD[place:])


@pytest.mark.guarantee("A2")
@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, len(LINES) - 1), min_size=1))
def test_any_removed_lines_are_detected(gone):
    assert not _holds(b"".join(line for number, line in enumerate(LINES) if number not in gone))


@pytest.mark.guarantee("A2")
@settings(max_examples=100, deadline=None)
@given(st.permutations(range(len(LINES))))
def test_any_other_order_is_detected(order):
    moved = b"".join(LINES[number] for number in order)
    assert _holds(moved) == (moved == GOOD)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1))
def test_any_truncation_is_detected(length):
    assert not _holds(GOOD[:length])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES)))
def test_any_repeated_line_is_detected(which, place):
    assert not _holds(b"".join([*LINES[:place], LINES[which], *LINES[place:]]))
