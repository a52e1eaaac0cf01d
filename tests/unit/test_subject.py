"""What a rule can be about: every vector of THREATS.md §3.2, and the globs, sizes and durations."""

import pytest

from ringfence.subject import (
    canonical_host,
    canonical_pattern,
    canonical_port,
    check_glob,
    duration,
    file_matches,
    host_matches,
    is_address,
    path_matches,
    pattern_covers,
    size,
    split_authority,
)

RULES = ("api.github.com", "*.example.com", "10.9.8.7")


def allowed(text: str) -> bool:
    host = canonical_host(text)
    return any(host_matches(canonical_pattern(rule), host) for rule in RULES)


@pytest.mark.guarantee("N6")
@pytest.mark.parametrize(
    "text",
    [
        "api.github.com..",
        "-a.example.com",
        "a-.example.com",
        "a..example.com",
        ".example.com",
        "*.example.com",
        "a" * 64 + ".example.com",
        ".".join(["a" * 60] * 5) + ".example.com",
        "api.github.com@evil.test",
        "evil.test@api.github.com",
        "api.github.com:443@evil.test:443",
        "api.github.com%2eevil.test",
        "api.github%2ecom",
        "%61pi.github.com",
        "api.github.com\0.evil",
        "evil\0.example.com",
        "evil.example\0.example.com",
        "api.github.com\\evil",
        "api.github.com/evil",
        "api.github.com#x",
        "api.github.com?x",
        "api.github.com\t",
        " api.github.com",
        "api.github.com ",
        "api.github.com\r\n",
        "api。github。com",
        "\uff41pi.github.com",
        "\u0430pi.github.com",
        "¹27.0.0.1",
        "①27.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "1.2.3.0x10",
        "1.2.3.0x",
        "1.2.3.08",
        "1.2.3.256",
        "1.2.3.4.5",
        "a.1",
        "01.2.3.4",
        "[::1%eth0]",
        "::1%eth0",
        "[::1%25x.example.com]",
        "::ffff:1.2.3.4%x.example.com",
        "[v1.example.com]",
        "[a.example.com]",
        "[10.9.8.7]",
        "[::1",
        "::1]",
        "[]",
        "",
        ".",
        "..",
        "a.example.com:80",
        "[::1]:443",
        "::ffff:0177.0.0.1",
        "1:2:3:4:5:6:7:8:9",
        "a,b.example.com",
        "a;b.example.com",
    ],
)
def test_a_text_that_is_not_exactly_one_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        canonical_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "evilexample.com",
        "example.com.evil.test",
        "api.github.com.evil.test",
        "xapi.github.com",
        "xn--api-fua.github.com",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "localhost",
        "a.localhost",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "metadata.google.internal",
        "10.9.8.70",
        "modelcontextprotocol.io.evil",
    ],
)
def test_a_host_that_no_rule_names_is_not_allowed(text: str) -> None:
    assert not allowed(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("api.github.com", "api.github.com"),
        ("API.GitHub.COM", "api.github.com"),
        ("api.github.com.", "api.github.com"),
        ("a.example.com", "a.example.com"),
        ("a.b.example.com", "a.b.example.com"),
        ("A_b.example.com", "a_b.example.com"),
        ("10.9.8.7", "10.9.8.7"),
        ("[::ffff:10.9.8.7]", "10.9.8.7"),
        ("::FFFF:0a09:0807", "10.9.8.7"),
    ],
)
def test_a_host_has_one_spelling_and_is_allowed_under_it(text: str, canonical: str) -> None:
    assert canonical_host(text) == canonical
    assert allowed(text)


def test_an_ipv6_address_is_compressed_and_loses_its_brackets() -> None:
    assert canonical_host("[2001:DB8:0:0::0001]") == "2001:db8::1"
    assert is_address("2001:db8::1")
    assert is_address("10.0.0.1")
    assert not is_address("a1.example.com")


@pytest.mark.parametrize("text", ["0", "65536", "443x", " 443", "+443", "0443", "", "٤٤٣", "-1", "999999"])
def test_a_port_in_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        canonical_port(text)


@pytest.mark.parametrize(
    "text",
    ["a.example.com:", "::1", "::1:443", "a:b:443", "[::1]443", "[::1]:", "a.example.com:0x1bb", ":443", ""],
)
def test_an_authority_that_can_be_read_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        split_authority(text, 443)


def test_an_authority_gives_host_and_port() -> None:
    assert split_authority("A.example.com:8443") == ("a.example.com", 8443)
    assert split_authority("[::1]", 443) == ("::1", 443)
    assert split_authority("[::1]:80") == ("::1", 80)
    assert split_authority("a.example.com", 443) == ("a.example.com", 443)
    with pytest.raises(ValueError, match="missing"):
        split_authority("a.example.com")


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "*.",
        "*.*.example.com",
        "a.*.com",
        "*example.com",
        "*.10.0.0.1",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "example.com/8",
        "fd00::/129",
        "",
        "https://example.com",
        "*.[::1]",
        "10.0.0.0/8/8",
        "10.*.0.1",
        "::ffff:10.0.0.0/8",
    ],
)
def test_a_pattern_that_means_nothing_certain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        canonical_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("*.example.com", ".example.com", False),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "10.example.com", False),
        ("fd00::/8", "10.0.0.1", False),
        ("10.0.0.0/8", "10.255.1.2", True),
        ("fd00::/8", "fd12::1", True),
        ("0.0.0.0/0", "1.2.3.4", True),
        ("0.0.0.0/0", "::1", False),
        ("10.9.8.7/32", "10.9.8.7", True),
    ],
)
def test_a_network_holds_addresses_of_its_own_kind_only(pattern: str, host: str, matches: bool) -> None:
    assert host_matches(canonical_pattern(pattern), host) is matches


def test_a_mapped_network_is_the_ipv4_network() -> None:
    assert canonical_pattern("[::ffff:10.0.0.0]/104") == "10.0.0.0/8"
    assert canonical_pattern("*.EXAMPLE.com.") == "*.example.com"


def test_a_pattern_covers_another_only_when_all_of_it_is_inside() -> None:
    assert not pattern_covers("*.a.example.com", "*.example.com")
    assert not pattern_covers("*.example.com", "example.com")
    assert not pattern_covers("10.1.0.0/16", "10.0.0.0/8")
    assert not pattern_covers("a.example.com", "*.a.example.com")
    assert not pattern_covers("*.example.com", "10.0.0.0/8")
    assert pattern_covers("*.example.com", "*.a.example.com")
    assert pattern_covers("*.example.com", "*.example.com")
    assert pattern_covers("10.0.0.0/8", "10.1.0.0/16")
    assert pattern_covers("10.0.0.0/8", "10.1.2.3")


@pytest.mark.parametrize("pattern", ["", "a\0", "a\\*", "a**", "**b/c", "a/../b", "./a", "a/***"])
def test_a_glob_that_means_nothing_certain_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_glob(pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/repos/acme/**", "/repos/acme", False),
        ("/repos/acme/**", "/repos/acmeevil/x", False),
        ("/repos/acme/*", "/repos/acme/a/b", False),
        ("/repos/acme", "/repos/acme/", False),
        ("/repos/ACME/**", "/repos/acme/x", False),
        ("/a?c", "/a/c", False),
        ("/v1/*", "/v1", False),
        ("/[ab]", "/a", False),
        ("/repos/acme/**", "/repos/acme/x", True),
        ("/repos/acme/**", "/repos/acme/x/y/z", True),
        ("/repos/acme/**", "/repos/acme/", True),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/**/b", "/b", True),
        ("/**/b", "/a/a/b", True),
        ("/**/b/*", "/b/b/b/c", True),
        ("/a/**/z", "/a/z", True),
        ("/a/**/b/**/c", "/a/x/b/y/b/c", True),
        ("/*.git/info/refs", "/x.git/info/refs", True),
        ("/a*b*c", "/axxbyyc", True),
        ("/a*b*c", "/axxbyyd", False),
        ("/[id].tsx", "/[id].tsx", True),
        ("/a?c", "/abc", True),
    ],
)
def test_a_path_matches_as_a_whole_and_by_segment(pattern: str, path: str, matches: bool) -> None:
    assert path_matches(pattern, path) is matches


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.pem", "a.pem.txt", False),
        ("/.env", "sub/.env", False),
        ("secrets/**", "secrets", False),
        ("secrets/", "secrets", False),
        ("a/b", "x/a/b", False),
        ("*.pem", "a.pem", True),
        ("*.pem", "deep/er/a.pem", True),
        (".env", "sub/.env", True),
        ("/.env", ".env", True),
        ("secrets/**", "secrets/a/b", True),
        ("secrets/", "secrets/a", True),
        ("secrets/", "x/secrets/a", True),
        ("secrets", "x/secrets/a", True),
        ("**/id_*", "id_rsa", True),
        ("**/id_*", "a/b/id_rsa", True),
        ("**", "a/b", True),
    ],
)
def test_a_file_is_meant_as_git_would_read_the_pattern(pattern: str, path: str, matches: bool) -> None:
    assert file_matches(pattern, path) is matches


def test_a_hostile_glob_stays_cheap() -> None:
    assert not path_matches("/" + "*a" * 50 + "b", "/" + "a" * 3000)
    assert not path_matches("/**/a" * 50 + "/b", "/a" * 1000)


@pytest.mark.parametrize("text", ["", "G", "2X", "-1G", "0", "1..5G", "2 G G", "nan", "1e9"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        size(text)


@pytest.mark.parametrize("text", ["", "m", "2y", "-1m", "0s", "1h30", "h1", "1 h", "0"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        duration(text)


def test_sizes_and_durations_are_read() -> None:
    assert [size(text) for text in ("512M", "2G", "1.5g", "4096", "1KiB", "1kb")] == [
        2**29,
        2**31,
        3 * 2**29,
        4096,
        1024,
        1024,
    ]
    assert [duration(text) for text in ("30m", "2h", "1h30m", "250ms", "90", "1d")] == [
        1800,
        7200,
        5400,
        0.25,
        90,
        86400,
    ]
