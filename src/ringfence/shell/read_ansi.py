"""Decodes what stands between `$'` and `'`, as bash's ansicstr does."""

_SIMPLE = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_HEX = frozenset("0123456789abcdefABCDEF")
_OCTAL = frozenset("01234567")
_WIDTHS = {"x": 2, "u": 4, "U": 8}


def decode(text: str) -> tuple[str, str]:
    """Return the characters, and why they are not certain or ""."""
    if "\\" not in text:
        return text, ""
    made: list[str] = []
    doubt = ""
    at = 0
    while at < len(text):
        slash = text.find("\\", at)
        if slash < 0 or slash + 1 >= len(text):
            made.append(text[at:])
            break
        made.append(text[at:slash])
        value, at, why = _escape(text, slash + 1)
        doubt = doubt or why
        if value == "\0":
            return "".join(made), doubt or "a zero byte ends the text in one shell and not in another"
        made.append(value)
    return "".join(made), doubt


def _escape(text: str, at: int) -> tuple[str, int, str]:
    """Read one escape, behind its backslash: the character, where it ends, a doubt."""
    char = text[at]
    if char in _SIMPLE:
        return _SIMPLE[char], at + 1, ""
    if char in _OCTAL:
        end = _run(text, at, 3, _OCTAL)
        return _byte(int(text[at:end], 8) & 0xFF, end)
    if char in _WIDTHS:
        end = _run(text, at + 1, _WIDTHS[char], _HEX)
        if end == at + 1:
            return "\\" + char, at + 1, f"`\\{char}` with no number behind it"
        number = int(text[at + 1 : end], 16)
        return _byte(number, end) if char == "x" else _point(number, end)
    if char == "c":
        if at + 1 >= len(text):
            return "\\c", at + 1, "`\\c` with nothing behind it"
        control = text[at + 1]
        return chr(ord(control) & 0x1F), at + 2, "a control character by `\\c`"
    return "\\" + char, at + 1, "an escape that no shell knows"


def _run(text: str, at: int, most: int, digits: frozenset[str]) -> int:
    end = at
    while end < len(text) and end - at < most and text[end] in digits:
        end += 1
    return end


def _byte(number: int, end: int) -> tuple[str, int, str]:
    if number >= 0x80:
        return chr(0xDC00 + number), end, "a byte that is no character by itself"
    return chr(number), end, _control(number)


def _point(number: int, end: int) -> tuple[str, int, str]:
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        return "\ufffd", end, "a number that is no character"
    if number >= 0x80:
        return chr(number), end, "a character by number depends on the locale"
    return chr(number), end, _control(number)


def _control(number: int) -> str:
    plain = number >= 0x20 and number != 0x7F
    return "" if plain or chr(number) in "\t\n\x1b\0\a\b\r" else "a control character by its number"
