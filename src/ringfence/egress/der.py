"""DER, as much of it as a leaf needs: written, and an authority's certificate taken apart (ITU-T X.690).

`cryptography.x509` does this and far more, and costs the first request of a session 15 ms of import. What is
written here is read back in the tests by that library and by OpenSSL's strict verifier.
"""

SEQUENCE, SET, INTEGER, BOOLEAN, BITS, OCTETS = 0x30, 0x31, 0x02, 0x01, 0x03, 0x04
OID, UTF8, UTC_TIME, TIME, CONTEXT = 0x06, 0x0C, 0x17, 0x18, 0x80
CONSTRUCTED = 0x20

Element = tuple[int, bytes, bytes]  # tag, content, the whole with its tag and length


def element(tag: int, *content: bytes) -> bytes:
    """Write one element."""
    inside = b"".join(content)
    size = len(inside)
    if size < 0x80:
        return bytes((tag, size)) + inside
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + inside


def integer(value: int) -> bytes:
    """Write a number that is not negative."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(text: str) -> bytes:
    """Write an object identifier such as 2.5.29.17."""
    first, second, *rest = map(int, text.split("."))
    out = bytes((first * 40 + second,))
    for arc in rest:
        piece = bytes((arc & 0x7F,))
        while arc := arc >> 7:
            piece = bytes((0x80 | arc & 0x7F,)) + piece
        out += piece
    return element(OID, out)


def time(text: str) -> bytes:
    """Write a time given as YYYYMMDDHHMMSSZ (RFC 5280 §4.1.2.5: two digits for the year until 2049)."""
    if text < "2050":
        return element(UTC_TIME, text[2:].encode("ascii"))
    return element(TIME, text.encode("ascii"))


def time_of(one: Element) -> str:
    """Read a time as YYYYMMDDHHMMSSZ."""
    tag, content, _ = one
    text = content.decode("ascii")
    if tag == UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    if tag not in {UTC_TIME, TIME} or len(text) != 15 or not text[:14].isdigit() or text[14] != "Z":
        raise ValueError("a certificate's time is malformed")
    return text


def elements(data: bytes) -> list[Element]:
    """Take a sequence of elements apart; ValueError where it is none."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        head, size = _length(data, at)
        end = head + size
        if end > len(data):
            raise ValueError("a certificate is cut short")
        found.append((data[at], data[head:end], data[at:end]))
        at = end
    return found


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return where an element's content begins, and how long it is."""
    if at + 2 > len(data):
        raise ValueError("a certificate is cut short")
    size = data[at + 1]
    if size < 0x80:
        return at + 2, size
    count = size & 0x7F
    head = at + 2 + count
    if not 0 < count <= 4 or head > len(data):
        raise ValueError("a certificate's length is malformed")
    return head, int.from_bytes(data[at + 2 : head], "big")
