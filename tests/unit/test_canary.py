"""The search for canaries finds them: else every test that uses it would prove nothing."""

import pytest

from canary import Canary, assert_absent, dressed

CANARY = Canary("test", prefix="sk-ant-api03-")


@pytest.mark.parametrize("dress", sorted(dressed(CANARY)))
def test_a_canary_is_found_in_every_dress(dress, tmp_path):
    data = dressed(CANARY)[dress]
    assert CANARY.found_in(data)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"\0" * 100 + data)
    for place in (data, tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(AssertionError, match="the canary `test` shows"):
            assert_absent(CANARY, place)


def test_a_canary_is_found_in_a_file_name(tmp_path):
    (tmp_path / f"x-{CANARY.value}").touch()
    with pytest.raises(AssertionError, match="the name of"):
        assert_absent(CANARY, tmp_path)


def test_other_data_is_left_in_peace(tmp_path):
    (tmp_path / "a").write_bytes(b"\x1f\x8b not gzip" * 20 + Canary("other").value.encode())
    assert_absent(CANARY, b"", "", "text", tmp_path)
