"""Text that an agent wrote, made safe to look at: what it shows is what is there.

A terminal obeys escape sequences, a carriage return covers what stood before it, bidirectional controls
turn the order of what is read (CVE-2021-42574), zero-width and tag characters are not seen at all, and
letters of other alphabets look like those of ASCII. Each is shown as what it is, `<U+202E>`, and the kind
is told, so that a reviewer knows that the line is no plain text.

Not every foreign letter is a trick: words in Cyrillic or Greek stay as they are. A look-alike counts where
it stands in one word with ASCII letters, or where all foreign letters of a line are look-alikes.
"""

import functools
import re
import unicodedata

TERMINAL = "terminal control"
CONTROL = "control character"
RETURN = "carriage return"
BIDI = "bidirectional control"
INVISIBLE = "invisible character"
TAG = "tag character"
SPACE = "unusual space"
UNKNOWN = "unassigned or private character"
LOOK_ALIKE = "look-alike letter"
BYTES = "bytes that are no UTF-8"

_NAMED = {
    0x00: "<NUL>",
    0x07: "<BEL>",
    0x08: "<BS>",
    0x0A: "<LF>",
    0x0B: "<VT>",
    0x0C: "<FF>",
    0x0D: "<CR>",
    0x1B: "<ESC>",
    0x7F: "<DEL>",
}
_BIDI = frozenset({0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
_INVISIBLE = frozenset({
    0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x200B, 0x200C, 0x200D,
    *range(0x2060, 0x2066), *range(0x206A, 0x2070), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0,
    *range(0xFFF9, 0xFFFC), *range(0x1D173, 0x1D17B), *range(0xE0100, 0xE01F0),
})  # fmt: skip
_TERMINAL = frozenset({0x07, 0x08, 0x1B, 0x90, 0x98, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F})

# Letters of other alphabets drawn like one of ASCII (from Unicode's confusables, single letters only).
# What a compatibility form makes ASCII (full width, mathematical, Roman numerals) is found by NFKC.
_LETTERS = dict(
    zip(
        "аеорсухіјѕһԁԛԝӏѵɡАВЕЗКМНОРСТУХІЈЅԌԚԜӀѴ"
        "οανριυκϲϳγτωΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ"
        "օսհոցզԼՕՍ"
        "ɑıƖǀꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓠꓡꓢꓣꓥꓦꓧꓨꓪꓫꓬꓮꓰꓲꓳ",
        "aeopcyxijshdqwlvgABE3KMHOPCTYXIJSGQWIV"
        "oavpiukcjytwABEZHIKMNOPTYXC"
        "ouhngqLOU"
        "ailIBPDTGKJCZFNLSRAVHGWXYAEIO",
        strict=True,
    )
)
_MARKS = {
    "\u037e": ";", "\u01c3": "!", "\ua789": ":", "\u2236": ":", "\u02d0": ":", "\u2215": "/", "\u2044": "/",
    "\u29f8": "/", "\u2024": ".", "\u2223": "|", "\u01c0": "|", "\u02c2": "<", "\u02c3": ">", "\u2039": "<",
    "\ua60c": "=", "\u2e40": "=", "\u204e": "*", "\u2217": "*", "\u02ca": "'", "\u02bc": "'",
}  # fmt: skip
_NOT_LETTERS = frozenset("™℠")

_PLAIN = bytes([0x09, 0x0A, *range(0x20, 0x7F)])
_WORD = re.compile(r"\w+")


def is_plain(data: bytes) -> bool:
    """Say whether bytes are printable ASCII, tabs and newlines: nothing to escape, nothing to tell."""
    return not data.translate(None, _PLAIN)  # one pass of C, several times faster than a pattern


def shown(data: bytes) -> tuple[str, frozenset[str]]:
    """Return one line as it may be printed, and the kinds of what had to be escaped in it."""
    if is_plain(data) and b"\n" not in data:
        return data.decode("ascii"), frozenset()
    text = data.decode("utf-8", "surrogateescape")
    alike = look_alikes(text)
    kinds: set[str] = set()
    parts = []
    for at, char in enumerate(text):
        kind = LOOK_ALIKE if at in alike else _kind(text, at)
        if kind:
            kinds.add(kind)
            parts.append(_escaped(char))
        else:
            parts.append(char)
    return "".join(parts), frozenset(kinds)


def kinds_of(data: bytes) -> frozenset[str]:
    """Return what would have to be escaped in a text of several lines. CR LF as a line's end is none."""
    if is_plain(data):
        return frozenset()
    found: set[str] = set()
    for line in data.replace(b"\r\n", b"\n").split(b"\n"):
        found |= shown(line)[1]
    return frozenset(found)


def shown_path(path: bytes) -> str:
    """Return a path for a line of text: as it is, or in git's quotes with each odd byte in octal."""
    text, kinds = shown(path)
    if not kinds and not any(char in '"\\\t\n' for char in text):
        return text
    return quoted(path)


def quoted(path: bytes) -> str:
    """Return a path in git's quotes."""
    named = {0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r",
             0x22: '\\"', 0x5C: "\\\\"}  # fmt: skip
    return (
        '"'
        + "".join(named.get(one) or (chr(one) if 32 <= one < 127 else f"\\{one:03o}") for one in path)
        + '"'
    )


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return _NAMED.get(code) or f"<U+{code:04X}>"


def _kind(text: str, at: int) -> str:
    """Return what is wrong with one character, or nothing."""
    kind = _kind_of(text[at])
    return "" if kind == INVISIBLE and _in_emoji(text, at) else kind


@functools.lru_cache(maxsize=1 << 16)
def _kind_of(char: str) -> str:
    code = ord(char)
    if 0x20 <= code < 0x7F or code == 0x09:
        return ""
    if code < 0xA0:
        return RETURN if code == 0x0D else TERMINAL if code in _TERMINAL else CONTROL
    if code in _BIDI:
        return BIDI
    if code in _INVISIBLE:
        return INVISIBLE
    if 0xE0000 <= code <= 0xE007F:
        return TAG
    if 0xDC80 <= code <= 0xDCFF:
        return BYTES
    category = unicodedata.category(char)
    if category in {"Zs", "Zl", "Zp"}:
        return SPACE
    return UNKNOWN if category in {"Cc", "Cf", "Cn", "Co", "Cs"} else ""


def _in_emoji(text: str, at: int) -> bool:
    """Say whether a joiner or a selector stands where pictures need it: right behind one."""
    before = text[at - 1] if at else ""
    after = text[at + 1 : at + 2]
    if text[at] == "\ufe0f":
        return bool(before) and (unicodedata.category(before) in {"So", "Sm"} or after == "\u20e3")
    if text[at] == "\u200d":
        pictures = {"So", "Sk"}
        joined = before == "\ufe0f" or (bool(before) and unicodedata.category(before) in pictures)
        return joined and bool(after) and unicodedata.category(after) in pictures
    return False


def look_alikes(text: str) -> frozenset[int]:
    """Return the positions of letters and signs that pretend to be ASCII."""
    if text.isascii():
        return frozenset()
    foreign = [char for char in text if char > "\x7f" and char.isalpha()]
    pretending = all(map(ascii_of, foreign))  # no letter of the line is plainly of another alphabet
    found = {
        at
        for at, char in enumerate(text)
        if char in _MARKS or (pretending and 0xFF01 <= ord(char) <= 0xFF5E and not char.isalpha())
    }
    for word in _WORD.finditer(text):
        mixed = any("a" <= char <= "z" or "A" <= char <= "Z" for char in word[0])
        whole = pretending and len(word[0]) > 1
        if mixed or whole:
            found.update(at for at in range(*word.span()) if text[at] > "\x7f" and ascii_of(text[at]))
    return frozenset(found)


@functools.lru_cache(maxsize=1 << 16)
def ascii_of(char: str) -> str:
    """Return the ASCII that a letter looks like, or nothing."""
    if char <= "\xff" or char in _NOT_LETTERS:  # é and ß are what they are
        return ""
    known = _LETTERS.get(char)
    if known:
        return known
    form = unicodedata.normalize("NFKC", char)
    return form if form.isascii() and form.isalnum() else ""
