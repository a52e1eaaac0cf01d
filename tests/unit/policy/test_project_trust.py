"""Who may say that a file is trusted, and what that means."""

import os

import pytest

from ringfence.errors import PolicyError
from ringfence.policy import trust

PATH = "/somewhere/ä \udcff/ringfence.toml"


@pytest.fixture
def state(tmp_path):
    trust.record(str(tmp_path), PATH, "d" * 64)
    return tmp_path


def record(state):
    (found,) = (state / "trust").iterdir()
    return found


def test_nothing_is_trusted_at_first(tmp_path):
    assert not trust.trusted(str(tmp_path), PATH, "d" * 64)
    assert list(trust.records(str(tmp_path))) == []
    assert not trust.revoke(str(tmp_path), PATH)


def test_trust_is_for_one_path_and_one_digest(state):
    assert not trust.trusted(str(state), PATH, "e" * 64)
    assert not trust.trusted(str(state), PATH + "x", "d" * 64)
    assert trust.trusted(str(state), PATH, "d" * 64)
    assert list(trust.records(str(state))) == [(PATH, "d" * 64)]


def test_it_can_be_replaced_and_taken_back(state):
    trust.record(str(state), PATH, "e" * 64)
    assert not trust.trusted(str(state), PATH, "d" * 64)
    assert trust.trusted(str(state), PATH, "e" * 64)
    assert trust.revoke(str(state), PATH)
    assert not trust.trusted(str(state), PATH, "e" * 64)


def test_the_store_is_private(state):
    assert (state / "trust").stat().st_mode & 0o777 == 0o700
    assert record(state).stat().st_mode & 0o777 == 0o600


def test_a_record_that_others_could_have_written_is_an_error(state):
    record(state).chmod(0o666)
    with pytest.raises(PolicyError, match=r"open to others \(mode 666\)"):
        trust.trusted(str(state), PATH, "d" * 64)
    record(state).chmod(0o600)
    (state / "trust").chmod(0o777)
    with pytest.raises(PolicyError, match="open to others"):
        trust.trusted(str(state), PATH, "d" * 64)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_record_of_somebody_else_is_an_error(state):
    os.chown(record(state), 12345, 12345)
    with pytest.raises(PolicyError, match="belongs to user 12345"):
        trust.trusted(str(state), PATH, "d" * 64)


def test_a_damaged_record_is_an_error(state):
    record(state).write_text("nonsense")
    with pytest.raises(PolicyError, match="damaged"):
        trust.trusted(str(state), PATH, "d" * 64)


def test_a_record_that_is_a_link_is_an_error(state):
    place = record(state)
    place.rename(state / "elsewhere")
    place.symlink_to(state / "elsewhere")
    with pytest.raises(PolicyError, match="cannot be read"):
        trust.trusted(str(state), PATH, "d" * 64)
