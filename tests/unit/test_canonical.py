"""Canonical JSON is JSON, and has one spelling."""

import hashlib
import json

import pytest

from ringfence.canonical import decode, digest, encode, sha256
from ringfence.value import Struct


class Pair(Struct):
    b: int
    a: tuple[str, ...] = ()


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        encode(float("nan"))
    with pytest.raises(ValueError, match="infinity"):
        encode([float("inf")])
    with pytest.raises(TypeError, match="bytes"):
        encode(b"")


def test_it_reads_as_the_standard_library_writes_it() -> None:
    value = {"z": [1, 2.5, True, None, "é\n\u2028\0\ud800"], "a": {"y": {}, "x": []}, "big": 2**60}
    assert encode(value) == json.dumps(value, sort_keys=True, separators=(",", ":"))


def test_a_struct_is_written_by_its_fields_in_order_of_name() -> None:
    assert encode(Pair(b=1, a=("x",))) == '{"a":["x"],"b":1}'
    assert digest(Pair(b=1)) == hashlib.sha256(b'{"a":[],"b":1}').hexdigest()
    assert sha256(b"") == hashlib.sha256(b"").hexdigest()
    assert encode(2.0) == "2"


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, "\\u00e9", null, true], "b": {}}', " [] \n", '"x"', "-3"])
def test_what_is_read_is_what_json_reads(text):
    assert decode(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", "nothing", '{"a" 1}'])
def test_what_is_no_json_is_an_error(text):
    with pytest.raises(ValueError):
        decode(text.encode())
