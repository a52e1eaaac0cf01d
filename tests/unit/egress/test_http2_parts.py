"""HTTP/2's parts that need no connection: field lists, their coding, the count of frames."""

import subprocess
import sys

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress import limits
from ringfence.egress.http1 import CHUNKED, MalformedError
from ringfence.egress.http2_fields import parse_request, parse_response, parse_trailers
from ringfence.egress.http2_meter import PREFACE, Allowance, FloodError, Meter
from ringfence.egress.http2_wire import PlainEncoder

HEAD = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a.test"), (b":path", b"/x?y")]


def test_a_request_is_read_into_the_same_head_as_http_1s():
    fields = [(b"cookie", b"a=1"), (b"x-mine", b"\xc3\xa9 \t!"), (b"cookie", b"b=2"), (b"te", b"trailers")]
    head = parse_request([*HEAD, *fields], "https", over=False)
    assert (head.method, head.target, head.host, head.framing, head.trailers) == (
        *("POST", b"/x?y", b"a.test", CHUNKED, True),
    )
    assert head.fields == [(b"x-mine", b"\xc3\xa9 \t!"), (b"te", b"trailers"), (b"cookie", b"a=1; b=2")]
    assert parse_request(HEAD, "https", over=True).framing == 0
    assert parse_request([*HEAD, (b"content-length", b"7")], "https", over=False).framing == 7


@pytest.mark.parametrize(
    ("status", "method", "length", "over", "framing", "stated"),
    [
        (b"200", "GET", None, False, CHUNKED, None),
        (b"200", "GET", b"5", False, 5, None),
        (b"200", "GET", None, True, 0, None),
        (b"200", "GET", b"0", True, 0, None),
        (b"200", "HEAD", b"5", True, 0, b"5"),
        (b"304", "GET", b"5", True, 0, b"5"),
        (b"204", "GET", b"5", True, 0, None),
    ],
)
def test_an_answers_framing(status, method, length, over, framing, stated):
    fields = [(b":status", status)] + ([] if length is None else [(b"content-length", length)])
    head = parse_response(fields, method, over=over)
    assert (head.framing, head.stated) == (framing, stated)


@pytest.mark.parametrize(
    "fields",
    [
        [(b":status", b"200"), (b"content-length", b"5")],
        [(b":status", b"099")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b":status", b"200"), (b"connection", b"close")],
        [(b"x", b"1"), (b":status", b"200")],
    ],
)
def test_an_answer_that_is_malformed_is_the_upstreams_fault(fields):
    with pytest.raises(MalformedError) as error:
        parse_response(fields, "GET", over=True)
    assert error.value.answer == 502


def test_trailers_have_no_pseudo_fields_and_a_limit():
    assert parse_trailers([(b"grpc-status", b"0")], 400) == [(b"grpc-status", b"0")]
    with pytest.raises(MalformedError):
        parse_trailers([(b":status", b"200")], 502)
    with pytest.raises(MalformedError):
        parse_trailers([(b"x", b"y" * limits.TRAILERS)], 400)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=20_000)), max_size=5))
def test_what_we_encode_is_what_a_peer_decodes(fields):
    encoder, decoder = PlainEncoder(), Decoder(max_header_list_size=10**9)
    for _ in range(2):
        found = decoder.decode(encoder.encode(fields), raw=True)
        assert [tuple(one) for one in found] == fields
        assert not any(one.indexable for one in found)
    assert decoder.header_table_size == 0


def frame(length, kind=0, flags=0, number=1):
    return length.to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + bytes(length)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 12), st.sampled_from([0, 4, 5])), max_size=20),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_frames_are_counted_the_same_however_they_arrive(frames, cuts):
    raw = PREFACE + b"".join(frame(*one) for one in frames)
    whole, pieces = Meter(preface=True), Meter(preface=True)
    whole.take(raw)
    at = 0
    for cut in [*cuts, len(raw)]:
        pieces.take(raw[at : at + cut])
        at += cut
    assert (whole.between, whole.in_block) == (pieces.between, pieces.in_block)
    assert whole.between != whole.in_block


def test_a_frame_that_is_too_long_is_refused_by_its_first_nine_bytes():
    with pytest.raises(FloodError) as error:
        Meter(preface=False).take(frame(limits.H2_FRAME + 1)[:9])
    assert error.value.code == 6


def test_a_header_block_has_a_limit_over_all_its_frames():
    meter = Meter(preface=False)
    meter.take(frame(16_000, 1))
    for _ in range(3):
        meter.take(frame(16_000, 9))
    with pytest.raises(FloodError):
        meter.take(frame(16_000, 9))


def test_an_allowance_is_used_up_earned_back_and_never_more_than_at_first():
    allowance = Allowance(3, 0)
    allowance.give(100)
    assert [allowance.take(1) for _ in range(4)] == [True, True, True, False]
    allowance.give(2)
    assert allowance.take(1)


def test_the_library_is_not_imported_before_somebody_speaks_http_2():
    """It takes 27 ms, which the first answer of a session does not have to wait for."""
    code = (
        "import sys, ringfence.egress.server; print([one for one in sys.modules if one in {'h2', 'hpack'}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
