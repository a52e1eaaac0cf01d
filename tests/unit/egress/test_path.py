"""One path, and every other reading of it."""

import pytest

from ringfence.egress.http1 import MalformedError
from ringfence.egress.path import canonical_path


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"x",
        b"/a\\b",
        b"/a#b",
        b"/a?b#c",
        b"/a%",
        b"/a%2",
        b"/a%zz",
        b"/a%00",
        b"/a%0d%0ab",
        b"/a%1f",
        b"/a%7f",
        b"/%25252525252e",
        b"/a%2500",
        b"/a%250d",
    ],
)
def test_a_path_without_one_meaning_is_refused(target):
    with pytest.raises(MalformedError):
        canonical_path(target)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (b"/", "/"),
        (b"/a/b", "/a/b"),
        (b"/a/b/", "/a/b/"),
        (b"/x/../admin", "/admin"),
        (b"//admin", "/admin"),
        (b"/./admin/.", "/admin/"),
        (b"/%61dmin", "/admin"),
        (b"/x/%2e%2e/admin", "/admin"),
        (b"/x/.%2E/admin", "/admin"),
        (b"/../../etc", "/etc"),
        (b"/a/..", "/"),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/a%20b", "/a%20b"),
        (b"/a%c3%a4", "/a%C3%A4"),
        ("/ä".encode(), "/%C3%A4"),
        (b"/@scope%2fname", "/@scope%2Fname"),
        (b"/a|b", "/a%7Cb"),
        (b"/a;x/b", "/a;x/b"),
        (b"/...", "/..."),
    ],
)
def test_a_path_has_one_canonical_spelling(target, text):
    path = canonical_path(target)
    assert path.text == text
    assert path.readings[0] == text


@pytest.mark.parametrize(
    ("target", "reading"),
    [
        (b"/x%2f..%2fadmin", "/admin"),
        (b"/x%5c..%5cadmin", "/admin"),
        (b"/%252e%252e/admin", "/admin"),
        (b"/x/%252e%252e/admin", "/admin"),
        (b"/x;y/../admin", "/admin"),
        (b"/x/..;v=1/admin", "/admin"),
        (b"/x/..%3bv/admin", "/admin"),
        (b"/admin;x", "/admin"),
        (b"/@scope%2fname", "/@scope/name"),
        (b"/%2561dmin", "/admin"),
    ],
)
def test_what_an_upstream_might_read_is_among_the_readings(target, reading):
    assert reading in canonical_path(target).readings


def test_the_query_is_kept_as_it_is():
    assert canonical_path(b"/a/../b?x=../y%2f&z").query == "?x=../y%2f&z"
    assert canonical_path("/a?ä".encode()).query == "?%C3%A4"
    assert canonical_path(b"/a").query == ""


def test_a_canonical_path_stays_as_it_is():
    for target in (b"/a/b;c", b"/@s%2Fn", b"/a%20b/", b"/x/..;v/y"):
        once = canonical_path(target).text
        assert canonical_path(once.encode()).text == once
