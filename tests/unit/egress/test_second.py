"""The second reader agrees with what the first read, and says so where it does not."""

import pytest

from ringfence.egress.http1 import MalformedError, parse_request
from ringfence.egress.second import agree
from ringfence.value import replace

HEADS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x?y=%2f HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Empty:\r\nX-Blank: \t v \t\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
)


@pytest.mark.parametrize("raw", HEADS)
def test_both_read_the_same(raw):
    agree(raw, parse_request(raw))


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"target": b"/other"},
        {"fields": [(b"Host", b"b")]},
        {"fields": []},
        {"fields": [(b"Host", b"a"), (b"X", b"y")]},
    ],
)
def test_another_reading_is_refused(changed):
    raw = HEADS[0]
    with pytest.raises(MalformedError, match="two parsers"):
        agree(raw, replace(parse_request(raw), **changed))


def test_what_only_the_first_would_take_is_refused():
    raw = HEADS[0]
    with pytest.raises(MalformedError, match="two parsers"):
        agree(raw.replace(b"Host", b"Ho st"), parse_request(raw))
