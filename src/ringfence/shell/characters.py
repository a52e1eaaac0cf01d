"""Which characters a command may hold, before anything is made of them.

A shell, a parser, a terminal and a person each see something else in a control character, an invisible
one or one that turns the direction of writing. Nothing that is certain can be said of a text with such
characters in it, wherever they stand. Other characters are harmless in quotes (a commit message in any
language) and uncertain outside of them: blanks that are none to the shell, quotes that are none, letters
of another alphabet in the name of a program.
"""

_OUTSIDE_TEXT = frozenset("\t\n")

# Drawn as nothing or as a blank, though their category says letter, mark or symbol
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
# Blanks that ordinary prose holds: no-break, narrow no-break, ideographic
_PROSE_BLANKS = frozenset("\u00a0\u202f\u3000")
# They join or colour the emoji before them
_EMOJI_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_PADDING = 4  # so many blanks of prose in a row are there to push something out of sight


def refused(text: str) -> list[tuple[int, int, str]]:
    """Return every place whose characters make a whole text uncertain: from, to, why."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return []
    found: list[tuple[int, int, str]] = []
    for at, char in enumerate(text):
        if " " <= char <= "~" or char in _OUTSIDE_TEXT:
            continue
        reason = _refusal(char, text, at)
        if reason and found and found[-1][1] == at and found[-1][2] == reason:
            found[-1] = (found[-1][0], at + 1, reason)
        elif reason:
            found.append((at, at + 1, reason))
    return found


def bare(text: str) -> str:
    """Say what is wrong with characters that stand outside of quotes, or return ""."""
    if text.isascii():
        return ""
    import unicodedata

    for char in text:
        if char < "\x80":
            continue
        category = unicodedata.category(char)
        if category[0] == "Z":
            return f"U+{ord(char):04X} looks like a blank, and is none to a shell"
        if category in ("Cn", "Co"):
            return f"U+{ord(char):04X} has no meaning that all agree on"
        if category in ("Pi", "Pf", "Pd"):
            return f"U+{ord(char):04X} looks like a quote or a dash, and is none to a shell"
        if unicodedata.normalize("NFKC", char).isascii():
            return f"U+{ord(char):04X} looks like an ASCII character, and is none"
    return ""


def _refusal(char: str, text: str, at: int) -> str:
    if char < " " or "\x7f" <= char <= "\x9f":
        return "a control character"
    if "\ud800" <= char <= "\udfff":
        return "half of a surrogate pair, which no program can be given"
    import unicodedata

    category = unicodedata.category(char)
    if char in _EMOJI_JOINERS:
        return "" if _after_emoji(text, at) else "a character that nobody sees"
    if category == "Cf" or char in _INVISIBLE or "\ufe00" <= char <= "\ufe0f" or char >= "\U000e0000":
        return _beyond(char)
    if "\u180b" <= char <= "\u180f" or (ord(char) & 0xFFFE) == 0xFFFE or "\ufdd0" <= char <= "\ufdef":
        return "a character that nobody sees"
    if category[0] == "Z":
        return _blank(char, text, at)
    return ""


def _beyond(char: str) -> str:
    """Tell private-use planes, which are drawn, from tags and variation selectors, which are not."""
    return "" if char >= "\U000f0000" and (ord(char) & 0xFFFE) != 0xFFFE else "a character that nobody sees"


def _blank(char: str, text: str, at: int) -> str:
    if char not in _PROSE_BLANKS:
        return "a blank that is none to a shell"
    if at >= _PADDING - 1 and all(one in _PROSE_BLANKS for one in text[at - _PADDING + 1 : at]):
        return "a row of blanks that are none to a shell"
    return ""


def _after_emoji(text: str, at: int) -> bool:
    import unicodedata

    before = text[at - 1] if at else ""
    if before == "\ufe0f":
        return text[at] == "\u200d"
    return (
        bool(before)
        and (
            unicodedata.category(before) == "So"
            or "\U0001f3fb" <= before <= "\U0001f3ff"
            or before in "#*0123456789"
        )
        and (before not in "#*0123456789" or text[at + 1 : at + 2] == "\u20e3")
    )
