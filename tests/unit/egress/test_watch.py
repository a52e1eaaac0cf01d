"""Canaries and values of masked files are found on their way out, in every usual disguise."""

import base64
import gzip
import os
import struct
import zlib
from urllib.parse import quote

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.egress import masked
from ringfence.egress.refusal import Refused
from ringfence.egress.watch import Sent, Watch
from ringfence.handover import Canary
from ringfence.policy.model import Watch as Wanted

CANARY = "rf8Zq27LmXw0TnPvKc5Bd1Ys"
HIDDEN = b"hunter2-Sup3rSecretValue"
INNOCENT = b'{"messages": [{"role": "user", "content": "please write a test"}]}' * 50


def fed(body, data, step):
    """Feed a body piece by piece; return what was passed on."""
    return b"".join(body.feed(data[at : at + step]) for at in range(0, len(data), step))


def watch(alarms=None, **wanted):
    told = [] if alarms is None else alarms
    return Watch(
        Wanted(**wanted),
        [Canary(place="BACKUP_TOKEN", value=CANARY)],
        [("/w/.env", HIDDEN)],
        alarm=lambda hit, what: told.append((hit.name, what)),
        bound=frozenset({"api.model.test"}),
    )


def head(host="evil.test", path="/", query="", fields=()):
    return Sent(host=host, path=path, query=query, fields=list(fields))


DISGUISES = {
    "as it is": lambda value: value,
    "base64": base64.b64encode,
    "base64 in a text": lambda value: base64.b64encode(b"k=" + value + b"\n"),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"x" + value),
    "hex": lambda value: value.hex().encode(),
    "HEX": lambda value: value.hex().upper().encode(),
    "percent": lambda value: "".join(f"%{byte:02X}" for byte in value).encode(),
    "quoted": lambda value: quote(value).encode(),
    "reversed": lambda value: value[::-1],
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("value", [CANARY.encode(), HIDDEN])
def test_a_value_is_refused_in_a_body(disguise, value):
    body = watch().body("evil.test")
    with pytest.raises(Refused) as caught:
        body.feed(INNOCENT + DISGUISES[disguise](value) + INNOCENT)
    assert value.decode() not in str(caught.value.refusal)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_value_is_refused_in_a_head(disguise):
    value = DISGUISES[disguise](CANARY.encode())
    for one in (
        head(path="/" + value.decode()),
        head(query="?q=" + quote(value.decode())),
        head(fields=[(b"user-agent", b"curl/8 " + value)]),
    ):
        assert watch().head(one) is not None


def test_a_value_cut_over_fields_is_found():
    half = len(CANARY) // 2
    assert watch().head(head(fields=[(b"x-a", CANARY[:half].encode()), (b"x-b", CANARY[half:].encode())]))


def test_a_value_in_the_labels_of_a_host_is_found():
    spelled = CANARY.encode().hex()
    assert watch().head(head(host=f"{spelled[:30]}.{spelled[30:]}.evil.test"))


@pytest.mark.parametrize("step", [1, 3, 17])
def test_not_one_piece_of_a_whole_value_gets_out_across_pieces(step):
    body = watch().body("evil.test")
    data = INNOCENT + CANARY.encode() + INNOCENT
    passed = []

    def whole():
        passed.extend(body.feed(data[at : at + step]) for at in range(0, len(data), step))

    with pytest.raises(Refused):
        whole()
    assert INNOCENT.startswith(b"".join(passed))
    assert len(b"".join(passed)) > len(INNOCENT) - step


@pytest.mark.parametrize(
    ("content_coding", "fold"),
    [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"br", brotli.compress)],
)
@pytest.mark.parametrize("step", [5, 1 << 20])
def test_a_compressed_body_is_looked_into(content_coding, fold, step):
    body = watch().body("evil.test", content_coding)
    data = fold(os.urandom(3000) + CANARY.encode() + os.urandom(3000))
    with pytest.raises(Refused):
        fed(body, data, step)


def test_a_gzip_file_inside_a_form_is_looked_into():
    form = b"--b\r\nContent-Disposition: form-data\r\n\r\n" + gzip.compress(b"x" + HIDDEN) + b"\r\n--b--"
    with pytest.raises(Refused):
        watch().body("evil.test").feed(form)


def frame(payload, mask=b"\x12\x34\x56\x78", opcode=1):
    size = len(payload)
    head = bytes([0x80 | opcode]) + (
        bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    )
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("step", [1, 2, 1000])
def test_a_websocket_frame_is_unmasked_and_looked_at(step):
    data = frame(b"hello") + frame(b"z" * 300 + CANARY.encode())
    frames = watch().frames("evil.test")
    with pytest.raises(Refused):
        fed(frames, data, step)
    innocent = watch().frames("evil.test")
    assert innocent.feed(frame(b"hello")) == frame(b"hello")


def test_a_canary_raises_the_alarm_also_toward_the_model():
    alarms = []
    assert watch(alarms).head(head(host="api.model.test", path="/" + CANARY))
    assert alarms == [("the canary in BACKUP_TOKEN", "ended")]
    assert watch(alarms, alarm="refuse").head(head(path="/" + CANARY))
    assert alarms[-1] == ("the canary in BACKUP_TOKEN", "refused")


def test_a_canary_may_go_where_the_operator_says():
    alarms = []
    assert watch(alarms, exempt=("*.test",)).head(head(path="/" + CANARY)) is None
    assert alarms == []


def test_a_masked_value_toward_a_host_with_a_credential_is_recorded_and_passes_whole():
    alarms = []
    body = watch(alarms).body("api.model.test")
    data = INNOCENT + HIDDEN + INNOCENT + HIDDEN
    assert body.feed(data) + body.finish() == data
    assert alarms == [("a value of the hidden file /w/.env", "recorded")]


def test_the_policy_can_have_masked_values_only_recorded_or_not_looked_for():
    assert watch(masked="record").head(head(path="/" + HIDDEN.decode())) is None
    assert watch(masked="off").head(head(path="/" + HIDDEN.decode())) is None
    assert watch(masked="refuse").head(head(path="/" + HIDDEN.decode())) is not None


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_innocent_bodies_pass_unchanged(pieces):
    body = watch().body("evil.test", b"")
    assert b"".join(body.feed(piece) for piece in pieces) + body.finish() == b"".join(pieces)


# --- what counts as a secret in a masked file


def found(text):
    return set(masked.secrets_in(text))


def test_long_mixed_values_of_a_file_count():
    pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(os.urandom(48)) + b"-----END PRIVATE KEY-----"
    values = found(
        b"export API_KEY='k9Xm2Qv7Lp4Zt8Rw'\nDB_PASSWORD: s3cr3tPassw0rdXY\n"
        b'{"token": "ghp_0123456789abcdefghijABCDEFGHIJ456789"}\n' + pem
    )
    assert {b"k9Xm2Qv7Lp4Zt8Rw", b"s3cr3tPassw0rdXY", b"ghp_0123456789abcdefghijABCDEFGHIJ456789"} <= values
    assert any(value in pem and len(value) >= 40 for value in values)


@pytest.mark.parametrize(
    "line",
    [
        b"DEBUG=true",
        b"HOST=localhost",
        b"PORT=5432",
        b"URL=https://example.com/a/path",
        b"HOME=/usr/local/lib/x",
        b"NAME=production",
        b"X=${OTHER_VARIABLE}",
        b"A=aaaaaaaaaaaaaaaaaaaa",
        b"KEY=<your key goes here>",
    ],
)
def test_plain_settings_do_not_count(line):
    assert found(line) == set()


def test_files_that_are_no_plain_files_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "real").write_bytes(b"KEY=k9Xm2Qv7Lp4Zt8Rw")
    names = [str(tmp_path / name) for name in ("pipe", "link", "gone", "real")]
    assert set(masked.values(names)) == {(names[-1], b"k9Xm2Qv7Lp4Zt8Rw")}
    assert set(masked.values([str(tmp_path)])) == {(names[-1], b"k9Xm2Qv7Lp4Zt8Rw")}


def test_a_value_in_the_names_of_fields_is_refused():
    half = len(CANARY) // 2
    assert watch().head(head(fields=[(b"x-" + CANARY.encode(), b"1")])) is not None
    assert (
        watch().head(head(fields=[(CANARY[:half].encode(), b"1"), (CANARY[half:].encode(), b"1")]))
        is not None
    )


def test_beginnings_of_archives_that_are_none_do_not_use_up_the_looking():
    body = watch().body("evil.test")
    body.feed(b"\x1f\x8b\x08\x00broken" * 50)
    with pytest.raises(Refused):
        body.feed(gzip.compress(os.urandom(500) + CANARY.encode()))


def test_archives_that_have_ended_make_room_for_others():
    body = watch().body("evil.test")
    for _ in range(50):
        body.feed(gzip.compress(b"nothing"))
    with pytest.raises(Refused):
        body.feed(gzip.compress(os.urandom(500) + CANARY.encode()))
