"""The search for secrets finds them however they are dressed, and finds nothing where there is none."""

import base64
import codecs
import gzip
import os
import urllib.parse
import zlib

import pytest
from canaries import found_in, mint

KEY = mint("key", "sk-ant-")


def dresses() -> dict[str, bytes]:
    raw = KEY.value.encode()
    return {
        "plain": b"x-api-key: " + raw,
        "upper case": raw.upper(),
        "base64 at offset 0": base64.b64encode(b"" + raw + b" end"),
        "base64 at offset 1": base64.b64encode(b"a" + raw + b" end"),
        "base64 at offset 2": base64.b64encode(b"ab" + raw + b" end"),
        "base64 in a word": b"/path/abc" + base64.urlsafe_b64encode(raw),
        "base64 in lines": base64.encodebytes(b"header " * 12 + raw),
        "hex": raw.hex().encode(),
        "base32 in labels": b".".join([base64.b32encode(raw)[:50], base64.b32encode(raw)[50:]]) + b".evil",
        "percent": "".join(f"%{byte:02x}" for byte in raw).encode(),
        "query": urllib.parse.quote(base64.b64encode(raw).decode()).encode(),
        "gzip": b"body: " + gzip.compress(raw),
        "deflate": zlib.compress(raw),
        "gzip in base64": base64.b64encode(gzip.compress(b"loot " + raw)),
        "base64 twice": base64.b64encode(base64.b64encode(raw)),
        "reversed": raw[::-1],
        "utf-16": KEY.value.encode("utf-16-le"),
        "cut": raw[-26:],
    }


@pytest.mark.parametrize("dress", list(dresses()))
def test_a_canary_is_found(dress: str) -> None:
    assert found_in(b"before " + dresses()[dress] + b" after", [KEY]) == ["key"]


def test_another_value_is_not_found() -> None:
    other = mint("other")
    data = b"\n".join(dresses().values()) + os.urandom(4096).hex().encode()
    assert found_in(data, [other]) == []


def test_rot13_is_out_of_scope_and_says_so() -> None:
    assert found_in(codecs.encode(KEY.value, "rot13").encode(), [KEY]) == []
