"""What a rule can be about: hosts, ports, paths, sizes and durations, each with one spelling.

Hosts. A host has exactly one canonical spelling, found once, before anything is decided. What has no
such spelling is refused, not repaired: the proxies that were fooled (THREATS.md §3.1) compared one
spelling and dialled another. So: ASCII only (an international name is written in its `xn--` form), no
percent-decoding, no zone identifier, one trailing dot removed, and a name whose last label is a number
is either a strict dotted quad or nothing, because resolvers read `127.1`, `0x7f000001` and `0177.0.0.1`
as addresses. An IPv4 address in IPv6 clothes (`::ffff:10.9.8.7`) is the IPv4 address.

Patterns. An exact host, `*.suffix` for names strictly below the suffix, or a network such as
`10.0.0.0/8`. Both sides of a comparison are canonical, so comparing is comparing strings by label.

Globs. `*` and `?` stay within a segment, `**` stands alone between slashes and crosses them, everything
else is literal: `[id].tsx` is a file name here, not a character class. `a/**` is what lies below `a`.
Matching remembers only the last star of each kind, so its cost is bounded by the product of the lengths.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_HEX = frozenset("0123456789abcdef")
_MAPPED = b"\0" * 10 + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291 §2.5.5.2


def canonical_host(text: str) -> str:
    """Return the one spelling of a host: a lower-case name, a dotted quad, or IPv6 without brackets.

    Raises ValueError, its text the reason, for everything that is not exactly one host.
    """
    if not text:
        raise ValueError("the host is empty")
    if not text.isascii():
        raise ValueError("a host is ASCII: write an international name in its xn-- form")
    if text[0] == "[":
        return _bracketed(text)
    if ":" in text:
        return _ipv6(text)
    return _name_or_ipv4(text.lower())


def canonical_pattern(text: str) -> str:
    """Return the one spelling of a host pattern: a host, `*.suffix` or a network."""
    if "/" in text:
        return _network(text)
    if text == "*":
        raise ValueError("`*` alone would be every host there is: name hosts, or `*.suffix`")
    if text.startswith("*."):
        suffix = canonical_host(text[2:])
        if is_address(suffix):
            raise ValueError("`*.` stands before a name; addresses take a network such as 10.0.0.0/8")
        if len(suffix) > 251:  # a strict subdomain has to fit into 253
            raise ValueError("a host name has at most 253 characters")
        return "*." + suffix
    if "*" in text:
        raise ValueError("`*` stands only at the front, as in `*.example.com`")
    return canonical_host(text)


def host_matches(pattern: str, host: str) -> bool:
    """Say whether a canonical host falls under a canonical pattern."""
    if pattern == host:
        return True
    if pattern[:2] == "*.":
        return host.endswith(pattern[1:]) and len(host) >= len(pattern)
    if "/" in pattern:
        return _in_network(pattern, host)
    return False


def pattern_covers(wide: str, narrow: str) -> bool:
    """Say whether every host under the canonical pattern `narrow` also falls under `wide`."""
    if wide == narrow:
        return True
    if narrow[:2] == "*.":
        return wide[:2] == "*." and narrow.endswith(wide[1:])
    if "/" in narrow:
        return "/" in wide and _covers_network(wide, narrow)
    return host_matches(wide, narrow)


def is_address(host: str) -> bool:
    """Say whether a canonical host is an address rather than a name."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def packed_address(host: str) -> bytes:
    """Return the 4 or 16 bytes of a canonical address; ValueError for a name."""
    if ":" in host:
        return _pack6(host)
    if not is_address(host):
        raise ValueError("this is a name, not an address")
    return bytes(int(part) for part in host.split("."))


def canonical_port(text: str) -> int:
    """Read a port as URLs write it: digits without sign, space or leading zero, 1 to 65535."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and text[0] != "0"):
        raise ValueError("a port is a number from 1 to 65535")
    number = int(text)
    if number > 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return number


def split_authority(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Split `host:port` as CONNECT and URLs write it; an IPv6 address needs its brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
        if default_port is None:
            raise ValueError("the port is missing")
    if ":" in host and host[0] != "[":
        raise ValueError("an IPv6 address stands in brackets here")
    number = canonical_port(port) if colon and port else default_port
    if number is None or (colon and not port and not text.endswith("]")):
        raise ValueError("the port is missing")
    return canonical_host(host), number


# --- hosts -------------------------------------------------------------------------------------


def _name_or_ipv4(text: str) -> str:
    name = text.removesuffix(".")
    if not name:
        raise ValueError("the host is empty")
    if len(name) > 253:
        raise ValueError("a host name has at most 253 characters")
    labels = name.split(".")
    for label in labels:
        _check_label(label)
    if not _is_number(labels[-1]):
        return name
    if name != text:
        raise ValueError("an address takes no trailing dot")
    if len(labels) != 4 or not all(map(_is_octet, labels)):
        raise ValueError("a host that ends in a number is an address of four decimal parts, such as 10.9.8.7")
    return name


def _check_label(label: str) -> None:
    if not label:
        raise ValueError("a host name has no empty label")
    strange = next((char for char in label if char not in _LABEL), "")
    if strange:
        raise ValueError(f"a host name never holds {_shown(strange)}")
    if len(label) > 63:
        raise ValueError("a label of a host name has at most 63 characters")
    if label[0] == "-" or label[-1] == "-":
        raise ValueError("a label of a host name neither starts nor ends with `-`")


def _shown(char: str) -> str:
    return f"`{char}`" if char.isprintable() and char != " " else f"the character 0x{ord(char):02x}"


def _is_number(label: str) -> bool:
    """Say whether resolvers read this last label as part of an address (WHATWG URL, "ends in a number")."""
    return label.isdigit() or (label[:2] == "0x" and all(char in _HEX for char in label[2:]))


def _is_octet(label: str) -> bool:
    return label.isdigit() and len(label) <= 3 and int(label) <= 255 and str(int(label)) == label


def _bracketed(text: str) -> str:
    if text[-1] != "]" or ":" not in text:
        raise ValueError("brackets hold an IPv6 address, as in [2001:db8::1]")
    return _ipv6(text[1:-1])


def _ipv6(text: str) -> str:
    if "%" in text:
        raise ValueError("an address takes no zone identifier")
    packed = _pack6(text)
    if packed[:12] == _MAPPED:
        return ".".join(map(str, packed[12:]))
    return _unpack6(packed)


def _pack6(text: str) -> bytes:
    import _socket  # only for the rare address

    try:
        return _socket.inet_pton(_socket.AF_INET6, text)
    except (OSError, ValueError):
        raise ValueError("this is not an IPv6 address (and a port does not belong here)") from None


def _unpack6(packed: bytes) -> str:
    import _socket

    return str(_socket.inet_ntop(_socket.AF_INET6, packed))


# --- networks ----------------------------------------------------------------------------------


def _network(text: str) -> str:
    base, _, length = text.partition("/")
    host = canonical_host(base)
    if not is_address(host):
        raise ValueError("only an address takes a `/length`; paths belong in `paths`")
    if not (length.isascii() and length.isdigit() and str(int(length)) == length):
        raise ValueError("a network is written as address/length, such as 10.0.0.0/8")
    bits, packed = int(length), packed_address(host)
    if ":" in base and ":" not in host:
        bits -= 96  # a mapped network is the IPv4 network
    if not 0 <= bits <= 8 * len(packed):
        raise ValueError(f"a network of this kind has a length from 0 to {8 * len(packed)}")
    if int.from_bytes(packed, "big") & ((1 << (8 * len(packed) - bits)) - 1):
        raise ValueError("the address has bits set behind the network's length")
    return f"{host}/{bits}"


def _parsed_network(pattern: str) -> tuple[bytes, int]:
    base, _, length = pattern.partition("/")
    return packed_address(base), int(length)


def _in_network(pattern: str, host: str) -> bool:
    if not is_address(host):
        return False
    base, bits = _parsed_network(pattern)
    return _same_front(base, packed_address(host), bits)


def _covers_network(wide: str, narrow: str) -> bool:
    base, bits = _parsed_network(wide)
    inner, inner_bits = _parsed_network(narrow)
    return inner_bits >= bits and _same_front(base, inner, bits)


def _same_front(one: bytes, other: bytes, bits: int) -> bool:
    if len(one) != len(other):
        return False
    shift = 8 * len(one) - bits
    return int.from_bytes(one, "big") >> shift == int.from_bytes(other, "big") >> shift


# --- globs -------------------------------------------------------------------------------------


def check_glob(pattern: str) -> str:
    """Return a usable glob, or raise ValueError with the reason."""
    if not pattern:
        raise ValueError("the pattern is empty")
    if "\0" in pattern:
        raise ValueError("a pattern never holds a NUL")
    if "\\" in pattern:
        raise ValueError("a pattern has no escapes: every character but `*` and `?` is literal")
    segments = pattern.split("/")
    if any("**" in segment and segment != "**" for segment in segments):
        raise ValueError("`**` stands alone between slashes, as in `secrets/**` or `**/*.pem`")
    if any(segment in {".", ".."} for segment in segments):
        raise ValueError("a pattern has no `.` or `..` segments")
    return pattern


def path_matches(pattern: str, path: str) -> bool:
    """Say whether the whole of a canonical path matches a glob, segment by segment."""
    if pattern == path:
        return True
    if "*" not in pattern and "?" not in pattern:
        return False
    return _segments_match(pattern.split("/"), path.split("/"))


def file_matches(pattern: str, path: str) -> bool:
    """Say whether a file is meant by a glob as git would read it: `path` is relative to the root.

    Without an inner slash the pattern applies at any depth; a leading slash anchors it; what lies in a
    matching folder is meant too, and a trailing slash says that only a folder can match.
    """
    anchored = "/" in pattern[:-1]
    segments = pattern.strip("/").split("/")
    if not anchored and segments != ["**"]:
        segments.insert(0, "**")
    parts = path.split("/")
    whole = len(parts) - 1 if pattern[-1] == "/" else len(parts)
    return any(_segments_match(segments, parts[:count]) for count in range(whole, 0, -1))


def text_matches(pattern: str, text: str) -> bool:
    """Say whether the whole of a text matches a glob: `*` and `?` stand for any characters."""
    return _segment_matches(pattern, text)


def _segments_match(pattern: "Sequence[str]", parts: "Sequence[str]") -> bool:
    """Match lists of segments; the last `**` seen takes one segment more at each failure."""
    at = here = 0
    star, resume = -1, 0
    while here < len(parts):
        if at < len(pattern) and pattern[at] == "**":
            if at == len(pattern) - 1:
                return True  # at least one segment is left for it
            star, resume = at, here
            at += 1
        elif at < len(pattern) and _segment_matches(pattern[at], parts[here]):
            at += 1
            here += 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return at == len(pattern)


def _segment_matches(pattern: str, text: str) -> bool:
    if pattern in (text, "*"):
        return True
    if "*" not in pattern and "?" not in pattern:
        return False
    at = here = 0
    star, resume = -1, 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[here]):
            at += 1
            here += 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return pattern[at:].strip("*") == ""


# --- sizes and durations -----------------------------------------------------------------------

_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def size(text: str) -> int:
    """Read `512M`, `2G`, `1.5G` or a plain number of bytes; units are powers of 1024."""
    number, unit = _quantity(text.strip())
    factor = _SIZES.get(unit.lower().removesuffix("b").removesuffix("i"))
    if factor is None:
        raise ValueError("a size is a number with K, M, G or T, such as 512M or 2G")
    amount = int(number * factor)
    if amount <= 0:
        raise ValueError("a size is more than nothing")
    return amount


def duration(text: str) -> float:
    """Read `30m`, `2h`, `1h30m`, `250ms` or a plain number of seconds; return seconds."""
    rest, total = text.strip(), 0.0
    if not rest:
        raise ValueError("a duration is a number with ms, s, m, h or d, such as 30m or 1h30m")
    while rest:
        number, unit = _quantity(rest)
        word = unit[: len(unit) - len(unit.lstrip("mshd"))]
        if not unit and not total:
            return _positive(number)
        if word not in _SECONDS:
            raise ValueError("a duration is a number with ms, s, m, h or d, such as 30m or 1h30m")
        total += number * _SECONDS[word]
        rest = unit[len(word) :]
    return _positive(total)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("a duration is more than nothing")
    return float(seconds)


def _quantity(text: str) -> tuple[float, str]:
    """Split the number off the front: `1.5G` is (1.5, "G")."""
    digits = text[: len(text) - len(text.lstrip("0123456789."))]
    try:
        number = float(digits) if "." in digits else int(digits)
    except ValueError:
        raise ValueError("this has to start with a number") from None
    return number, text[len(digits) :]
