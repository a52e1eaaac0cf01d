"""Secrets taken out of a stream."""

import base64
import contextlib
from urllib.parse import quote, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress.scrub import Scrubber, scrub, scrub_fields, spellings

KEY = b"secret-key-123"


def test_a_value_is_overwritten_by_as_many_stars():
    assert scrub(b"<" + KEY + b">", (KEY,)) == b"<" + b"*" * len(KEY) + b">"
    assert scrub_fields([(b"A", KEY)], (KEY,)) == [(b"A", b"*" * len(KEY))]


def test_nothing_is_held_back_that_could_not_begin_a_value():
    assert Scrubber((KEY,)).feed(b"data: 1\n\n") == b"data: 1\n\n"


def test_what_turned_out_to_be_no_value_comes_after_all():
    scrubber = Scrubber((KEY,))
    assert scrubber.feed(b"x" + KEY[:5]) == b"x"
    assert scrubber.feed(b"!") == KEY[:5] + b"!"
    assert scrubber.feed(KEY[:3]) == b""
    assert scrubber.finish() == KEY[:3]


VALUES = st.lists(
    st.binary(min_size=4, max_size=9).filter(lambda one: b"*" not in one), min_size=1, max_size=3
)


@given(VALUES, st.data())
def test_however_it_is_cut_no_value_gets_through_and_the_length_stays(values, data):
    pieces = data.draw(st.lists(st.one_of(st.sampled_from(values), st.binary(max_size=5)), max_size=8))
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    scrubber = Scrubber(tuple(values))
    out, at = b"", 0
    for cut in [*cuts, len(whole)]:
        out += scrubber.feed(whole[at:cut])
        at = cut
    out += scrubber.finish()
    assert len(out) == len(whole)
    assert not any(value in out for value in values)


SECRETS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"), min_size=12, max_size=60
)


@given(SECRETS, st.binary(max_size=7), st.binary(max_size=7))
def test_no_spelling_of_a_secret_gets_through(secret, before, after):
    value = secret.encode()
    wanted = spellings((value,))
    for spelled in (
        value,
        value[::-1],
        base64.b64encode(before + value + after),
        base64.urlsafe_b64encode(before + value + after),
        value.hex().encode(),
        value.hex().upper().encode(),
        "".join(f"%{byte:02X}" for byte in value).encode(),
        quote(secret, safe="").encode(),
    ):
        assert not any(value in one for one in _decodings(scrub(spelled, wanted))), spelled


def _decodings(data):
    """Return which whole secrets can still be read: by undoing each spelling where that still works."""
    found = {data, data[::-1], unquote_to_bytes(data)}
    for decode in (bytes.fromhex, lambda text: base64.b64decode(text, altchars=b"-_"), base64.b64decode):
        with contextlib.suppress(ValueError):
            found.add(decode(data.decode("latin-1")))
    return found


def test_a_secret_inside_longer_base64_loses_all_its_own_characters():
    value = b"sk-ant-api03-canary-0123456789"
    text = base64.b64encode(b"GET / HTTP/1.1 x-api-key: " + value + b" and more")
    assert b"canary" not in base64.b64decode(scrub(text, spellings((value,))).replace(b"*", b"A"))
