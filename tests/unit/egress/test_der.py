"""DER as it is written, read back by `cryptography`; and certificates that are damaged."""

import ssl

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress import der, leaf
from ringfence.egress.mint import mint
from ringfence.errors import HostError


@given(st.integers(min_value=0, max_value=2**170))
def test_numbers_are_never_negative(value):
    ((tag, content, whole),) = der.elements(der.integer(value))
    assert tag == der.INTEGER
    assert int.from_bytes(content, "big", signed=True) == value
    assert whole == der.integer(value)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_are_read_as_they_are_written(size):
    ((tag, content, _),) = der.elements(der.element(der.OCTETS, b"x" * size))
    assert (tag, len(content)) == (der.OCTETS, size)


@pytest.mark.parametrize(
    "data", [b"\x30", b"\x30\x05ab", b"\x30\x80", b"\x30\x85\0\0\0\0\1a", b"\x30\x82\1"], ids=bytes.hex
)
def test_elements_that_are_cut_short_or_of_no_length_are_refused(data):
    with pytest.raises(ValueError, match="certificate"):
        der.elements(data)


@pytest.mark.parametrize(
    ("text", "tag"),
    [("20261123060000Z", der.UTC_TIME), ("20491231235959Z", der.UTC_TIME), ("20500101000000Z", der.TIME)],
)
def test_years_have_two_digits_until_2049(text, tag):
    (found,) = der.elements(der.time(text))
    assert found[0] == tag
    assert der.time_of(found) == text


def test_a_time_that_is_malformed_is_refused():
    for content in (b"2611230600Z", b"261123060000+0100", b"2611230600ABZ"):
        with pytest.raises(ValueError, match="time"):
            der.time_of((der.UTC_TIME, content, b""))


@pytest.mark.parametrize("text", ["2.5.29.17", "1.2.840.10045.4.3.2", "1.3.6.1.5.5.7.3.1"])
def test_object_identifiers_are_read_back(text):
    name = der.element(
        der.SEQUENCE,
        der.element(der.SET, der.element(der.SEQUENCE, der.oid(text), der.element(der.UTF8, b"x"))),
    )
    assert name.endswith(der.oid(text) + b"\x0c\x01x")
    assert x509.ObjectIdentifier(text).dotted_string == text
    assert len(der.oid(text)) == 2 + len(der.elements(der.oid(text))[0][1])


def test_a_damaged_authority_is_an_error_and_no_crash(tmp_path):
    folder = mint(str(tmp_path))
    with open(f"{folder}/ca.pem", encoding="ascii") as file:
        whole = ssl.PEM_cert_to_DER_cert(file.read())
    for cut in range(0, len(whole), 7):
        with open(f"{folder}/ca.pem", "w", encoding="ascii") as file:
            file.write(ssl.DER_cert_to_PEM_cert(whole[:cut]))
        with pytest.raises(HostError, match="certificate authority"):
            leaf.load(folder, keep=True)
