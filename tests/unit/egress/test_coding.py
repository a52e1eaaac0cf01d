"""Compressed bodies unfold, whole or in pieces; bombs, damage and unknown codings are refused."""

import gzip
import zlib

import brotli
import pytest
import zstandard

from ringfence.egress import coding
from ringfence.errors import PeerError

TEXT = b"a secret here, words there, " * 2000
RAW = zlib.compress(TEXT)[2:-4]
FORMS = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "two gzip members": (b"GZip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "deflate with its header": (b"deflate", zlib.compress(TEXT)),
    "deflate without": (b"deflate", RAW),
    "br": (b"br", brotli.compress(TEXT)),
    "zstd": (b" zstd ", zstandard.compress(TEXT)),
    "two zstd frames": (b"zstd", zstandard.compress(TEXT[:100]) + zstandard.compress(TEXT[100:])),
}
ZEROS = bytes(1 << 26)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_body_unfolds(name, step):
    content_coding, data = FORMS[name]
    decoder = coding.decoder(content_coding)
    out = b"".join(decoder.feed(data[at : at + step]) for at in range(0, len(data), step))
    assert out + decoder.finish() == TEXT


@pytest.mark.parametrize("name", FORMS)
def test_a_body_cut_short_is_noticed(name):
    content_coding, data = FORMS[name]
    decoder = coding.decoder(content_coding)
    decoder.feed(data[:-6])
    with pytest.raises(PeerError, match="cut short"):
        decoder.finish()


@pytest.mark.parametrize("content_coding", [b"gzip", b"br", b"zstd"])
def test_damage_is_noticed(content_coding):
    with pytest.raises(PeerError, match="damaged"):
        coding.decoder(content_coding).feed(b"this is no such thing" * 10)


@pytest.mark.parametrize(
    ("content_coding", "data"),
    [
        (b"gzip", gzip.compress(ZEROS, mtime=0)),
        (b"br", brotli.compress(ZEROS, quality=1)),
        (b"zstd", zstandard.compress(ZEROS)),
    ],
)
def test_a_bomb_is_refused(content_coding, data):
    assert len(data) < 100_000
    with pytest.raises(coding.BombError):
        coding.decoder(content_coding).feed(data)


@pytest.mark.parametrize("content_coding", [b"compress", b"gzip, gzip", b"aes128gcm", b"\xff\x1b[31m"])
def test_what_is_not_known_is_refused(content_coding):
    with pytest.raises(coding.UnknownCodingError) as caught:
        coding.decoder(content_coding)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("content_coding", [b"", b"identity", b" Identity "])
def test_a_plain_body_needs_nothing(content_coding):
    assert coding.decoder(content_coding) is None


def test_the_codings_offered_are_those_that_can_be_undone():
    assert set(coding.known()) == {b"gzip", b"deflate", b"br", b"zstd"}
    assert all(coding.decoder(name) is not None for name in coding.known())
