"""What a person is shown of a request: escaped, without secrets, and no more of a body than may be held."""

import asyncio
import hashlib

import pytest

from ringfence.egress import limits, shown
from ringfence.egress.http1 import CHUNKED

SECRET = b"canary-key-0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (b"Authorization", b"Bearer sk-own-secret", "Bearer (13 bytes, not shown)"),
        (b"authorization", b"Basic " + b"x" * 8, "Basic (8 bytes, not shown)"),
        (b"authorization", b"sk-own-secret", "(13 bytes, not shown)"),
        (b"authorization", b"sk-own secret", "(13 bytes, not shown)"),
        (b"Cookie", b"a=secret", "(8 bytes, not shown)"),
        (b"X-Api-Key", b"Bearer secret", "(13 bytes, not shown)"),
        (b"x-amz-security-token", b"secret", "(6 bytes, not shown)"),
        (b"X-Vault-Token", b"", "(0 bytes, not shown)"),
        (b"x_auth", b"secret", "(6 bytes, not shown)"),
        (b"accept", b"text/html", "text/html"),
        (b"idempotency-key", b"42", "42"),
        (b"x-note", b"it is " + SECRET + b"!", "it is " + "*" * len(SECRET) + "!"),
        (b"x-note", b"a\x1b[2J\xe2\x80\xae\tb", "a\\x1b[2J\\xe2\\x80\\xae\\tb"),
    ],
)
def test_fields_are_escaped_and_credentials_are_told_by_kind_and_length(name, value, told):
    assert shown.fields([(name, value)], (SECRET,)) == ((name.decode(), told),)


class Room:
    held = 0


class Head:
    def __init__(self, framing, fields):
        self.framing = framing
        self.fields = fields


class Arriving:
    """A body that arrives in pieces; None is a long pause."""

    def __init__(self, *pieces, framing=None, fields=()):
        self.pieces = list(pieces)
        self.head = Head(sum(map(len, pieces)) if framing is None else framing, list(fields))
        self.back = b""
        self.went_on = 0

    @property
    def done(self):
        return not self.pieces

    def proceed(self):
        self.went_on += 1

    def unread(self, data):
        self.back = data

    async def read(self):
        if self.pieces[0] is None:
            await asyncio.sleep(60)
        return self.pieces.pop(0)


def seen(inbound, secrets=(), room=None):
    case, room = Room(), room or Room()
    found = asyncio.run(shown.body(inbound, case, room, secrets))
    return found, case, room


def test_a_body_that_is_held_is_shown_with_its_digest_and_put_back():
    inbound = Arriving(b"hel", b"lo\n\x1b]0;x\x07", b"")
    found, case, room = seen(inbound)
    whole = b"hello\n\x1b]0;x\x07"
    assert (found.length, found.text, found.beginning) == (len(whole), "hello\n\\x1b]0;x\\x07", len(whole))
    assert found.digest == hashlib.sha256(whole).hexdigest()
    assert (inbound.back, inbound.went_on, case.held, room.held) == (whole, 1, len(whole), len(whole))


def test_of_a_long_body_the_beginning_is_shown_and_the_digest_is_of_the_whole():
    whole = b"x" * 10_000
    found, _, _ = seen(Arriving(whole))
    assert (found.length, found.beginning, found.text) == (10_000, limits.SHOWN_BODY, "x" * limits.SHOWN_BODY)
    assert found.digest == hashlib.sha256(whole).hexdigest()


def test_no_half_of_a_secret_stands_at_the_end():
    found, _, _ = seen(Arriving(b"x" * (limits.SHOWN_BODY - 5) + SECRET), (SECRET,))
    assert found.text == "x" * (limits.SHOWN_BODY - 5) + "*****"


def test_a_body_that_is_too_long_is_not_held_and_has_no_digest(monkeypatch):
    monkeypatch.setattr(limits, "ASKED_BODY", 5000)
    inbound = Arriving(*[b"y" * 1000] * 20)
    found, case, _ = seen(inbound)
    assert (found.length, found.beginning, found.digest) == (20_000, limits.SHOWN_BODY, "")
    assert case.held == len(inbound.back) == 5000
    inbound = Arriving(*[b"y" * 1000] * 20, framing=CHUNKED)
    found, case, _ = seen(inbound)
    assert (found.length, found.digest) == (-1, "")
    assert case.held == len(inbound.back) == 6000


def test_a_body_that_does_not_arrive_in_time_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(limits, "ASKED_TIME", 0.05)
    inbound = Arriving(b"abc", None, framing=CHUNKED)
    found, _, _ = seen(inbound)
    assert (found.length, found.text, found.digest, inbound.back) == (-1, "abc", "", b"abc")


def test_nothing_is_held_beyond_what_all_may_hold(monkeypatch):
    monkeypatch.setattr(limits, "HELD_BODIES", 100)
    room = Room()
    room.held = 90
    inbound = Arriving(*[b"z" * 20] * 10)
    found, _, _ = seen(inbound, room=room)
    assert (room.held, found.digest, inbound.back) == (110, "", b"z" * 20)


def test_of_a_stream_nothing_is_read():
    inbound = Arriving(b"abc", framing=CHUNKED, fields=[(b"content-type", b"application/grpc+proto")])
    found, _, _ = seen(inbound)
    assert (found.length, found.text, found.digest, inbound.went_on) == (-1, "", "", 0)


def test_no_body_is_nothing():
    assert seen(Arriving())[0] == shown.Body(length=0)
